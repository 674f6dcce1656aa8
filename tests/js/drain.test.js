// The planned stop, as clients and balancers see it (contract, section 5).
import { after, afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { MODES, client, closeClients, connect, connected, inbox, join, refusal, send } from './support/clients.js';
import { Relay, closeRelays } from './support/relay.js';
import { call, refused } from './support/rest.js';
import { makeDataDir, removeDataDir, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually, within } from './support/wait.js';
import { newPair, say, wholeHistory } from './support/world.js';

const { comeBackWhenTold } = await snippets('restarts.md');
const dir = makeDataDir();
let server;
const start = async (env) => (server = await startServer({ dir, env }));
afterEach(() => {
  closeClients();
  closeRelays();
});
after(async () => {
  await server?.stop();
  await removeDataDir(dir);
});

const health = () => call(server, 'GET', '/health');

describe('on SIGTERM', () => {
  test('a balancer and new clients are turned away, and those who are there are served and told', async () => {
    await start({ DRAIN_SECONDS: '10' });
    const { alice, bob, conversation } = await newPair(server);
    const clients = [];
    for (const mode of Object.keys(MODES)) {
      for (const user of [alice, bob, alice]) clients.push(await connect(server, user, mode));
    }
    const told = clients.map((socket) => inbox(socket, 'server_draining'));
    const gone = clients.map((socket) => once(socket, 'disconnect'));
    await join(clients[1], conversation);
    const heard = inbox(clients[1], 'new_message');
    assert.equal((await health()).status, 200);
    const began = Date.now();
    server.signal('SIGTERM');
    await eventually(async () => (await health()).status === 503, 'a health check that fails');
    refused(await health(), 503, 'OVERLOADED', 'The server is stopping');
    const times = [];
    for (const one of told) times.push((await one.count(1))[0].reconnect_after_ms);
    assert.equal(new Set(times).size, times.length, `each another one: ${times}`);
    assert.ok(times.every((time) => Number.isInteger(time) && time >= 500 && time <= 1_500), `${times}`);
    const handshake = await call(server, 'GET', '/socket.io/?EIO=4&transport=polling');
    assert.deepEqual([handshake.status, handshake.body], [503, { code: 3, message: 'The server is stopping' }]);
    await refusal(client(server, { auth: { token: alice.token } }));
    for (const n of range(1, 3)) await send(clients[3 * n - 1], conversation, `${n}`);
    await say(server, alice, conversation, '4');
    assert.deepEqual(seqs(await heard.count(4)), [1, 2, 3, 4]);
    assert.ok(Date.now() - began < 10_000, 'while it drained');
    await within(Promise.all(gone), 'disconnects', 40_000);
    assert.ok(Date.now() - began > 9_900);
    assert.deepEqual(await within(server.exited, 'exit', 30_000), { code: 0, signal: null });
    assert.ok(told.every((one) => one.all.length === 1));
    await start();
    assert.deepEqual(seqs(await wholeHistory(server, alice, conversation)), [1, 2, 3, 4]);
    await server.stop();
  });

  test('without a time to drain clients are told all the same', async () => {
    await start();
    const { alice } = await newPair(server);
    const clients = await Promise.all(Object.keys(MODES).map((mode) => connect(server, alice, mode)));
    const told = clients.map((socket) => inbox(socket, 'server_draining'));
    server.signal('SIGTERM');
    for (const one of told) await one.count(1);
    assert.deepEqual(await within(server.exited, 'exit', 30_000), { code: 0, signal: null });
  });

  test('a connection that has not connected yet is closed', async () => {
    await start({ DRAIN_SECONDS: '6' });
    const { alice } = await newPair(server);
    let give;
    const socket = client(server, { auth: (send) => (give = send) });
    await eventually(() => give, 'the transport');
    const closed = once(socket.io.engine, 'close');
    server.signal('SIGTERM');
    await eventually(async () => (await health()).status === 503, 'a health check that fails');
    give({ token: alice.token });
    await within(closed, 'close', 40_000);
    assert.ok(!socket.connected);
    await within(server.exited, 'exit', 30_000);
  });

  test('the documented client comes back when it was told to, to the session it had', async () => {
    await start();
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const sockets = await Promise.all(range(1, 3).map(async () => {
      const socket = client(relay, { auth: { token: pair.bob.token, recover: true }, reconnection: true, reconnectionDelay: 1 });
      comeBackWhenTold(socket);
      await connected(socket);
      await join(socket, pair.conversation);
      return socket;
    }));
    const heard = sockets.map((socket) => inbox(socket, 'new_message'));
    const told = sockets.map((socket) => inbox(socket, 'server_draining'));
    const gone = sockets.map((socket) => once(socket, 'disconnect').then(() => Date.now()));
    const back = sockets.map((socket, i) => gone[i].then(() => once(socket, 'connect')).then(() => Date.now()));
    const outcome = await server.stop();
    assert.deepEqual(outcome, { code: 0, signal: null });
    const left = await Promise.all(gone);
    const next = startServer({ dir });
    server = await next;
    relay.target = server.port;
    await say(server, pair.alice, pair.conversation, 'after it');
    const came = await Promise.all(back.map((one) => within(one, 'reconnect')));
    sockets.forEach((socket, i) => {
      assert.equal(socket.recovered, true);
      assert.ok(came[i] - left[i] >= told[i].all[0].reconnect_after_ms - 5, `${came[i] - left[i]} ms`);
      assert.equal(socket.io.reconnectionDelay(), 1, 'as before');
    });
    for (const one of heard) assert.deepEqual((await one.count(1)).map(({ text }) => text), ['after it']);
    await server.stop();
  });

  test('a time to drain that is longer than the stop is refused', async () => {
    await assert.rejects(startServer({ env: { DRAIN_SECONDS: '20' } }), /DRAIN_SECONDS is "20", but it must be less than STOP_SECONDS/);
  });
});
