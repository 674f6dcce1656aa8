// What `make run` serves: one address, demo users, nothing from elsewhere.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
import { LOOKS, isSound } from './support/accessibility.js';
import { Window } from './support/people.js';

const server = await serverForFile({ flags: ['--demo'] });

async function as(name, options) {
  const window = await Window.open(server.url, options);
  await window.page.getByRole('button', { name }).click();
  await window.isConnected();
  return window;
}

const user = (full_name) => ({ full_name });

test('two demo users talk, and stay who they are over a reload, until they sign out', async () => {
  const [buyer, seller] = [await as('Demo Buyer'), await as('Demo Seller', { colorScheme: 'dark' })];
  await buyer.openConversation(user('Demo Seller'));
  await buyer.has('Saturday at ten, then. Bring boots!');
  await buyer.shot('demo');
  await seller.openConversation(user('Demo Buyer'));
  await buyer.say('They are packed.');
  await seller.has('They are packed.');
  await buyer.has('They are packed.', 'read');
  await seller.shot('demo-dark');
  await buyer.page.reload();
  await buyer.has('They are packed.', 'read');
  await buyer.page.getByText('Demo Buyer').waitFor();
  await buyer.page.getByRole('button', { name: 'Sign out' }).click();
  await buyer.page.getByRole('button', { name: 'Demo Breeder' }).waitFor();
  await buyer.shot('demo-users');
  buyer.withoutFaults();
  seller.withoutFaults();
});

test('somebody else in the same window gets nothing of the one before', async () => {
  const window = await as('Demo Stable');
  await window.openConversation(user('Demo Buyer'));
  await window.page.getByRole('button', { name: 'Sign out' }).click();
  await window.page.getByRole('button', { name: 'Demo Breeder' }).click();
  await window.linkTo(user('Demo Buyer')).getByText('The foal you asked about').waitFor();
  await window.page.getByText('Choose a conversation to read and write.').waitFor();
});

test('a conversation that is not there, or is not one\'s own, opens nothing', async () => {
  const window = await as('Demo Breeder');
  await window.page.goto(`${server.url}/#c/${'a'.repeat(24)}`);
  await window.linkTo(user('Demo Buyer')).waitFor();
  await window.page.getByText('Choose a conversation to read and write.').waitFor();
});

const newConversation = ({ page }) => page.getByRole('button', { name: 'New conversation' });
const choice = ({ page }) => page.getByRole('dialog', { name: 'New conversation' });

test('a conversation with somebody new is begun, and comes to the other with its first message', async () => {
  const [seller, stable] = [await as('Demo Seller'), await as('Demo Stable')];
  await newConversation(seller).click();
  await choice(seller).waitFor();
  assert.deepEqual(await choice(seller).locator('.users').getByRole('button').allTextContents(), [
    'DBDemo Buyer',
    'DSDemo Stable',
    'DBDemo Breeder',
  ]);
  await seller.shot('new-conversation');
  // The keyboard begins at the first of them.
  await seller.page.keyboard.press('Tab');
  await seller.page.keyboard.press('Enter');
  await choice(seller).waitFor({ state: 'hidden' });
  await seller.page.getByRole('heading', { name: 'Demo Stable' }).waitFor();
  await seller.page.getByText('No messages yet. Write the first one.').waitFor();
  assert.ok(await seller.composer.evaluate((text) => text === document.activeElement));
  await seller.shot('new-conversation-begun');
  await seller.say('Is there room for a pony?');
  await stable.page.locator('.notice').getByText('Is there room for a pony?').waitFor();
  await stable.badge(user('Demo Seller')).getByText('1').waitFor();
  await stable.openConversation(user('Demo Seller'));
  await stable.say('There is.');
  await seller.has('There is.');
  for (const window of [seller, stable]) window.withoutFaults();
});

test('a conversation that there is already is opened, not begun again', async () => {
  const buyer = await as('Demo Buyer');
  await newConversation(buyer).click();
  await choice(buyer).getByRole('button', { name: 'Demo Breeder' }).click();
  await buyer.has('The foal you asked about was born last night.');
  await newConversation(buyer).click();
  await choice(buyer).getByRole('button', { name: 'Demo Breeder' }).click();
  await choice(buyer).waitFor({ state: 'hidden' });
  assert.ok(await buyer.composer.evaluate((text) => text === document.activeElement), 'the one that is open');
  assert.equal(await buyer.linkTo(user('Demo Breeder')).count(), 1);
});

test('who does not want to begin a conversation stays where they are, and who cannot is told why', async () => {
  const breeder = await as('Demo Breeder');
  await breeder.openConversation(user('Demo Buyer'));
  await newConversation(breeder).click();
  await choice(breeder).waitFor();
  await breeder.page.keyboard.press('Escape');
  await choice(breeder).waitFor({ state: 'hidden' });
  await breeder.page.getByRole('heading', { name: 'Demo Buyer' }).waitFor();
  assert.equal(await breeder.page.evaluate(() => document.activeElement.ariaLabel), 'New conversation');
  await breeder.context.route('**/api/chat/conversations', (route) =>
    route.request().method() === 'POST' ? route.abort() : route.continue(),
  );
  await newConversation(breeder).click();
  await choice(breeder).getByRole('button', { name: 'Demo Seller' }).click();
  await choice(breeder).getByRole('alert').getByText('The server does not answer.').waitFor();
  await breeder.context.unrouteAll();
  await breeder.context.route('**/demo/users', (route) => route.abort());
  await choice(breeder).getByRole('button', { name: 'Cancel' }).click();
  await newConversation(breeder).click();
  await choice(breeder).getByRole('alert').getByText('The server does not answer.').waitFor();
  assert.equal(await choice(breeder).locator('.users').getByRole('button').count(), 0);
});

for (const { name, look } of LOOKS) {
  test(`the choice of somebody to write to has no violation that axe knows of: ${name}`, async () => {
    const window = await as('Demo Buyer', look);
    await newConversation(window).click();
    await choice(window).waitFor();
    await isSound(window, `${name}-new-conversation`);
  });
}

test('the client that the page uses is the stock one, of the version that the tests use', async () => {
  const packages = createRequire(new URL('../js/package.json', import.meta.url));
  const stock = path.join(path.dirname(packages.resolve('socket.io-client/package.json')), 'dist/socket.io.esm.min.js');
  const vendored = new URL('../../src/page/vendor/socket.io.esm.min.js', import.meta.url);
  assert.ok((await readFile(vendored)).equals(await readFile(stock)));
});
