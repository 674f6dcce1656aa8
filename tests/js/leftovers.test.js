// What clients leave behind when they go, however they go: nothing (contract, section 3).
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, join, send } from './support/clients.js';
import { RawPolling, RawWebSocket, eventPacket } from './support/raw.js';
import { serverForFile } from './support/server.js';
import { range } from './support/shapes.js';
import { eventually, within } from './support/wait.js';
import { history, newPair, stats } from './support/world.js';

const server = await serverForFile({ env: { ROOM_IDLE_SECONDS: '1' } });
const { alice, bob, conversation } = await newPair(server);
const user = (i) => (i % 2 ? alice : bob);

// A polling client that simply stops polling is noticed by its missing pong only: 25 s and 20 s after the last one.
const SILENCE_LIMIT_MS = 90_000;
const WAVE = 100;

async function assertNothingLeft() {
  let seen;
  const nothing = async () => {
    seen = await stats(server);
    return ['connections', 'sessions', 'rooms', 'hub_members'].every((name) => seen[name] === 0);
  };
  await eventually(nothing, () => `nothing left: ${JSON.stringify(seen)}`, { limit: SILENCE_LIMIT_MS, every: 250 });
}

/** Runs `visit(i)` for i = 0 … n - 1, a wave at a time. */
async function inWaves(n, visit) {
  for (let start = 0; start < n; start += WAVE) {
    await Promise.all(range(start, Math.min(start + WAVE, n) - 1).map(visit));
  }
}

test('the figures count what is there', async () => {
  await assertNothingLeft();
  const sockets = await Promise.all([connect(server, alice), connect(server, bob, 'polling')]);
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  const { connections, sessions, rooms } = await stats(server);
  assert.deepEqual({ connections, sessions, rooms }, { connections: 2, sessions: 2, rooms: 1 });
  for (const socket of sockets) socket.disconnect();
  await assertNothingLeft();
});

test('2000 clients of all transports come, join, speak and leave', async () => {
  const modes = ['websocket', 'polling', 'upgrade', 'websocket'];
  await inWaves(2000, async (i) => {
    const socket = await connect(server, user(i), modes[i % modes.length]);
    await join(socket, conversation);
    if (i % 20 === 0) await send(socket, conversation, `visit ${i}`);
    socket.disconnect();
  });
  await assertNothingLeft();
});

test('500 WebSockets are dropped at every stage', async () => {
  await inWaves(500, async (i) => {
    const raw = i % 5 === 0 ? await RawWebSocket.open(server) : await RawWebSocket.connect(server, user(i));
    if (i % 5 === 2) raw.send(eventPacket(undefined, 'join_conversation', conversation));
    if (i % 5 === 3) await raw.ask(1, 'join_conversation', conversation);
    if (i % 5 === 4) raw.send(eventPacket(1, 'send_message', { conversation_id: conversation, text: 'and away' }));
    raw.drop();
    await raw.ended();
  });
  await assertNothingLeft();
});

/** A polling session whose WebSocket probe is dropped at the given stage. */
async function halfUpgrade(i, stage) {
  const polling = await RawPolling.connect(server, user(i));
  await polling.ask(1, 'join_conversation', conversation);
  // In flight as with a real client; answered when the session goes on, or when it ends.
  polling.get().then((reply) => reply.text()).catch(() => {});
  const query = `/socket.io/?EIO=4&transport=websocket&sid=${polling.handshake.sid}`;
  const probe = new RawWebSocket(server.webSocketUrl + query, { perMessageDeflate: false });
  if (stage > 0) await within(new Promise((done) => probe.socket.once('open', done)), 'open WebSocket');
  if (stage > 1) probe.send('2probe');
  if (stage > 2) await probe.frames.count(1);
  if (stage > 3) probe.send('5');
  probe.drop();
  await probe.ended();
}

test('half-finished upgrades leave nothing, whichever half', async () => {
  await inWaves(200, (i) => halfUpgrade(i, i % 5));
  await assertNothingLeft();
});

test('polling clients that fall silent are forgotten', async () => {
  await inWaves(100, async (i) => {
    const raw = await RawPolling.connect(server, user(i));
    if (i % 2) await raw.ask(1, 'join_conversation', conversation);
    if (i % 4 === 0) {
      const leaving = new AbortController();
      const poll = raw.get(leaving.signal).catch(() => {});
      leaving.abort();
      await poll;
    }
  });
  await Promise.all(range(1, 50).map(() => RawPolling.open(server)));
  await assertNothingLeft();
});

test('after all this the server is as good as new', async () => {
  const sockets = await Promise.all([connect(server, alice), connect(server, bob, 'polling')]);
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  const sent = await send(sockets[0], conversation, 'still here');
  const [last] = await history(server, alice, conversation, '?limit=1');
  assert.equal(last._id, sent._id);
  for (const socket of sockets) socket.disconnect();
  await assertNothingLeft();
});
