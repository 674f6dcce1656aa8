// Two people at two browsers who talk with each other, and a third one who writes in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
import { newConversation, newPair, newUser, say, unreadCount } from '../js/support/world.js';
import { eventually } from '../js/support/wait.js';
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

test('what is unread is counted by conversation when the page opens', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const carol = await newUser(server);
  const other = await newConversation(server, carol, alice);
  for (const text of ['1', '2', '3']) await say(server, bob, conversation, text);
  await say(server, carol, other, 'and this');
  const window = await Window.of(server.url, alice);
  await window.badge(bob).getByText('3').waitFor();
  await window.badge(carol).getByText('1').waitFor();
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
