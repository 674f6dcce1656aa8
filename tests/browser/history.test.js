// A long conversation: its end comes first, the rest by scrolling up, and the reader's place stays where it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, succeeded } from '../js/support/rest.js';
import { serverForFile } from '../js/support/server.js';
import { range } from '../js/support/shapes.js';
import { eventually } from '../js/support/wait.js';
import { history, newPair, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const LENGTH = 130;
/** How many come at first. */
const PAGE = 40;

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

/** A window on a conversation of `LENGTH` messages, by turns of both. */
async function longConversation(options) {
  const pair = await newPair(server);
  for (const n of range(1, LENGTH)) await say(server, n % 2 ? pair.alice : pair.bob, pair.conversation, `Message ${n}`);
  const window = await Window.of(server.url, pair.alice, options);
  await window.openConversation(pair.bob);
  await window.has(`Message ${LENGTH}`);
  return { ...pair, window };
}

/** So many CSS pixels from the top; the page has heard of it then. */
const scrollTo = (window, top) =>
  window.page.locator('#messages').evaluate((box, y) => {
    const scrolled = new Promise((resolve) => box.addEventListener('scroll', () => requestAnimationFrame(resolve), { once: true }));
    const before = box.scrollTop;
    box.scrollTop = y;
    return box.scrollTop === before || scrolled;
  }, top);

/** The text of the first message on the screen, whole or in part, and where it is. */
const firstOnScreen = (window) =>
  window.page.locator('#messages').evaluate((box) => {
    const edge = box.getBoundingClientRect().top;
    const row = [...box.querySelectorAll('.message')].find((one) => one.getBoundingClientRect().bottom > edge);
    return { text: row.querySelector('.text').textContent, top: row.getBoundingClientRect().top };
  });

/** What comes of the requests for older messages is up to `answer(route)`. */
const onOlder = (window, answer) =>
  window.context.route(/\/messages\?before_seq=\d{1,6}&/u, (route) => answer(route));

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

test('a window with room for more than comes at first gets more, without being scrolled', async () => {
  const { window } = await longConversation({ viewport: { width: 1180, height: 4000 } });
  await eventually(async () => (await window.rows.count()) > PAGE, 'older messages');
  const hidden = () => window.page.locator('#messages').evaluate((box) => box.scrollHeight - box.clientHeight);
  await eventually(async () => (await hidden()) > 0, 'more than there is room for');
  assert.equal((await window.texts()).at(-1), `Message ${LENGTH}`);
});

test('a window that becomes larger gets more', async () => {
  const { window } = await longConversation();
  assert.equal(await window.rows.count(), PAGE);
  await window.page.setViewportSize({ width: 1180, height: 4000 });
  await eventually(async () => (await window.rows.count()) > PAGE, 'older messages');
});

test('older messages that could not be loaded are asked for again by a button, within reach of the keyboard', async () => {
  const { window } = await longConversation();
  const { page } = window;
  let asked = 0;
  await onOlder(window, (route) => {
    asked += 1;
    return route.abort();
  });
  await scrollTo(window, 0);
  const again = page.locator('#older').getByRole('button', { name: 'Try again' });
  await again.waitFor();
  const announced = await page.locator('#announcer').textContent();
  assert.equal(announced, 'Older messages could not be loaded.');
  await scrollTo(window, 50);
  await scrollTo(window, 0);
  assert.equal(asked, 1, 'not again by itself');
  await window.shot('older-failed');
  await page.getByRole('region', { name: 'History' }).focus();
  await page.keyboard.press('Tab');
  assert.ok(await again.evaluate((button) => button === document.activeElement), 'Tab leads to it');
  await page.keyboard.press('Enter');
  await eventually(() => asked === 2, 'another request');
  await again.waitFor();
  await page.context().unrouteAll();
  await again.click();
  await eventually(async () => (await window.rows.count()) > PAGE, 'older messages');
  await again.waitFor({ state: 'hidden' });
  const focused = await page.evaluate(() => document.activeElement.ariaLabel);
  assert.equal(focused, 'History', 'the keyboard stays where it was');
});

test('older messages come in above what is being read, which stays where it is', async () => {
  const { window } = await longConversation();
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await onOlder(window, async (route) => {
    await released;
    await route.continue();
  });
  await scrollTo(window, 200);
  await window.page.getByText('Loading older messages…').waitFor();
  const reading = await firstOnScreen(window);
  release();
  await eventually(async () => (await window.rows.count()) > PAGE, 'older messages');
  const after = await firstOnScreen(window);
  assert.equal(after.text, reading.text);
  assert.ok(Math.abs(after.top - reading.top) < 2, `from ${reading.top} to ${after.top}`);
});

test('whoever reads higher up is told of new messages, and is not moved', async () => {
  const { bob, conversation, window } = await longConversation();
  await scrollTo(window, 400);
  const button = window.page.getByRole('button', { name: 'Newest messages' });
  assert.equal(await button.isVisible(), false);
  const reading = await firstOnScreen(window);
  await say(server, bob, conversation, 'And now?');
  await button.waitFor();
  const after = await firstOnScreen(window);
  assert.equal(after.text, reading.text);
  assert.ok(Math.abs(after.top - reading.top) < 2, `from ${reading.top} to ${after.top}`);
  await window.shot('reading-higher-up');
  await button.click();
  const row = await window.has('And now?');
  const { bottom } = await row.evaluate((one) => one.getBoundingClientRect());
  const end = await window.page.locator('#messages').evaluate((box) => box.getBoundingClientRect().bottom);
  assert.ok(bottom <= end, `it is on the screen: ${bottom} of ${end}`);
  await button.waitFor({ state: 'hidden' });
});

test('a message that is deleted leaves the others on the screen where they are', async () => {
  const { alice, bob, conversation, window } = await longConversation();
  await scrollTo(window, 400);
  const { text } = await firstOnScreen(window);
  const row = window.rows.filter({ has: window.page.getByText(text, { exact: true }) });
  const next = window.rows.filter({ has: window.page.getByText(`Message ${Number(text.split(' ')[1]) + 1}`, { exact: true }) });
  const { top } = await next.evaluate((one) => one.getBoundingClientRect());
  const stored = await history(server, alice, conversation, '?limit=100&mark_read=false');
  const { _id, sender_id: sender } = stored.find((message) => message.text === text);
  const { token } = [alice, bob].find(({ id }) => id === sender._id);
  succeeded(await call(server, 'DELETE', `/api/chat/messages/${_id}`, { token }));
  await row.waitFor({ state: 'detached' });
  const after = await next.evaluate((one) => one.getBoundingClientRect());
  assert.ok(Math.abs(after.top - top) < 2, `from ${top} to ${after.top}`);
});
