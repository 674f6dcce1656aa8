// What axe says of a page as it is now.
import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';

/** No violation that axe knows of; leaves a picture with this name. */
export async function isSound(window, name) {
  const { violations } = await new AxeBuilder({ page: window.page }).analyze();
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`));
  assert.deepEqual(found, [], name);
  await window.shot(name);
}

const SIZES = { desktop: { width: 1180, height: 760 }, phone: { width: 360, height: 740 } };

/** Light and dark, wide and narrow: each with its name and what a window is opened with. */
export const LOOKS = ['light', 'dark'].flatMap((colorScheme) =>
  Object.entries(SIZES).map(([size, viewport]) => ({ name: `${size}-${colorScheme}`, look: { colorScheme, viewport } })),
);
