// No violation that axe knows of, in light and dark, wide and narrow, in each state that the page has.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { serverForFile } from '../js/support/server.js';
import { newConversation, newPair, newUser, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const SIZES = { desktop: { width: 1180, height: 760 }, phone: { width: 360, height: 740 } };

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

async function isSound(window, name) {
  const { violations } = await new AxeBuilder({ page: window.page }).analyze();
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`));
  assert.deepEqual(found, [], name);
  await window.shot(name);
}

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    describe(`${size}, ${colorScheme}`, () => {
      const look = { colorScheme, viewport };
      const name = (state) => `${size}-${colorScheme}-${state}`;

      test('signing in', async () => {
        const window = await Window.open(server.url, look);
        await isSound(window, name('sign-in'));
      });

      test('the list, a conversation with all kinds of messages, a notice', async () => {
        const { alice, bob, conversation } = await newPair(server);
        const carol = await newUser(server);
        const other = await newConversation(server, carol, alice);
        await say(server, bob, conversation, 'Would Saturday suit you?');
        await say(server, carol, other, 'The farrier comes on Monday.');
        const window = await Window.of(server.url, alice, look);
        await window.badge(bob).waitFor();
        await isSound(window, name('list'));
        await window.openConversation(bob);
        await window.say('Saturday suits me.');
        await window.say('not\u0000this');
        await window.page.getByRole('button', { name: 'Discard' }).waitFor();
        await say(server, carol, other, 'Or on Tuesday.');
        await window.page.locator('.notice').waitFor();
        await isSound(window, name('thread'));
      });

      test('a device that is offline', async () => {
        const { alice, bob } = await newPair(server);
        const window = await Window.of(server.url, alice, look);
        await window.openConversation(bob);
        await window.context.setOffline(true);
        await window.page.getByText('This device is offline.').waitFor();
        await window.say('Later, then');
        await window.has('Later, then', 'waiting');
        await isSound(window, name('offline'));
      });
    });
  }
}
