// What the log says at its most talkative, and what it never says.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, closeClients, connect, join, refusal, client, send } from './support/clients.js';
import { RawPolling, RawWebSocket, eventPacket } from './support/raw.js';
import { call } from './support/rest.js';
import { startServer } from './support/server.js';
import { SECRET, mint } from './support/tokens.js';
import { adminToken, history, newPair, say, stats } from './support/world.js';
import { eventually } from './support/wait.js';

const server = await startServer({ env: { LOG: 'debug' } });
after(async () => {
  closeClients();
  await server.stop();
});

const { alice, bob, conversation } = await newPair(server);

/** Every scalar of a log line with its key, however deep. */
function fields(value, found = []) {
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== null && typeof inner === 'object') fields(inner, found);
    else found.push([key, inner]);
  }
  return found;
}

/** The lines about ends of connections. */
const endings = () =>
  server.log.map((line) => fields(JSON.parse(line))).filter((line) => line.some(([key]) => key === 'reason'));

const leavings = () => server.log.map((line) => fields(JSON.parse(line))).filter((line) => line[2][1] === 'a client left its session');

test('each line is a JSON object', () => {
  assert.ok(server.log.length > 0);
  for (const line of server.log) assert.equal(typeof JSON.parse(line), 'object', line);
});

test('each connection’s end is one line with its reason and its counts', async () => {
  const { alice: carol, conversation: theirs } = await newPair(server);
  const leave = {
    byDisconnect: async () => {
      const socket = await connect(server, carol);
      await join(socket, theirs);
      await send(socket, theirs, 'bye');
      socket.disconnect();
    },
    byDrop: async () => (await RawWebSocket.connect(server, carol)).drop(),
    byBrokenPacket: async () => {
      const raw = await RawWebSocket.connect(server, carol);
      raw.send('49');
      await raw.ended();
    },
    byClosePacket: async () => {
      const raw = await RawPolling.connect(server, carol);
      await raw.post(eventPacket(undefined, 'join_conversation', theirs));
      await raw.post('1');
    },
  };
  let n = 0;
  for (const [name, go] of Object.entries(leave)) {
    await go();
    n += 1;
    await eventually(() => endings().length >= n, `line about the end ${name}`);
    const line = endings().at(-1);
    const reason = line.find(([key]) => key === 'reason')[1];
    assert.equal(typeof reason, 'string');
    assert.notEqual(reason, '');
    // Who leaves a session says so before.
    const whose = name === 'byDisconnect' ? leavings().at(-1) : line;
    assert.ok(whose.some(([key, value]) => key === 'user' && value === carol.id), `whose: ${JSON.stringify(line)}`);
    const counts = line.filter(([key, value]) => typeof value === 'number' && key !== 'line');
    assert.ok(counts.length >= 2, `counts of what came and went: ${JSON.stringify(line)}`);
  }
  assert.equal(endings().length, n, 'one line for each');
});

test('what a user was refused can be found by the user, the session and the conversation', async () => {
  const { alice: dora, conversation: theirs } = await newPair(server);
  const socket = await connect(server, dora);
  await ask(socket, 'send_message', { conversation_id: theirs, text: '' });
  await ask(socket, 'join_conversation', 'none');
  const body = { text: 'one', client_msg_id: 'twice' };
  await call(server, 'POST', `/api/chat/conversations/${theirs}/messages`, { token: dora.token, body });
  await ask(socket, 'send_message', { ...body, conversation_id: theirs, text: 'two' });
  await call(server, 'GET', '/api/chat/conversations/none/messages', { token: dora.token });
  const lines = () => server.log.map((line) => JSON.parse(line));
  const found = (fields) => lines().some((line) => Object.entries(fields).every(([key, value]) => line[key] === value));
  for (const line of [
    { message: 'a session is connected', session: socket.id, user: dora.id, transport: 'websocket' },
    { message: 'an event was refused', session: socket.id, user: dora.id, event: 'send_message', code: 'INVALID_ARGUMENT' },
    { message: 'an event was refused', session: socket.id, user: dora.id, event: 'join_conversation', code: 'NOT_FOUND' },
    { message: 'a message was refused', sender: dora.id, conversation: theirs, code: 'IDEMPOTENCY_CONFLICT' },
    { message: 'a call was refused', method: 'GET', path: '/api/chat/conversations/{id}/messages', code: 'NOT_FOUND' },
  ]) {
    await eventually(() => found(line), JSON.stringify(line));
  }
});

test('no token, secret or message text is ever written', async () => {
  const before = endings().length;
  const text = 'a-text-that-nobody-else-should-read';
  const expired = mint(alice.id, { ttl: -1 });
  const foreign = mint(alice.id, { secret: `${SECRET}-of-somebody-else` });
  const sockets = await Promise.all(['websocket', 'polling', 'upgrade'].map((mode) => connect(server, alice, mode)));
  for (const socket of sockets) {
    await join(socket, conversation);
    await send(socket, conversation, text);
    socket.emit('send_message', { conversation_id: conversation, text: text.repeat(100) });
    socket.emit('unknown', text);
    socket.emit('typing', text);
  }
  for (const token of [expired, foreign]) {
    await refusal(client(server, { auth: { token } }));
    await call(server, 'GET', '/api/chat/conversations', { token });
  }
  await refusal(client(server, { query: { token: alice.token } }));
  await say(server, alice, conversation, text);
  const path = `/api/chat/conversations/${conversation}/messages`;
  await call(server, 'POST', path, { token: alice.token, body: { text: text.repeat(100) } });
  await call(server, 'POST', path, { token: alice.token, raw: `{"text":"${text}` });
  await call(server, 'GET', `/api/chat/conversations?token=${alice.token}`, { token: bob.token });
  await history(server, bob, conversation);
  const raw = await RawWebSocket.connect(server, bob);
  raw.send(`42["send_message",{"text":"${text}`);
  await raw.ended();
  const polling = await RawPolling.connect(server, bob);
  await polling.post(`42["send_message",{"text":"${text}`);
  await polling.ended();
  for (const socket of sockets) socket.disconnect();
  await stats(server);
  // The ends of these connections are the last that is written about them.
  await eventually(() => endings().length >= before + sockets.length + 2, 'lines about the ends');
  const written = server.log.join('\n');
  const secrets = [SECRET, text, alice.token, bob.token, adminToken(), expired, foreign];
  for (const secret of secrets) assert.ok(!written.includes(secret), `written: ${secret}`);
  for (const token of [alice.token, bob.token, expired, foreign]) {
    for (const part of token.split('.').slice(1)) assert.ok(!written.includes(part), `written in part: ${part}`);
  }
});
