// Networks and servers that go away and come back: nothing is lost, and nothing is there twice.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Relay, closeRelays } from '../js/support/relay.js';
import { makeDataDir, removeDataDir, serverForFile, startServer } from '../js/support/server.js';
import { eventually, within } from '../js/support/wait.js';
import { history, newPair, say } from '../js/support/world.js';
import { Window } from './support/people.js';

const server = await serverForFile({ env: { CHAT_PAGE: 'true' } });
afterEach(closeRelays);

async function aliceBehindRelay(to = server) {
  const pair = await newPair(to);
  const relay = await Relay.to(to);
  const window = await Window.of(relay.url, pair.alice);
  await window.isUpgraded();
  await window.openConversation(pair.bob);
  return { ...pair, relay, window };
}

async function storedTexts(at, user, conversation) {
  const messages = await history(at, user, conversation, '?limit=100&mark_read=false');
  return messages.map(({ text }) => text);
}

/** The page shows what is stored, in that order and all of it sent. */
async function showsWhatIsStored(window, at, user, conversation) {
  const stored = await storedTexts(at, user, conversation);
  await eventually(async () => JSON.stringify(await window.texts()) === JSON.stringify(stored), 'the stored texts on the page');
  const underWay = '.message:is([data-state="sending"], [data-state="waiting"], [data-state="failed"])';
  assert.equal(await window.page.locator(underWay).count(), 0);
  return stored;
}

test('a lost network is told, and after it the session goes on without loss or repeat', async () => {
  const { alice, bob, conversation, relay, window } = await aliceBehindRelay();
  await say(server, bob, conversation, 'before');
  await window.has('before');
  relay.down();
  await window.isLost();
  await window.page.getByText('The connection is lost.').waitFor();
  for (const text of ['missed 1', 'missed 2', 'missed 3']) await say(server, bob, conversation, text);
  await window.say('written meanwhile 1');
  await window.say('written meanwhile 2');
  await window.has('written meanwhile 1', 'waiting');
  await window.shot('lost');
  // It is not said for long.
  const told = window.page.getByText('Connected again, and nothing was missed.').waitFor();
  relay.up();
  await Promise.all([window.isConnected('recovered'), told]);
  await window.has('written meanwhile 2', 'sent');
  const stored = await showsWhatIsStored(window, server, alice, conversation);
  assert.deepEqual(stored, ['before', 'missed 1', 'missed 2', 'missed 3', 'written meanwhile 1', 'written meanwhile 2']);
  await window.shot('recovered');
  window.withoutFaults();
});

test('after a lost connection the list is what the server has, whatever other devices have done', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const relay = await Relay.to(server);
  const window = await Window.of(relay.url, alice);
  await window.isUpgraded();
  await window.linkTo(bob).waitFor();
  await eventually(() => window.lists === 2, 'the list at the beginning, and that of the session');
  relay.down();
  await window.isLost();
  // No event tells this window of it: it has not joined.
  await say(server, alice, conversation, 'from another device');
  relay.up();
  await window.isConnected('recovered');
  await window.linkTo(bob).getByText('from another device').waitFor();
});

test('a device that is offline knows it, and sends when it is back', async () => {
  const { alice, conversation, window } = await aliceBehindRelay();
  await window.context.setOffline(true);
  await window.page.getByText('This device is offline.').waitFor();
  await window.say('from the tunnel');
  await window.has('from the tunnel', 'waiting');
  await window.context.setOffline(false);
  await window.has('from the tunnel', 'sent');
  assert.deepEqual(await showsWhatIsStored(window, server, alice, conversation), ['from the tunnel']);
});

/** A window on a WebSocket, which can be closed, or muted in one direction without either side being told. */
async function aliceOnWebSocket() {
  const pair = await newPair(server);
  const muted = { toServer: false, toPage: false };
  let upgraded;
  const isUpgraded = new Promise((resolve) => (upgraded = resolve));
  const window = await Window.of(server.url, pair.alice, {}, async (context) => {
    await context.routeWebSocket(/socket\.io/u, (socket) => {
      const line = socket.connectToServer();
      socket.onMessage((packet) => {
        if (!muted.toServer) line.send(packet);
        if (packet === '5') upgraded(socket);
      });
      line.onMessage((packet) => muted.toPage || socket.send(packet));
    });
  });
  const socket = await within(isUpgraded, 'upgrade to WebSocket');
  return { ...pair, muted, socket, window };
}

test('a message that the socket does not carry goes by REST', async () => {
  const { alice, bob, conversation, muted, window } = await aliceOnWebSocket();
  await window.openConversation(bob);
  muted.toServer = true;
  await window.say('by REST');
  await window.has('by REST', 'sent');
  muted.toServer = false;
  await window.say('by socket');
  await window.has('by socket', 'sent');
  assert.deepEqual(await showsWhatIsStored(window, server, alice, conversation), ['by REST', 'by socket']);
});

test('a message whose answer is lost is sent again, and stored once', async () => {
  const { alice, bob, conversation, muted, window } = await aliceOnWebSocket();
  await window.openConversation(bob);
  muted.toPage = true;
  await window.say('once');
  await eventually(async () => (await storedTexts(server, alice, conversation)).length === 1, 'the message by socket');
  await window.has('once', 'sent');
  assert.deepEqual(await showsWhatIsStored(window, server, alice, conversation), ['once']);
});

/** A window without a socket, and nothing else amiss, until `back()`. */
async function aliceWithoutSocket() {
  const { socket, window, ...pair } = await aliceOnWebSocket();
  const polling = /\/socket\.io\//u;
  await window.context.route(polling, (route) => route.abort());
  await socket.close();
  await window.isLost();
  return { ...pair, window, back: () => window.context.unroute(polling) };
}

/** What comes of messages sent by REST is up to `answer(route)`. */
async function onSends({ context }, answer) {
  const sends = /\/messages$/u;
  await context.route(sends, (route) => answer(route));
  return () => context.unroute(sends);
}

test('a conversation that is opened while only the socket is away is heard of when the session goes on', async () => {
  const { bob, conversation, window, back } = await aliceWithoutSocket();
  await window.openConversation(bob);
  await back();
  await window.isConnected('recovered');
  await say(server, bob, conversation, 'heard');
  await window.has('heard');
});

test('a message whose REST call is never answered is sent again', async () => {
  const { alice, bob, conversation, window } = await aliceWithoutSocket();
  await window.openConversation(bob);
  let sends = 0;
  // The first one hangs until the page has had enough of it.
  await onSends(window, (route) => (++sends === 1 ? undefined : route.continue()));
  await window.say('patience');
  await window.has('patience', 'sent');
  assert.equal(sends, 2);
  assert.deepEqual(await showsWhatIsStored(window, server, alice, conversation), ['patience']);
});

test('what was not sent before a reload is there after it, and sent once', async () => {
  const { alice, bob, conversation, window, back } = await aliceWithoutSocket();
  await window.openConversation(bob);
  const sendsAgain = await onSends(window, (route) => route.abort());
  for (const text of ['kept', 'kept as well']) await window.say(text);
  await window.has('kept', 'waiting');
  await window.page.reload();
  await window.has('kept', 'waiting');
  await window.has('kept as well');
  assert.deepEqual(await storedTexts(server, alice, conversation), [], 'nothing has got through before');
  await sendsAgain();
  await back();
  await window.has('kept as well', 'sent');
  assert.deepEqual(await showsWhatIsStored(window, server, alice, conversation), ['kept', 'kept as well']);
});

test('who signs out while messages are on their way leaves none behind, and sends none any more', async () => {
  const { alice, bob, conversation, window } = await aliceWithoutSocket();
  await window.openConversation(bob);
  const { page, context } = window;
  const held = () => {
    let release;
    const released = new Promise((resolve) => (release = resolve));
    return { release, released };
  };
  const [answer, nextPage] = [held(), held()];
  let sends = 0;
  await onSends(window, async (route) => {
    sends += 1;
    const response = await route.fetch();
    await answer.released;
    await route.fulfill({ response });
  });
  await context.route(`${server.url}/`, async (route) => {
    await nextPage.released;
    await route.continue();
  });
  let taken;
  const isTaken = new Promise((resolve) => (taken = resolve));
  await page.exposeFunction('taken', taken);
  await page.evaluate(() => {
    const { json } = Response.prototype;
    Response.prototype.json = async function answer() {
      const reply = await json.call(this);
      // After all that the page does with it at once.
      if (this.url.endsWith('/messages')) setTimeout(() => globalThis.taken());
      return reply;
    };
  });
  // From here on all has to be done before the page gives the answer up.
  for (const text of ['on its way', 'not yet']) await window.say(text);
  await eventually(() => sends === 1, 'the first message');
  const leaving = page.waitForRequest((request) => request.isNavigationRequest());
  await page.locator('#sign-out').evaluate((button) => button.click());
  await leaving;
  answer.release();
  await within(isTaken, 'what the page makes of the answer');
  nextPage.release();
  await page.getByLabel('Token').waitFor();
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
  assert.deepEqual(await storedTexts(server, alice, conversation), ['on its way']);
});

test('after a restart of the server the page goes on, in the same session and in a new one', async () => {
  const dir = makeDataDir();
  const env = { CHAT_PAGE: 'true' };
  let own = await startServer({ dir, env });
  try {
    const pair = await newPair(own);
    const relay = await Relay.to(own);
    const window = await Window.of(relay.url, pair.alice);
    await window.openConversation(pair.bob);
    await say(own, pair.bob, pair.conversation, 'before');
    await window.has('before');
    const again = async (end, returned) => {
      const { port } = own;
      await end();
      await window.isLost();
      relay.down();
      own = await startServer({ dir, env, port });
      await say(own, pair.bob, pair.conversation, `while away, ${returned}`);
      relay.up();
      await window.isConnected(returned);
      await showsWhatIsStored(window, own, pair.alice, pair.conversation);
    };
    await again(() => own.stop(), 'recovered');
    // Killed, it has kept no sessions.
    await again(() => own.kill(), 'session');
    await window.say('and on');
    await window.has('and on', 'sent');
    window.withoutFaults();
  } finally {
    await own.stop();
    await removeDataDir(dir);
  }
});
