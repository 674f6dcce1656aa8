// Postgres away: refused, said so, and back again (contract, sections 2 and 4).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { join as joinPath } from 'node:path';
import { ask, closeClients, connect, inbox, join, send } from './support/clients.js';
import { assertFailure, call, refused, succeeded } from './support/rest.js';
import { makeDataDir, postmasterPid, removeDataDir, startServer } from './support/server.js';
import { texts } from './support/shapes.js';
import { eventually } from './support/wait.js';
import { newPair, wholeHistory } from './support/world.js';

// The server under test uses the Postgres that another one runs, which can then be stopped beneath it.
const home = makeDataDir();
const own = makeDataDir();
let keeper;
let server;
after(async () => {
  closeClients();
  await server?.stop();
  await keeper?.stop();
  await removeDataDir(own);
  await removeDataDir(home);
});

// How long a caller may have to wait for the refusal.
const REFUSAL_LIMIT_MS = 30_000;

describe('while Postgres is away', () => {
  let alice;
  let conversation;
  let socket;
  let heard;
  before(async () => {
    keeper = await startServer({ dir: home });
    const host = encodeURIComponent(joinPath(home, 'socket'));
    const DATABASE_URL = `postgres://horsetrust@/horsetrust?host=${host}`;
    server = await startServer({ dir: own, env: { DATABASE_URL, LOG: 'info' } });
    ({ alice, conversation } = await newPair(server));
    socket = await connect(server, alice);
    await join(socket, conversation);
    heard = inbox(socket, 'new_message');
    await send(socket, conversation, 'before');
    await keeper.stop();
  });

  test('health is well, and the health of the database is not', async () => {
    succeeded(await call(server, 'GET', '/health'));
    const reply = await call(server, 'GET', '/health/db');
    assert.equal(reply.status, 503, reply.text);
    assert.equal(reply.body?.success, false);
  });

  test('a send is refused within a bounded time, and the connection stays', async () => {
    const start = Date.now();
    const request = { conversation_id: conversation, text: 'lost' };
    const ack = await socket.timeout(REFUSAL_LIMIT_MS).emitWithAck('send_message', request);
    assertFailure(ack, undefined, 'Error sending message');
    assert.ok(Date.now() - start < REFUSAL_LIMIT_MS);
    assert.ok(socket.connected);
  });

  test('REST is refused likewise', async () => {
    const path = `/api/chat/conversations/${conversation}/messages`;
    refused(await call(server, 'POST', path, { token: alice.token, body: { text: 'lost' } }), 503, 'OVERLOADED');
    const reply = await call(server, 'GET', path, { token: alice.token });
    assert.ok(reply.status >= 500, String(reply.status));
    assertFailure(reply.body);
  });

  test('bad requests are still the caller’s own fault', async () => {
    refused(await call(server, 'GET', '/api/chat/conversations'), 401, 'UNAUTHENTICATED', 'No token provided');
    assertFailure(await ask(socket, 'unknown'));
  });

  test('once it is back, all goes on, and nothing refused was stored', async () => {
    keeper = await startServer({ dir: home });
    await eventually(async () => (await call(server, 'GET', '/health/db')).status === 200, 'health of the database', {
      limit: 60_000,
    });
    const again = () => ask(socket, 'send_message', { conversation_id: conversation, text: 'after' });
    const ack = await eventually(async () => {
      const answer = await again();
      return answer.success && answer;
    }, 'stored message', { limit: 60_000 });
    assert.equal(ack.data.seq, 2);
    await heard.count(2);
    assert.deepEqual(texts(heard.all), ['before', 'after']);
    assert.deepEqual(texts(await wholeHistory(server, alice, conversation)), ['before', 'after']);
    const told = () => server.log.flatMap((line) => /"message":"(Postgres \w+ \w+)"/.exec(line)?.[1] ?? []);
    await eventually(() => told().at(-1) === 'Postgres answers again', 'its return in the log');
    assert.ok(told().length <= 3, `told when it began and now and then, not at every attempt: ${told()}`);
  });

  test('a crash of Postgres in the middle of sends keeps what was acked and nothing that was refused', async () => {
    const pair = await newPair(server);
    const sender = await connect(server, pair.alice);
    const traffic = sendUntilTold(sender, pair.conversation);
    await eventually(() => traffic.acked.length >= 200, 'traffic');
    await keeper.kill();
    process.kill(postmasterPid(home), 'SIGKILL');
    await eventually(() => traffic.refused.length > 0, 'refusal', { limit: 60_000 });
    const before = traffic.acked.length;
    keeper = await startServer({ dir: home });
    await eventually(() => traffic.acked.length > before, 'stored message', { limit: 60_000 });
    await traffic.stop();
    const stored = texts(await wholeHistory(server, pair.alice, pair.conversation));
    assert.deepEqual([...stored].sort(), [...traffic.acked].sort());
  });
});

/** Keeps sends in flight until told to stop; the texts that were acked and those that were refused. */
function sendUntilTold(socket, conversation) {
  const traffic = { acked: [], refused: [] };
  let on = true;
  const lane = async (name) => {
    for (let n = 0; on; n += 1) {
      const text = `${name} ${n}`;
      const request = { conversation_id: conversation, text };
      const ack = await socket.timeout(60_000).emitWithAck('send_message', request);
      (ack.success ? traffic.acked : traffic.refused).push(text);
      // Refusals may come at once, and are not what this is about.
      if (!ack.success) await new Promise((next) => setTimeout(next, 50));
    }
  };
  const lanes = Promise.all(Array.from({ length: 20 }, (_, name) => lane(name)));
  traffic.stop = () => {
    on = false;
    return lanes;
  };
  return traffic;
}
