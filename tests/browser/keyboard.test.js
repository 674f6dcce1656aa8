// Without a mouse, and on a phone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
import { newPair, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

const focused = (window) => window.page.evaluate(() => {
  const { activeElement: at } = document;
  return at.ariaLabel ?? (at.labels?.[0] ?? at).textContent.trim();
});

/** Whether the focused element shows that it is. */
const focusShows = (window) => window.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none');

async function tabTo(window, wanted) {
  for (let n = 0; n < 20; n += 1) {
    await window.page.keyboard.press('Tab');
    assert.ok(await focusShows(window), `the focus shows at ${await focused(window)}`);
    if (wanted.test(await focused(window))) return;
  }
  assert.fail(`no ${wanted} by Tab; at ${await focused(window)}`);
}

test('all can be done by keyboard: sign in, open, read, write, go back, sign out', async () => {
  const { alice, bob, conversation } = await newPair(server);
  await say(server, bob, conversation, 'Hello');
  const window = await Window.open(server.url);
  const { keyboard } = window.page;
  await tabTo(window, /^Token/);
  await keyboard.insertText(alice.token);
  await keyboard.press('Enter');
  await window.linkTo(bob).waitFor();
  await tabTo(window, /^Skip to the messages/);
  await window.shot('skip');
  await tabTo(window, new RegExp(bob.full_name));
  await keyboard.press('Enter');
  await window.has('Hello');
  assert.equal(await focused(window), `Message to ${bob.full_name}`);
  await keyboard.type('One line');
  await keyboard.press('Shift+Enter');
  await keyboard.type('and another');
  await keyboard.press('Enter');
  await window.has('One line\nand another', 'sent');
  await keyboard.press('Shift+Tab');
  assert.equal(await focused(window), 'Delete: One line\nand another');
  await keyboard.press('Shift+Tab');
  assert.equal(await focused(window), 'History', 'the messages can be scrolled by keyboard');
  await keyboard.press('Escape');
  assert.match(await focused(window), new RegExp(bob.full_name), 'back at the conversation in the list');
  await tabToBackwards(window, /^Sign out/);
  await keyboard.press('Enter');
  await window.page.getByLabel('Token').waitFor();
  window.withoutFaults();
});

async function tabToBackwards(window, wanted) {
  for (let n = 0; n < 20 && !wanted.test(await focused(window)); n += 1) await window.page.keyboard.press('Shift+Tab');
  assert.match(await focused(window), wanted);
}

test('on a phone there is the list or the conversation, and the way back', async () => {
  const { alice, bob, conversation } = await newPair(server);
  await say(server, bob, conversation, `A long word: ${'hoof'.repeat(60)}`);
  const window = await Window.of(server.url, alice, PHONE);
  await window.linkTo(bob).waitFor();
  await window.shot('phone-list');
  const { page } = window;
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.ok(await fits(), 'the list');
  await window.linkTo(bob).tap();
  await page.getByRole('navigation').waitFor({ state: 'hidden' });
  assert.equal(await focused(window), bob.full_name, 'read out, and no keyboard over the messages');
  await window.composer.fill('From the stable');
  await page.getByRole('button', { name: 'Send' }).tap();
  await window.has('From the stable', 'sent');
  assert.ok(await fits(), 'the conversation');
  for (const button of await page.locator('button:visible').all()) {
    const { width, height } = await button.boundingBox();
    assert.ok(width >= 40 && height >= 40, `${await button.textContent()} is large enough for a finger`);
  }
  await window.shot('phone-thread');
  await page.getByRole('button', { name: 'Back to the conversations' }).tap();
  await window.linkTo(bob).waitFor();
  await page.goBack();
  await window.composer.waitFor();
  window.withoutFaults();
});
