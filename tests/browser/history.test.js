// A long conversation: its end comes first, the rest by scrolling up, and the reader's place stays where it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
import { range } from '../js/support/shapes.js';
import { eventually } from '../js/support/wait.js';
import { newPair, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const LENGTH = 130;

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

/** A window on a conversation of `LENGTH` messages, by turns of both. */
async function longConversation() {
  const pair = await newPair(server);
  for (const n of range(1, LENGTH)) await say(server, n % 2 ? pair.alice : pair.bob, pair.conversation, `Message ${n}`);
  const window = await Window.of(server.url, pair.alice);
  await window.openConversation(pair.bob);
  await window.has(`Message ${LENGTH}`);
  return { ...pair, window };
}

/** So many CSS pixels from the top. */
const scrollTo = (window, top) => window.page.locator('#messages').evaluate((box, y) => (box.scrollTop = y), top);

test('scrolling up brings the whole history, in order and each message once', async () => {
  const { window } = await longConversation();
  assert.ok((await window.rows.count()) < LENGTH, 'not everything at once');
  await eventually(async () => {
    await scrollTo(window, 0);
    return (await window.rows.count()) === LENGTH;
  }, 'all messages');
  assert.deepEqual(await window.texts(), range(1, LENGTH).map((n) => `Message ${n}`));
  await window.page.getByText('This is where the conversation begins.').waitFor();
  window.withoutFaults();
});

test('older messages come in above what is being read, which stays where it is', async () => {
  const { window } = await longConversation();
  const before = await window.rows.count();
  const first = window.rows.first();
  const text = await first.locator('.text').textContent();
  const row = window.rows.filter({ has: window.page.getByText(text, { exact: true }) });
  await scrollTo(window, 200);
  const top = (await row.boundingBox()).y;
  await eventually(async () => (await window.rows.count()) > before, 'older messages');
  await eventually(async () => Math.abs((await row.boundingBox()).y - top) < 2, 'the row at its place');
});

test('whoever reads higher up is told of new messages, and is not moved', async () => {
  const { bob, conversation, window } = await longConversation();
  await scrollTo(window, 400);
  const reading = window.rows.nth(5);
  const button = window.page.getByRole('button', { name: 'Newest messages' });
  await button.waitFor({ state: 'hidden' });
  await eventually(async () => !(await window.page.getByText('Loading older').isVisible()), 'the end of loading');
  const top = (await reading.boundingBox()).y;
  await say(server, bob, conversation, 'And now?');
  await button.waitFor();
  assert.ok(Math.abs((await reading.boundingBox()).y - top) < 2);
  await window.shot('reading-higher-up');
  await button.click();
  assert.ok(await (await window.has('And now?')).isVisible());
  await button.waitFor({ state: 'hidden' });
});
