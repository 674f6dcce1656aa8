// Deleting one's own messages: after a question, for both sides at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, succeeded } from '../js/support/rest.js';
import { serverForFile } from '../js/support/server.js';
import { eventually } from '../js/support/wait.js';
import { history, newPair, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });

/** Two windows on a conversation in which Alice has said these, and Bob has seen the last of them. */
async function talking(...texts) {
  const pair = await newPair(server);
  for (const text of texts) await say(server, pair.alice, pair.conversation, text);
  const [alice, bob] = [await Window.of(server.url, pair.alice), await Window.of(server.url, pair.bob)];
  await alice.openConversation(pair.bob);
  await bob.openConversation(pair.alice);
  await bob.has(texts.at(-1));
  return { ...pair, windows: { alice, bob } };
}

const deleteButton = (window, text) => window.page.getByRole('button', { name: `Delete: ${text}` });
const question = (window) => window.page.getByRole('alertdialog', { name: 'Delete this message?' });
const focused = (window) => window.page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);

test('a deleted message goes from both windows and both lists, and from what is stored', async () => {
  const { alice, bob, conversation, windows } = await talking('One', 'Two, a mistake');
  await windows.bob.shot('deletion-before');
  await (await windows.alice.has('Two, a mistake')).hover();
  await windows.alice.shot('deletion-offered');
  await deleteButton(windows.alice, 'Two, a mistake').click();
  await question(windows.alice).getByText('Two, a mistake').waitFor();
  await question(windows.alice).getByRole('button', { name: 'Delete' }).click();
  await question(windows.alice).waitFor({ state: 'hidden' });
  for (const [window, other] of [[windows.alice, bob], [windows.bob, alice]]) {
    await eventually(async () => (await window.texts()).join() === 'One', 'one message left');
    await window.linkTo(other).getByText('One').waitFor();
    window.withoutFaults();
  }
  await windows.bob.shot('deletion-after');
  assert.equal(await windows.alice.page.locator('#announcer').textContent(), 'The message is deleted.');
  assert.deepEqual((await history(server, bob, conversation)).map(({ text }) => text), ['One']);
});

test('what was deleted in a conversation that was not open goes from the list when it is opened', async () => {
  const { alice, bob, conversation, windows } = await talking('One', 'Two, a mistake');
  const link = windows.bob.linkTo(alice);
  await windows.bob.page.keyboard.press('Escape');
  await link.getByText('Two, a mistake').waitFor();
  const [, last] = await history(server, bob, conversation);
  succeeded(await call(server, 'DELETE', `/api/chat/messages/${last._id}`, { token: alice.token }));
  await link.click();
  await windows.bob.linkTo(alice).getByText('One').waitFor();
  await eventually(async () => (await windows.bob.texts()).join() === 'One', 'one message left');
});

test('nothing is deleted unless the question is answered so', async () => {
  const { bob, conversation, windows } = await talking('Stays');
  const { page } = windows.alice;
  for (const no of [() => page.keyboard.press('Escape'), () => question(windows.alice).getByRole('button', { name: 'Cancel' }).click()]) {
    await deleteButton(windows.alice, 'Stays').click();
    await question(windows.alice).waitFor();
    assert.equal(await focused(windows.alice), 'Cancel', 'Enter does no harm');
    await no();
    await question(windows.alice).waitFor({ state: 'hidden' });
    assert.equal(await focused(windows.alice), 'Delete: Stays', 'back where it was asked');
    await windows.alice.has('Stays');
  }
  assert.equal((await history(server, bob, conversation)).length, 1);
});

test('only one’s own messages can be deleted', async () => {
  const { bob, conversation, windows } = await talking('Of Alice');
  await say(server, bob, conversation, 'Of Bob');
  for (const [window, text] of [[windows.alice, 'Of Alice'], [windows.bob, 'Of Bob']]) {
    await window.has('Of Bob');
    const labels = await window.page.locator('.delete').evaluateAll((buttons) => buttons.map((button) => button.ariaLabel));
    assert.deepEqual(labels, [`Delete: ${text}`]);
  }
});

test('a message that could not be deleted is still there, and one is told and can try again', async () => {
  const { windows } = await talking('Stubborn');
  const { page, context } = windows.alice;
  await context.route('**/api/chat/messages/*', (route) => route.abort());
  await deleteButton(windows.alice, 'Stubborn').click();
  const confirm = question(windows.alice).getByRole('button', { name: 'Delete' });
  await confirm.click();
  await page.getByRole('alert').getByText('The server does not answer.').waitFor();
  await windows.alice.has('Stubborn');
  await context.unrouteAll();
  await confirm.click();
  await question(windows.alice).waitFor({ state: 'hidden' });
  for (const window of Object.values(windows)) await eventually(async () => (await window.texts()).length === 0, 'none left');
});

test('by keyboard Tab stops once at all that can be deleted, and the arrows lead through it', async () => {
  const { windows } = await talking('One', 'Two', 'Three');
  const { keyboard } = windows.alice.page;
  await windows.alice.composer.focus();
  await keyboard.press('Shift+Tab');
  assert.equal(await focused(windows.alice), 'Delete: Three');
  for (const text of ['Two', 'One', 'One']) {
    await keyboard.press('ArrowUp');
    assert.equal(await focused(windows.alice), `Delete: ${text}`);
  }
  await keyboard.press('Shift+Tab');
  assert.equal(await focused(windows.alice), 'History');
  await keyboard.press('Tab');
  await keyboard.press('ArrowDown');
  assert.equal(await focused(windows.alice), 'Delete: Two');
  await keyboard.press('Enter');
  await question(windows.alice).waitFor();
  await keyboard.press('Tab');
  assert.equal(await focused(windows.alice), 'Delete');
  await keyboard.press('Enter');
  await question(windows.alice).waitFor({ state: 'hidden' });
  assert.equal(await focused(windows.alice), 'History', 'the keyboard stays among the messages');
  assert.deepEqual(await windows.alice.texts(), ['One', 'Three']);
});
