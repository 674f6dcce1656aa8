// What `make run` serves: one address, demo users, nothing from elsewhere.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { serverForFile } from '../js/support/server.js';
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

test('the client that the page uses is the stock one, of the version that the tests use', async () => {
  const packages = createRequire(new URL('../js/package.json', import.meta.url));
  const stock = path.join(path.dirname(packages.resolve('socket.io-client/package.json')), 'dist/socket.io.esm.min.js');
  const vendored = new URL('../../src/page/vendor/socket.io.esm.min.js', import.meta.url);
  assert.ok((await readFile(vendored)).equals(await readFile(stock)));
});
