// Pings come every 25 s, and who does not answer within 20 s is gone (contract, section 3).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, join } from './support/clients.js';
import { RawPolling, RawWebSocket } from './support/raw.js';
import { serverForFile } from './support/server.js';
import { newPair } from './support/world.js';

const server = await serverForFile();
const { alice, bob, conversation } = await newPair(server);

const PING_INTERVAL_MS = 25_000;
const PING_TIMEOUT_MS = 20_000;
// A timer may fire a little early by rounding, and much later on a busy machine.
const EARLY_MS = 500;
const LATE_MS = 15_000;

function assertAbout(elapsed, expected) {
  assert.ok(elapsed >= expected - EARLY_MS && elapsed <= expected + LATE_MS, `${elapsed} ms instead of ${expected}`);
}

// All at once: these tests are only waiting.
describe('the heartbeat', { concurrency: true }, () => {
  test('over WebSocket: a ping after the interval, the end after the timeout', async () => {
    const start = Date.now();
    const raw = await RawWebSocket.connect(server, alice);
    await raw.frames.find((frame) => frame === '2', PING_INTERVAL_MS + LATE_MS);
    assertAbout(Date.now() - start, PING_INTERVAL_MS);
    await raw.closed;
    assertAbout(Date.now() - start, PING_INTERVAL_MS + PING_TIMEOUT_MS);
  });

  test('over polling: a ping after the interval, the end after the timeout', async () => {
    const start = Date.now();
    const raw = await RawPolling.connect(server, alice);
    assert.deepEqual(await raw.poll(PING_INTERVAL_MS + LATE_MS), ['2']);
    assertAbout(Date.now() - start, PING_INTERVAL_MS);
    const end = await raw.get();
    const packets = await end.text();
    assertAbout(Date.now() - start, PING_INTERVAL_MS + PING_TIMEOUT_MS);
    assert.ok(end.status === 400 || packets !== '2', packets);
    assert.equal((await raw.get()).status, 400);
  });

  for (const mode of ['websocket', 'polling', 'upgrade']) {
    test(`a stock client over ${mode} lives on`, async () => {
      const socket = await connect(server, bob, mode);
      const pings = new Promise((done) => {
        let count = 0;
        socket.io.on('ping', () => (count += 1) === 2 && done());
      });
      await pings;
      assert.ok(socket.connected);
      await join(socket, conversation);
      socket.disconnect();
    });
  }
});
