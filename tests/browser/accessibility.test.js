// No violation that axe knows of, in light and dark, wide and narrow, in each state that the page has.
import { describe, test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
import { newConversation, newPair, newUser, say } from '../js/support/world.js';
import { LOOKS, isSound } from './support/accessibility.js';
import { Window } from './support/people.js';

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

for (const { name, look } of LOOKS) {
  describe(name, () => {
    test('signing in', async () => {
      const window = await Window.open(server.url, look);
      await isSound(window, `${name}-sign-in`);
    });

    test('the list, a conversation with all kinds of messages, a notice', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const carol = await newUser(server);
      const other = await newConversation(server, carol, alice);
      await say(server, bob, conversation, 'Would Saturday suit you?');
      await say(server, carol, other, 'The farrier comes on Monday.');
      const window = await Window.of(server.url, alice, look);
      await window.badge(bob).waitFor();
      await isSound(window, `${name}-list`);
      await window.openConversation(bob);
      await window.say('Saturday suits me.');
      await window.say('not\u0000this');
      await window.page.getByRole('button', { name: 'Discard' }).waitFor();
      await say(server, carol, other, 'Or on Tuesday.');
      await window.page.locator('.notice').waitFor();
      await isSound(window, `${name}-thread`);
    });

    test('the question before a message is deleted, and why it was not', async () => {
      const { alice, bob, conversation } = await newPair(server);
      await say(server, alice, conversation, `${'A message with many words, all of them wrong. '.repeat(12)}Or not?`);
      const window = await Window.of(server.url, alice, look);
      await window.openConversation(bob);
      await window.page.getByRole('button', { name: /^Delete: A message/ }).click();
      await window.page.getByRole('alertdialog').waitFor();
      await isSound(window, `${name}-deletion`);
      await window.context.route('**/api/chat/messages/*', (route) => route.abort());
      await window.page.getByRole('button', { name: 'Delete', exact: true }).click();
      await window.page.getByText('The server does not answer.').waitFor();
      await isSound(window, `${name}-deletion-failed`);
    });

    test('older messages that could not be loaded', async () => {
      const { alice, bob, conversation } = await newPair(server);
      for (let n = 1; n <= 50; n += 1) await say(server, n % 3 ? alice : bob, conversation, `Message ${n}`);
      const window = await Window.of(server.url, alice, look);
      await window.context.route(/before_seq=\d{1,6}&/u, (route) => route.abort());
      await window.openConversation(bob);
      await window.has('Message 50');
      await window.page.locator('#messages').evaluate((box) => (box.scrollTop = 0));
      await window.page.locator('#older').getByRole('button', { name: 'Try again' }).waitFor();
      await isSound(window, `${name}-older-failed`);
    });

    test('a device that is offline', async () => {
      const { alice, bob } = await newPair(server);
      const window = await Window.of(server.url, alice, look);
      await window.openConversation(bob);
      await window.context.setOffline(true);
      await window.page.getByText('This device is offline.').waitFor();
      await window.say('Later, then');
      await window.has('Later, then', 'waiting');
      await isSound(window, `${name}-offline`);
    });
  });
}
