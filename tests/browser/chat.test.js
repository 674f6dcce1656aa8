// Two people at two browsers who talk with each other, and a third one who writes in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, succeeded } from '../js/support/rest.js';
import { serverForFile } from '../js/support/server.js';
import { eventually } from '../js/support/wait.js';
import { history, newConversation, newPair, newUser, say, unreadCount } from '../js/support/world.js';
import { Window } from './support/people.js';

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

async function pairAtWindows() {
  const pair = await newPair(server);
  const [alice, bob] = [await Window.of(server.url, pair.alice), await Window.of(server.url, pair.bob)];
  return { ...pair, windows: { alice, bob } };
}

test('what one says the other reads at once, and the ticks tell so', async () => {
  const { alice, bob, windows } = await pairAtWindows();
  await windows.alice.openConversation(bob);
  await windows.alice.say('Is he still there?');
  await windows.alice.has('Is he still there?', 'sent');
  await windows.bob.badge(alice).getByText('1').waitFor();
  await windows.bob.openConversation(alice);
  await windows.alice.has('Is he still there?', 'read');
  await windows.bob.badge(alice).waitFor({ state: 'hidden' });
  await windows.bob.say('He is. 🐎\nCome and see him!');
  await windows.alice.has('He is. 🐎\nCome and see him!');
  await windows.bob.has('He is. 🐎\nCome and see him!', 'read');
  assert.deepEqual(await windows.alice.texts(), await windows.bob.texts());
  assert.equal(await unreadCount(server, alice), 0);
  for (const window of Object.values(windows)) window.withoutFaults();
});

test('whoever types is shown, until the text is sent or removed', async () => {
  const { alice, bob, windows } = await pairAtWindows();
  await windows.alice.openConversation(bob);
  await windows.bob.openConversation(alice);
  const typing = windows.bob.page.getByText(`${alice.full_name} is typing`);
  await windows.alice.composer.fill('Well');
  await typing.waitFor();
  await windows.bob.shot('typing');
  await windows.alice.composer.fill('');
  await typing.waitFor({ state: 'detached' });
  await windows.alice.composer.fill('Well, yes');
  await typing.waitFor();
  await windows.alice.composer.press('Enter');
  await typing.waitFor({ state: 'detached' });
  await windows.bob.has('Well, yes');
});

test('one’s own typing in another window is not the other’s', async () => {
  const { alice, bob, conversation, windows } = await pairAtWindows();
  const second = await Window.of(server.url, alice);
  for (const window of [windows.alice, second]) await window.openConversation(bob);
  await windows.bob.openConversation(alice);
  await windows.alice.composer.fill('Well');
  await windows.bob.page.getByText(`${alice.full_name} is typing`).waitFor();
  // It comes behind the typing.
  await say(server, alice, conversation, 'from a third device');
  await second.has('from a third device');
  assert.equal(await second.page.getByText(`${bob.full_name} is typing`).count(), 0);
  await windows.bob.composer.fill('Yes?');
  await second.page.getByText(`${bob.full_name} is typing`).waitFor();
});

test('a message in another conversation has a notice and a badge, and the notice leads there', async () => {
  const { alice, bob, windows } = await pairAtWindows();
  const carol = await newUser(server);
  const other = await newConversation(server, carol, alice);
  await windows.alice.openConversation(bob);
  await say(server, carol, other, 'The saddle has come.');
  const notice = windows.alice.page.locator('.notice');
  await notice.getByText('The saddle has come.').waitFor();
  // It stays as long as the pointer is there.
  await notice.hover();
  await windows.alice.badge(carol).getByText('1').waitFor();
  assert.match(await windows.alice.page.title(), /^\(1\)/);
  const announced = () => windows.alice.page.locator('#announcer').textContent();
  await eventually(async () => (await announced()).includes('New message from'), 'announcement');
  await windows.alice.shot('notice');
  await notice.getByRole('link').click();
  await windows.alice.has('The saddle has come.');
  await notice.waitFor({ state: 'detached' });
  await windows.alice.badge(carol).waitFor({ state: 'hidden' });
  assert.doesNotMatch(await windows.alice.page.title(), /^\(/);
});

test('what is unread is told by conversation when the page opens, and no message is asked for', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const carol = await newUser(server);
  const other = await newConversation(server, carol, alice);
  for (const text of ['1', '2', '3']) await say(server, bob, conversation, text);
  await say(server, carol, other, 'and this');
  const asked = [];
  const listen = (context) => context.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const window = await Window.of(server.url, alice, {}, listen);
  await window.badge(bob).getByText('3').waitFor();
  await window.badge(carol).getByText('1').waitFor();
  assert.ok(asked.includes('/api/chat/conversations'));
  assert.deepEqual(asked.filter((path) => path.includes('/messages')), []);
});

test('what is read on another device, or deleted, is unread no longer, and what comes then is counted', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const window = await Window.of(server.url, alice);
  await eventually(() => window.lists === 2, 'the list at the beginning, and that of the session');
  for (const text of ['1', '2', '3']) await say(server, bob, conversation, text);
  await window.badge(bob).getByText('3').waitFor();
  await history(server, alice, conversation);
  await window.badge(bob).waitFor({ state: 'hidden' });
  const { _id: mistaken } = await say(server, bob, conversation, 'a mistake');
  await say(server, bob, conversation, '4');
  await window.badge(bob).getByText('2').waitFor();
  succeeded(await call(server, 'DELETE', `/api/chat/messages/${mistaken}`, { token: bob.token }));
  await window.badge(bob).getByText('1').waitFor();
});

test('a list that was on its way when a message came does not put an older one in its place', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const carol = await newUser(server);
  const other = await newConversation(server, carol, alice);
  const window = await Window.of(server.url, alice);
  await window.openConversation(bob);
  let release;
  const released = new Promise((resolve) => (release = resolve));
  let got;
  const fetched = new Promise((resolve) => (got = resolve));
  const late = async (route) => {
    const response = await route.fetch();
    got();
    await released;
    await route.fulfill({ response });
  };
  await window.context.route('**/api/chat/conversations', late, { times: 1 });
  await say(server, carol, other, 'A reason to fetch the list');
  await fetched;
  await say(server, alice, conversation, 'newest');
  await window.linkTo(bob).getByText('newest').waitFor();
  await window.linkTo(bob).evaluate((link) => {
    globalThis.seen = [];
    new MutationObserver(() => seen.push(link.textContent)).observe(link, { childList: true, subtree: true });
  });
  release();
  await window.linkTo(carol).getByText('A reason to fetch the list').waitFor();
  const seen = await window.page.evaluate(() => globalThis.seen);
  assert.ok(seen.length > 0, 'the row was made anew');
  assert.deepEqual(seen.filter((text) => !text.includes('newest')), []);
});

test('a window that comes into sight again shows what another device has said meanwhile', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const window = await Window.of(server.url, alice);
  await window.linkTo(bob).getByText('No messages yet').waitFor();
  await eventually(() => window.lists === 2, 'the list at the beginning, and that of the session');
  // No event tells it: it has not joined.
  await say(server, alice, conversation, 'from another device');
  await window.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  await window.linkTo(bob).getByText('from another device').waitFor();
});

test('text is text, whatever markup it looks like, and is kept to the byte', async () => {
  const { alice, bob, windows } = await pairAtWindows();
  await windows.alice.openConversation(bob);
  await windows.bob.openConversation(alice);
  const text = '  <img src=x onerror="document.title=1"> & <b>bold</b>\n\n‏שלום  ';
  await windows.alice.say(text);
  await eventually(async () => (await windows.bob.texts()).includes(text), 'the text as it was written');
  windows.bob.withoutFaults();
});

test('what the server refuses is said, kept, and can be discarded', async () => {
  const { bob, windows } = await pairAtWindows();
  await windows.alice.openConversation(bob);
  await windows.alice.say('no\u0000thing');
  const row = windows.alice.page.locator('.message[data-state="failed"]');
  await row.getByText(/^Not sent: /).waitFor();
  await windows.alice.shot('not-sent');
  await row.getByRole('button', { name: 'Discard' }).click();
  await row.waitFor({ state: 'detached' });
  await windows.alice.say('x'.repeat(2001));
  assert.equal(await windows.alice.composer.getAttribute('aria-invalid'), 'true');
  await windows.alice.page.getByText('1 too many').waitFor();
  assert.deepEqual(await windows.alice.texts(), []);
});

test('somebody without conversations, and somebody with a bad token, are told so', async () => {
  const window = await Window.of(server.url, await newUser(server));
  await window.page.getByText('No conversations yet.').waitFor();
  const begin = window.page.getByRole('button', { name: 'New conversation' });
  assert.equal(await begin.count(), 0, 'who there is only the marketplace knows');
  await window.shot('empty');
  const stranger = await Window.open(server.url);
  await stranger.page.getByLabel('Token').fill('garbage');
  await stranger.page.getByRole('button', { name: 'Open the chat' }).click();
  await stranger.page.getByText('This is not a token').waitFor();
  const claims = Buffer.from(JSON.stringify({ userId: 'a'.repeat(24) })).toString('base64url');
  await stranger.page.getByLabel('Token').fill(`x.${claims}.x`);
  await stranger.page.getByRole('button', { name: 'Open the chat' }).click();
  await stranger.page.getByText('The token does not hold any more.').waitFor();
  await stranger.shot('sign-in-token');
});
