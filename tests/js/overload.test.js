// Limits against overload (contract, section 5): rates of a user, connections of an address and in total.
import { after, afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { ask, client, closeClients, connect, connected, inbox, join, refusal } from './support/clients.js';
import { waitingForLocks, withDatabase } from './support/database.js';
import { assertFailure, call, refused } from './support/rest.js';
import { startServer } from './support/server.js';
import { range, texts } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { adminToken, newConversation, newPair, newUser, stats, unreadCount } from './support/world.js';

const running = [];
async function serve(env) {
  const server = await startServer({ env });
  running.push(server);
  return server;
}
afterEach(() => closeClients());
after(async () => {
  closeClients();
  for (const server of running) await server.stop();
});

describe('a user’s rate', () => {
  // Each allows ten times as many at once.
  const limited = () => serve({ RATE_SENDS: '2', RATE_TYPING: '2', RATE_JOINS: '2', RATE_REST: '2' });

  const BURST = 20;
  const mostSince = (began) => BURST + 1 + Math.ceil((Date.now() - began) / 500);

  /** Asks until the rate is up: what it gave, and the most that a full bucket gives in that time. */
  async function untilLimited(asks) {
    const began = Date.now();
    for (let given = 0; given < 200; given += 1) {
      const ack = await asks();
      if (ack.code === 'RATE_LIMITED') {
        assertFailure(ack, 'RATE_LIMITED', 'Too many requests');
        assert.ok(ack.retry_after_ms > 0 && ack.retry_after_ms <= 500, `${ack.retry_after_ms} ms`);
        return { given, most: mostSince(began), ack };
      }
    }
    throw new Error('never refused');
  }
  async function gives(asks, what) {
    const { given, most } = await untilLimited(asks);
    assert.ok(given >= BURST && given <= most, `${given} × ${what}, of ${most}`);
  }

  /** What another kind of request has emptied. */
  async function isEmpty(asks, what) {
    const { given } = await untilLimited(asks);
    assert.ok(given < BURST, `${given} × ${what}: a bucket of its own`);
  }

  test('bounds each kind of request by itself, over all sockets, and nobody else’s', async () => {
    const server = await limited();
    const { alice, bob, conversation } = await newPair(server);
    const sockets = await Promise.all([connect(server, alice), connect(server, alice)]);
    let turn = 0;
    const either = () => sockets[(turn += 1) % 2];
    const kinds = {
      join_conversation: () => ask(either(), 'join_conversation', conversation),
      typing: () => ask(either(), 'typing', conversation),
      send_message: () => ask(either(), 'send_message', { conversation_id: conversation, text: 'x' }),
    };
    for (const [kind, asks] of Object.entries(kinds)) await gives(asks, kind);
    for (const [event, argument] of [
      ['mark_read', { conversation_id: conversation, up_to_seq: 1 }],
      ['leave_conversation', conversation],
      ['refresh_token', { token: alice.token }],
    ]) {
      await isEmpty(() => ask(either(), event, argument), event);
    }
    const other = await connect(server, bob);
    assert.equal((await ask(other, 'send_message', { conversation_id: conversation, text: 'mine' })).success, true);
    const { ack } = await untilLimited(kinds.send_message);
    await new Promise((resolve) => setTimeout(resolve, ack.retry_after_ms + 20));
    assert.equal((await kinds.send_message()).success, true, 'when it said');
  });

  test('refused messages are not stored, and those without an acknowledgement go unheard', async () => {
    const server = await limited();
    const { alice, bob, conversation } = await newPair(server);
    const [sender, listener] = await Promise.all([connect(server, alice), connect(server, bob)]);
    await join(listener, conversation);
    const heard = inbox(listener, 'new_message');
    const began = Date.now();
    for (const n of range(1, 60)) sender.emit('send_message', { conversation_id: conversation, text: `${n}` });
    await untilLimited(() => ask(sender, 'send_message', { conversation_id: conversation, text: 'x' }));
    const all = await heard.count(BURST);
    assert.ok(all.every(({ text }, i) => text === `${i + 1}`));
    assert.ok(heard.all.length <= mostSince(began), `${heard.all.length}`);
  });

  test('counts what is refused for itself, too', async () => {
    const server = await limited();
    const user = await newUser(server);
    const socket = await connect(server, user);
    const refusals = {
      send_message: { conversation_id: 'x', text: '' },
      typing: 'x',
      no_such_event: {},
    };
    for (const [event, argument] of Object.entries(refusals)) await gives(() => ask(socket, event, argument), event);
    const [header, claims] = user.token.split('.');
    for (const [event, argument] of [
      ['refresh_token', { token: `${header}.${claims}.bm9uZQ` }],
      ['join_conversation', 'x'],
    ]) {
      await isEmpty(() => ask(socket, event, argument), event);
    }
  });

  test('bounds REST calls, but not an admin’s', async () => {
    const server = await limited();
    const user = await newUser(server);
    const get = (token) => call(server, 'GET', '/api/chat/conversations', { token });
    let answer;
    const asks = (path) => async () => (answer = await call(server, 'GET', path, { token: user.token })).body;
    const isLimited = () => {
      refused(answer, 429, 'RATE_LIMITED', 'Too many requests');
      assert.equal(answer.headers.get('retry-after'), '1');
    };
    await gives(asks('/api/chat/conversations'), 'GET');
    isLimited();
    for (let n = 0; n < 50; n += 1) assert.equal((await get(adminToken())).status, 200);
    await isEmpty(asks('/api/chat/conversations'), 'GET');
    // Also where the call itself is refused.
    await isEmpty(asks('/api/chat/admin/stats'), 'GET of another path');
    isLimited();
  });

  test('is waited for by the documented client', async () => {
    const server = await limited();
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    const { sendPatiently } = await snippets('overload.md');
    const began = Date.now();
    const sent = [];
    for (const n of range(1, 24)) {
      sent.push(await sendPatiently(socket, { conversation_id: conversation, text: `${n}`, client_msg_id: `${n}` }));
    }
    assert.deepEqual(sent.map(({ seq }) => seq), range(1, 24));
    assert.ok(Date.now() - began > 1_000, 'it had to wait');
    await assert.rejects(sendPatiently(socket, { conversation_id: conversation, text: '' }), { code: 'INVALID_ARGUMENT' });
  });

  test('of 0 is no limit', async () => {
    const server = await serve({ RATE_SENDS: '0', RATE_TYPING: '0', RATE_JOINS: '0', RATE_REST: '0' });
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    const asks = range(1, 3000).map((n) =>
      ask(socket, ['typing', 'join_conversation'][n % 2], conversation));
    assert.ok((await Promise.all(asks)).every((ack) => ack.success));
  });
});

describe('connections', () => {
  const from = (address) => new Agent({ localAddress: address, keepAlive: true });
  const options = (user, mode, more = {}) => ({ auth: { token: user.token }, mode, ...more });

  test('of one address are bounded, and another one has its own', async () => {
    const server = await serve({ CONNECTIONS_PER_ADDRESS: '6' });
    const user = await newUser(server);
    const open = (address) => client(server, options(user, 'websocket', { agent: from(address) }));
    const sockets = range(1, 6).map(() => open('127.0.0.5'));
    await Promise.all(sockets.map(connected));
    await refusal(open('127.0.0.5'));
    await connected(open('127.0.0.6'));
    sockets[0].disconnect();
    const again = () => connected(open('127.0.0.5')).then(() => true, () => false);
    await eventually(again, 'a place that was given back');
  });

  test('by polling are bounded by sessions, however few TCP connections they share', async () => {
    const server = await serve({ CONNECTIONS_PER_ADDRESS: '5' });
    const handshake = () => call(server, 'GET', '/socket.io/?EIO=4&transport=polling');
    for (let n = 0; n < 5; n += 1) assert.equal((await handshake()).status, 200);
    const answer = await handshake();
    assert.deepEqual([answer.status, answer.body], [429, { code: 3, message: 'Too many connections from this address' }]);
  });

  test('behind a trusted proxy are counted for whom it speaks, and nobody else’s word counts', async () => {
    const server = await serve({ CONNECTIONS_PER_ADDRESS: '2', TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' });
    const handshake = (forwarded) =>
      call(server, 'GET', '/socket.io/?EIO=4&transport=polling', { headers: { 'x-forwarded-for': forwarded } });
    for (const forwarded of ['192.0.2.1', 'spoofed, 192.0.2.1, 10.1.1.1']) {
      assert.equal((await handshake(forwarded)).status, 200);
    }
    assert.equal((await handshake('198.51.100.9, 192.0.2.1')).status, 429);
    assert.equal((await handshake('192.0.2.2')).status, 200);
    // From an address that is no proxy of ours, each claims to be another one.
    const user = await newUser(server);
    const agent = from('127.0.0.3');
    const claim = (n) => client(server, options(user, 'websocket', { agent, extraHeaders: { 'x-forwarded-for': `192.0.2.${n}` } }));
    for (const n of [11, 12]) await connected(claim(n));
    await refusal(claim(13));
  });

  test('in total are bounded, and those beyond are closed at once', async () => {
    const server = await serve({ CONNECTIONS: '10', CONNECTIONS_PER_ADDRESS: '0' });
    const user = await newUser(server);
    const before = (await stats(server)).refused_connections;
    // As many again as there are places for sessions are for calls.
    const raw = range(1, 40).map(() => connectTcp(server.port, '127.0.0.1'));
    let closed = 0;
    for (const socket of raw) socket.on('error', () => {}).on('close', () => (closed += 1));
    await eventually(() => closed >= 20, () => `20 are closed: ${closed}`);
    assert.ok(closed < 40);
    for (const socket of raw) socket.destroy();
    const socket = await eventually(() => connect(server, user).catch(() => null), 'a place for the next');
    assert.ok(socket.connected);
    assert.ok((await stats(server)).refused_connections - before >= 20);
  });

  test('that send nothing are counted from the beginning', async () => {
    const server = await serve({ CONNECTIONS_PER_ADDRESS: '8' });
    const silent = range(1, 8).map(() => connectTcp(server.port, '127.0.0.2'));
    const sources = range(1, 8).map(() => connectTcp({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.4' }));
    for (const socket of [...silent, ...sources]) socket.on('error', () => {});
    await Promise.all(sources.map((socket) => once(socket, 'connect')));
    const ninth = connectTcp({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.4' }).on('error', () => {});
    await once(ninth, 'close');
    for (const socket of [...silent, ...sources]) socket.destroy();
  });
});

test('one user’s reads take few of the connections to Postgres: nobody else waits for them, nor does a room', async () => {
  const server = await serve({});
  const { alice, bob, conversation } = await newPair(server);
  const carol = await newUser(server);
  const elsewhere = await newConversation(server, alice, carol);
  const [hungry, other] = await Promise.all([connect(server, alice), connect(server, bob)]);
  const send = (socket, room, text) => ask(socket, 'send_message', { conversation_id: room, text });
  for (const room of [conversation, elsewhere]) assert.equal((await send(hungry, room, 'before')).success, true);
  await join(other, conversation);
  await withDatabase(server, async (database) => {
    // Lists wait for it until they are refused; counts, pages and messages need it not.
    await database.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    const list = () => call(server, 'GET', '/api/chat/conversations', { token: alice.token });
    const lists = range(1, 100).map(list);
    await eventually(async () => (await waitingForLocks(database)).length > 0, 'lists that wait');
    const answered = [];
    const told = async (what, answer) => (answered.push(what), answer);
    const resumed = ask(hungry, 'join_conversation', conversation, { since_seq: 1 }).then((ack) => told('resumed', ack));
    assert.equal((await send(hungry, elsewhere, 'meanwhile')).success, true);
    assert.equal((await send(other, conversation, 'meanwhile')).success, true);
    const inOrder = send(hungry, conversation, 'after').then((ack) => told('sent', ack));
    for (let n = 0; n < 10; n += 1) assert.equal(await unreadCount(server, carol), 2);
    assert.deepEqual(answered, []);
    assert.ok((await waitingForLocks(database)).length <= 2);
    await database.query('ROLLBACK');
    assert.deepEqual(texts((await resumed).data.messages), ['meanwhile']);
    assert.equal((await inOrder).data.seq, 3);
    assert.deepEqual(answered, ['resumed', 'sent']);
    for (const { status } of await Promise.all(lists)) assert.ok([200, 503].includes(status), `${status}`);
    assert.equal((await list()).status, 200);
  });
});

test('settings that are none are refused by name', async () => {
  for (const env of [{ TRUSTED_PROXIES: 'proxy.example.com' }, { RATE_SENDS: 'many' }, { CONNECTIONS: '-1' }]) {
    await assert.rejects(startServer({ env }), (error) => {
      const [name] = Object.keys(env);
      assert.ok(error.message.includes(name) || error.message.includes(name.toLowerCase().replace('_', '-')), error.message);
      return true;
    });
  }
});
