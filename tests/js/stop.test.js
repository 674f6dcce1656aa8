// The planned stop: what was acked is stored, and nothing is left running (contract, section 4).
import { after, afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeClients, connect, disconnected, join } from './support/clients.js';
import { call, succeeded } from './support/rest.js';
import { makeDataDir, postmasterPid, removeDataDir, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { within } from './support/wait.js';
import { newPair, wholeHistory } from './support/world.js';

// One directory and several lives of the server on it.
const dir = makeDataDir();
let server;
const start = async () => (server = await startServer({ dir }));

afterEach(() => closeClients());
after(async () => {
  await server?.stop();
  await removeDataDir(dir);
});

/** Sends until the connection is gone; the stored messages that were acked, and those that were refused. */
function sendUntilTheEnd(socket, conversation, name) {
  const acked = [];
  const sendNext = (n) => {
    if (!socket.connected) return;
    socket.emit('send_message', { conversation_id: conversation, text: `${name} ${n}` }, (ack) => {
      if (ack.success) acked.push(ack.data);
      sendNext(n + 10);
    });
  };
  range(1, 10).forEach(sendNext);
  return acked;
}

/** Likewise by REST. */
async function postUntilTheEnd(user, conversation) {
  const acked = [];
  for (let n = 1; ; n += 1) {
    const body = { text: `REST ${n}` };
    const path = `/api/chat/conversations/${conversation}/messages`;
    const reply = await call(server, 'POST', path, { token: user.token, body }).catch(() => null);
    if (reply === null) return acked;
    if (reply.status === 201) acked.push(reply.body.data);
  }
}

async function assertAllStored(user, conversation, acked) {
  const stored = await wholeHistory(server, user, conversation);
  assert.deepEqual(seqs(stored), range(1, stored.length));
  const byId = new Map(stored.map((message) => [message._id, message]));
  for (const { _id, text, seq, sent_at } of acked) {
    const found = byId.get(_id);
    assert.deepEqual([found?.text, found?.seq, found?.sent_at], [text, seq, sent_at]);
  }
}

/** Ends the server by `end` while clients are sending; what the next life of the server has to know. */
async function endWhileSending(end) {
  const { alice, bob, conversation } = await newPair(server);
  const modes = ['websocket', 'polling', 'upgrade'];
  const sockets = await Promise.all(modes.map((mode, i) => connect(server, i % 2 ? bob : alice, mode)));
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  const acked = sockets.map((socket, i) => sendUntilTheEnd(socket, conversation, modes[i]));
  const posts = postUntilTheEnd(bob, conversation);
  const heard = [];
  await new Promise((enough) => {
    sockets[0].on('new_message', (message) => heard.push(message) === 200 && enough());
  });
  const ends = sockets.map((socket) => disconnected(socket));
  const outcome = await end();
  await Promise.all(ends);
  const known = [...acked.flat(), ...(await posts), ...heard];
  return { outcome, alice, conversation, known };
}

describe('on SIGTERM', () => {
  test('with nobody there, the server and its Postgres are gone, and the exit is a success', async () => {
    await start();
    assert.ok(postmasterPid(dir) > 0, 'it runs while the server runs');
    server.signal('SIGTERM');
    assert.deepEqual(await within(server.exited, 'exit', 30_000), { code: 0, signal: null });
    assert.equal(postmasterPid(dir), null);
  });

  test('in the middle of sends, every ack is kept, and the exit is a success', async () => {
    await start();
    const { outcome, alice, conversation, known } = await endWhileSending(() => {
      server.signal('SIGTERM');
      return within(server.exited, 'exit', 30_000);
    });
    assert.deepEqual(outcome, { code: 0, signal: null });
    assert.equal(postmasterPid(dir), null);
    await start();
    await assertAllStored(alice, conversation, known);
  });

  test('SIGINT is as good', async () => {
    const { outcome, alice, conversation, known } = await endWhileSending(() => {
      server.signal('SIGINT');
      return within(server.exited, 'exit', 30_000);
    });
    assert.deepEqual(outcome, { code: 0, signal: null });
    assert.equal(postmasterPid(dir), null);
    await start();
    await assertAllStored(alice, conversation, known);
  });

  test('a second signal stops at once, and still keeps every ack', async () => {
    const { alice, conversation, known } = await endWhileSending(() => {
      server.signal('SIGTERM');
      server.signal('SIGINT');
      return within(server.exited, 'exit after the second signal', 5_000);
    });
    await start();
    await assertAllStored(alice, conversation, known);
  });
});

describe('on SIGKILL', () => {
  test('in the middle of sends, every ack is kept', async () => {
    const { outcome, alice, conversation, known } = await endWhileSending(() => server.kill());
    assert.equal(outcome.signal, 'SIGKILL');
    await start();
    await assertAllStored(alice, conversation, known);
  });

  test('of the server and then of Postgres, every ack is kept', async () => {
    const { alice, conversation, known } = await endWhileSending(async () => {
      await server.kill();
      const pid = postmasterPid(dir);
      if (pid) process.kill(pid, 'SIGKILL');
    });
    await start();
    await assertAllStored(alice, conversation, known);
  });

  test('of Postgres alone, every ack is kept', async () => {
    const { alice, conversation, known } = await endWhileSending(async () => {
      process.kill(postmasterPid(dir), 'SIGKILL');
      server.signal('SIGTERM');
      await within(server.exited, 'exit', 30_000);
    });
    await start();
    await assertAllStored(alice, conversation, known);
  });

  test('the next life of the server goes on where the last one ended', async () => {
    const { alice, conversation, known } = await endWhileSending(() => server.kill());
    await start();
    const path = `/api/chat/conversations/${conversation}/messages`;
    const next = succeeded(await call(server, 'POST', path, { token: alice.token, body: { text: 'next' } }), 201);
    assert.ok(next.seq > Math.max(...seqs(known)));
    await assertAllStored(alice, conversation, [...known, next]);
    const outcome = await server.stop();
    assert.deepEqual(outcome, { code: 0, signal: null });
    assert.equal(postmasterPid(dir), null, 'an adopted Postgres is stopped as well');
  });
});
