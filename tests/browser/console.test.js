// The console of operators: what they see of the server, and do.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { after, describe, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { closeClients, connect, disconnected, join, send } from '../js/support/clients.js';
import { serverForFile, startServer } from '../js/support/server.js';
import { adminToken, newConversation, newPair, newUser } from '../js/support/world.js';
import { isSound } from './support/accessibility.js';
import { Window } from './support/people.js';

const server = await serverForFile();
after(closeClients);

async function open(of = server, look) {
  const window = await Window.open(`${of.url}/admin`, look);
  await window.page.getByLabel('Token').fill(adminToken());
  await window.page.getByRole('button', { name: 'Open the console' }).click();
  await window.page.getByText('Connected', { exact: true }).waitFor();
  return window;
}

/** Whether the whole of it is within the window. */
async function isSeen(page, locator) {
  const { x, y, width, height } = await locator.boundingBox();
  const window = page.viewportSize();
  return x >= 0 && y >= 0 && x + width <= window.width && y + height <= window.height;
}

/** What stands beside a term. */
const number = (page, name) => page.locator('#numbers div', { has: page.getByText(name, { exact: true }) }).locator('dd');

async function find(page, begins) {
  await page.getByLabel('User or session begins with').fill(begins);
  await page.keyboard.press('Enter');
}

const details = (page, { id }) => page.getByRole('button', { name: `Details of the session of ${id}` });

describe('the console', () => {
  test('draws with the charts of the npm package', async () => {
    for (const name of ['uPlot.esm.js', 'uPlot.min.css']) {
      const vendored = await readFile(new URL(`../../src/console/page/vendor/${name}`, import.meta.url));
      assert.ok(vendored.equals(await readFile(new URL(`node_modules/uplot/dist/${name}`, import.meta.url))), name);
    }
  });

  test('lets nobody in without an admin\'s token', async () => {
    const { alice } = await newPair(server);
    const window = await Window.open(`${server.url}/admin`);
    for (const [token, words] of [[alice.token, 'Admin role required'], ['nonsense', 'Invalid or expired token']]) {
      await window.page.getByLabel('Token').fill(token);
      await window.page.getByRole('button', { name: 'Open the console' }).click();
      await window.page.getByRole('alert').filter({ hasText: words }).waitFor();
    }
    window.withoutFaults();
  });

  test('shows numbers and charts that move, and finds a session and its rooms', async () => {
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    await join(socket, conversation);
    const { page, ...window } = await open();
    const count = Number(await number(page, 'Messages since the start').textContent());
    for (let turn = 0; turn < 5; turn += 1) await send(socket, conversation, 'counted');
    await number(page, 'Messages since the start').filter({ hasText: String(count + 5) }).waitFor();
    assert.ok(await page.locator('#rate-chart canvas').isVisible());
    await page.getByLabel('User or session begins with').fill(alice.id);
    await page.getByRole('search').first().getByRole('button', { name: 'Find' }).click();
    await page.locator('#sessions-count').getByText('1 found').waitFor();
    await page.getByRole('button', { name: `Details of the session of ${alice.id}` }).click();
    const details = page.getByRole('dialog', { name: 'Session' });
    await details.getByText(conversation).waitFor();
    await details.getByText('websocket').waitFor();
    await details.getByRole('button', { name: 'Done' }).click();
    assert.deepEqual(window.faults, []);
  });

  test('names what it draws and counts', async () => {
    const { page } = await open();
    await number(page, 'Commit p50').waitFor();
    await number(page, 'Commit p99').waitFor();
    assert.deepEqual(await page.locator('#latency-legend li').allTextContents(), ['p50, the lower', 'p99, the upper']);
    await page.getByRole('columnheader', { name: 'Newest seq' }).waitFor();
  });

  test('tells whether Postgres answers', async () => {
    const keeper = await startServer();
    const host = encodeURIComponent(joinPath(keeper.dir, 'socket'));
    const guest = await startServer({ env: { DATABASE_URL: `postgres://horsetrust@/horsetrust?host=${host}` } });
    const window = await open(guest);
    const told = window.page.getByRole('status').filter({ hasText: 'Postgres:' });
    await told.getByText('Postgres: answers').waitFor();
    await keeper.stop();
    await told.getByText('Postgres: does not answer').waitFor();
    await isSound(window, 'console-without-postgres');
    await guest.stop();
  });

  test('tells the sessions of one user apart', async () => {
    const alice = await newUser(server);
    const sockets = [await connect(server, alice), await connect(server, alice)];
    const { page } = await open();
    await find(page, alice.id);
    await page.locator('#sessions-count').getByText('2 found').waitFor();
    for (const socket of sockets) {
      const end = socket.id.slice(-6);
      const row = page.getByRole('row').filter({ hasText: `…${end}` });
      await row.getByRole('button', { name: `Details of the session of ${alice.id}, ending in ${end}` }).waitFor();
    }
  });

  test('says that only ids are searched where a name is typed', async () => {
    const { page } = await open();
    const told = page.locator('#sessions-count');
    await find(page, 'Demo Seller');
    await told.getByText('0 found. Only ids are searched: 24 digits, 0–9 and a–f.').waitFor();
    await find(page, 'ABCDEF');
    await told.getByText('0 found', { exact: true }).waitFor();
  });

  test('keeps lists and details fresh, and leaves alone where the operator is', async () => {
    const [alice, bob] = [await newUser(server), await newUser(server)];
    await connect(server, alice);
    const { page } = await open();
    await find(page, alice.id);
    const told = page.locator('#sessions-count');
    await told.getByText('1 found').waitFor();
    const button = details(page, alice);
    await button.focus();
    const second = await connect(server, alice);
    await told.getByText('2 found').waitFor();
    assert.ok(await button.first().evaluate((focused) => focused === document.activeElement));

    await page.getByLabel('User or session begins with').pressSequentially('zzz');
    second.disconnect();
    await told.getByText('1 found').waitFor();
    await page.getByLabel('Conversation begins with').focus();
    const conversation = await newConversation(server, alice, bob);
    await join(await connect(server, bob), conversation);
    await page.locator('#rooms').getByText(conversation).waitFor();

    await button.click();
    const openFor = page.locator('#details-list div', { hasText: 'Open for' }).locator('dd');
    const before = await openFor.textContent();
    // From two minutes on it has minutes.
    await openFor.filter({ hasNotText: before }).waitFor({ timeout: 90_000 });
  });

  test('fits a phone', async () => {
    const alice = await newUser(server);
    const socket = await connect(server, alice);
    for (let room = 0; room < 12; room += 1) await join(socket, await newConversation(server, alice, await newUser(server)));
    const window = await open(server, { viewport: { width: 375, height: 700 } });
    const { page } = window;
    await find(page, alice.id);
    await page.locator('#sessions-count').getByText('1 found').waitFor();
    const button = details(page, alice);
    await button.scrollIntoViewIfNeeded();
    assert.ok(await isSeen(page, button));
    const { height } = await page.locator('#sessions .id').first().boundingBox();
    assert.ok(height < 30, `an id is ${height} px high`);
    for (const list of ['Found sessions', 'Found rooms']) {
      const widths = await page.getByRole('group', { name: list }).evaluate((box) => [box.scrollWidth, box.clientWidth]);
      assert.equal(widths[0], widths[1], list);
    }
    await window.shot('console-phone-lists');
    await button.click();
    await page.getByRole('dialog').getByRole('heading').waitFor();
    assert.ok(await isSeen(page, page.getByRole('button', { name: 'Done' })));
    await window.shot('console-phone-many-rooms');
  });

  test('shows the way of a message', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, reader] = [await connect(server, alice), await connect(server, bob)];
    await join(sender, conversation);
    await join(reader, conversation);
    const window = await open();
    const { page } = window;
    await page.getByLabel('Watch a conversation').fill(conversation);
    await page.getByRole('button', { name: 'Watch', exact: true }).first().click();
    await page.getByRole('button', { name: `Stop watching ${conversation}` }).waitFor();
    const { _id } = await send(sender, conversation, 'on its way');
    await page.locator('#ways summary').filter({ hasText: _id }).click();
    for (const words of ['Waits for a batch', 'Is committed', 'Is encoded', `new_message to ${reader.id}`, `message_notification to ${reader.id}`]) {
      await page.locator('#ways').getByText(words).first().waitFor();
    }
    assert.ok(!(await page.content()).includes('on its way'));
    await window.shot('console-way');
    window.withoutFaults();
  });

  test('closes a session when the operator says yes, and not before', async () => {
    const { alice } = await newPair(server);
    const socket = await connect(server, alice);
    const { page } = await open();
    await find(page, alice.id);
    await details(page, alice).click();
    await page.getByRole('button', { name: 'Close this session…' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.ok(socket.connected);
    await page.getByRole('button', { name: 'Close this session…' }).click();
    const ended = disconnected(socket);
    await page.getByRole('button', { name: 'Close the session' }).click();
    await ended;
    await page.locator('#sessions-count').getByText('0 found').waitFor();
  });

  test('stops a server, says so, and comes back with the next one', async () => {
    const first = await startServer();
    const window = await open(first);
    const { page } = window;
    await number(page, 'Sessions').waitFor();
    await page.getByRole('button', { name: 'Stop the server…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Stop the server' }).click();
    await page.getByText('The server does not answer').waitFor();
    assert.equal(await page.getByText('The server is stopping.').count(), 0);
    await page.getByRole('heading', { name: /^As it was at/ }).waitFor();
    await isSound(window, 'console-stale');
    await first.exited;
    const next = await startServer({ dir: first.dir, port: Number(new URL(first.url).port) });
    await page.getByText('Connected', { exact: true }).waitFor();
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await next.stop();
  });

  test('a press is a click though the lists become longer meanwhile', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const window = await open(server, { viewport: { width: 360, height: 740 } });
    const { page } = window;
    await page.getByLabel('Watch a conversation').fill(conversation);
    const button = page.getByRole('button', { name: 'Watch', exact: true }).first();
    await number(page, 'Sessions').waitFor();
    await button.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await button.boundingBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    const before = await button.boundingBox();
    for (const user of [alice, alice, bob, bob]) await connect(server, user);
    await page.waitForTimeout(4_000);
    assert.deepEqual(await button.boundingBox(), before, 'nothing moves');
    await page.mouse.up();
    await page.getByRole('button', { name: `Stop watching ${conversation}` }).waitFor();
    await details(page, alice).nth(1).waitFor();
    await page.mouse.down({ button: 'right' });
    await connect(server, alice);
    await details(page, alice).nth(2).waitFor();
    window.withoutFaults();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['desktop', { width: 1280, height: 900 }], ['phone', { width: 360, height: 740 }]]) {
      test(`has no violation that axe knows of: ${size}, ${colorScheme}`, async () => {
        const { alice, bob, conversation } = await newPair(server);
        const [sender, reader] = [await connect(server, alice), await connect(server, bob)];
        await join(reader, conversation);
        const window = await open(server, { colorScheme, viewport });
        const { page } = window;
        await page.getByLabel('Watch a conversation').fill(conversation);
        await page.getByRole('button', { name: 'Watch', exact: true }).first().click();
        await page.getByRole('button', { name: `Stop watching ${conversation}` }).waitFor();
        await send(sender, conversation, 'seen');
        await page.locator('#ways summary').first().click();
        const sound = async (state) => {
          const { violations } = await new AxeBuilder({ page }).analyze();
          assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], state);
          await window.shot(`console-${size}-${colorScheme}-${state}`);
        };
        await sound('open');
        await page.getByRole('button', { name: /Details of the session of/ }).first().click();
        await page.getByRole('dialog', { name: 'Session' }).waitFor();
        await sound('details');
      });
    }
  }
});
