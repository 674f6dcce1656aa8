// Checks that a server speaks what is measured: node check.mjs <url> <secret>
//
// It makes its own users and conversations, and touches no others. Exit code 0: everything holds.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { once } from 'node:events';

// The client and the signer are in the Node peers' package.
const require = createRequire(new URL('./node/package.json', import.meta.url));
const { io } = require('socket.io-client');
const jwt = require('jsonwebtoken');

const [url, secret] = process.argv.slice(2);
if (!url || !secret) {
  console.error('usage: node check.mjs <url> <secret>');
  process.exit(2);
}

const WAIT_MS = 5_000;
const ID = /^[0-9a-f]{24}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const MESSAGE_FIELDS = ['_id', 'conversation_id', 'is_read', 'read_at', 'sender_id', 'sent_at', 'text'];
const CONVERSATION_FIELDS = ['_id', 'created_at', 'horse_id', 'last_message', 'participants', 'updated_at'];
/** Beyond what is measured; not every server has them. */
const EXTRA_FIELDS = ['head_seq', 'seq', 'unread_count'];
const EVENTS = ['new_message', 'message_notification', 'user_typing', 'user_stop_typing'];
const NOT_FOUND = 'Conversation not found';

const fieldsOf = (shown) => Object.keys(shown).filter((field) => !EXTRA_FIELDS.includes(field)).sort();
const newId = () => randomBytes(12).toString('hex');
const mint = (userId, role = 'seller', options = {}) =>
  jwt.sign({ userId, role }, options.secret ?? secret, { algorithm: 'HS256', expiresIn: options.ttl ?? 3600 });

async function rest(method, path, { token, body, raw } = {}) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined || raw !== undefined) headers['content-type'] = 'application/json';
  const reply = await fetch(url + path, {
    method,
    headers,
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    signal: AbortSignal.timeout(WAIT_MS),
  });
  const text = await reply.text();
  try {
    return { status: reply.status, body: JSON.parse(text) };
  } catch {
    throw new Error(`${method} ${path}: ${reply.status}, not JSON: ${text}`);
  }
}

function succeeded(reply, status = 200) {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.body.success, true);
  return reply.body.data;
}

function refused(reply, status, message) {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.body.success, false);
  if (message === undefined) assert.ok(reply.body.message);
  else assert.equal(reply.body.message, message);
}

const sockets = [];

/** A socket that is not connected yet, and remembers every event. */
function open(auth, { namespace = '/', transports = ['websocket'] } = {}) {
  const socket = io(new URL(namespace, url).href, { auth, transports, forceNew: true, reconnection: false });
  sockets.push(socket);
  socket.seen = Object.fromEntries(EVENTS.map((event) => [event, []]));
  for (const event of EVENTS) socket.on(event, (payload) => socket.seen[event].push(payload));
  return socket;
}

async function connect(token, options) {
  const socket = open({ token }, options);
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => null),
    new Promise((resolve) => socket.once('connect_error', resolve)),
  ]);
  if (outcome !== null) throw outcome;
  return socket;
}

async function connectError(auth, options) {
  const socket = open(auth, options);
  const error = await new Promise((resolve, reject) => {
    socket.once('connect_error', resolve);
    socket.once('connect', () => reject(new Error('it was let in')));
  });
  socket.close();
  return error.message;
}

const ask = (socket, ...args) => socket.timeout(WAIT_MS).emitWithAck(...args);

/** All that was on its way to these sockets has arrived: whatever was sent before an answer comes before it. */
async function settle(...settled) {
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(settled.map((socket) => ask(socket, 'join_conversation', newId())));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const forget = (...forgetful) => {
  for (const { seen } of forgetful) for (const event of EVENTS) seen[event].length = 0;
};

function assertMessage(message, { sender, conversation, text, plain = false, isRead = false }) {
  assert.deepEqual(fieldsOf(message), MESSAGE_FIELDS);
  assert.match(message._id, ID);
  assert.match(message.sent_at, TIMESTAMP);
  assert.equal(message.conversation_id, conversation);
  assert.equal(message.text, text);
  assert.equal(message.is_read, isRead);
  if (isRead) assert.match(message.read_at, TIMESTAMP);
  else assert.equal(message.read_at, null);
  assert.deepEqual(message.sender_id, plain ? sender._id : sender);
}

const anna = { _id: newId(), full_name: 'Anna Example', profile_picture_url: 'https://example.org/anna.jpg' };
const ben = { _id: newId(), full_name: 'Ben Example', profile_picture_url: null };
const cleo = { _id: newId(), full_name: 'Cleo Example', profile_picture_url: null };
const tokens = new Map([anna, ben, cleo].map(({ _id }) => [_id, mint(_id)]));
const tokenOf = ({ _id }) => tokens.get(_id);
const admin = mint(newId(), 'admin');
const history = (user, id, query = '') =>
  rest('GET', `/api/chat/conversations/${id}/messages${query}`, { token: tokenOf(user) });
const post = (user, id, body) =>
  rest('POST', `/api/chat/conversations/${id}/messages`, { token: tokenOf(user), body });
const unread = async (user) => {
  const reply = await rest('GET', '/api/chat/unread-count', { token: tokenOf(user) });
  succeeded(reply);
  return reply.body.unread_count;
};

let conversation;
let other;
let annas;
let annasPhone;
let bens;
let bensPhone;
let cleos;

const checks = {
  'GET /health': async () => {
    succeeded(await rest('GET', '/health'));
  },

  'unknown routes are 404, in JSON': async () => {
    refused(await rest('GET', '/nowhere'), 404, 'Route not found');
    refused(await rest('GET', '/api/chat/nowhere', { token: tokenOf(anna) }), 404);
  },

  'REST wants a valid token': async () => {
    refused(await rest('GET', '/api/chat/conversations'), 401, 'No token provided');
    for (const token of ['garbage', mint(anna._id, 'seller', { secret: 'another' }), mint(anna._id, 'seller', { ttl: -5 }), mint('x')]) {
      refused(await rest('GET', '/api/chat/conversations', { token }), 401, 'Invalid or expired token');
    }
  },

  'an admin stores profiles, others may not': async () => {
    for (const { _id, full_name, profile_picture_url } of [anna, ben, cleo]) {
      const body = { full_name: 'before', profile_picture_url };
      succeeded(await rest('PUT', `/api/chat/users/${_id}`, { token: admin, body }));
      const stored = succeeded(
        await rest('PUT', `/api/chat/users/${_id}`, { token: admin, body: { full_name, profile_picture_url } }),
      );
      assert.deepEqual(stored, { _id, full_name, profile_picture_url });
    }
    refused(await rest('PUT', `/api/chat/users/${anna._id}`, { token: tokenOf(anna), body: { full_name: 'X' } }), 403);
  },

  'two users get one conversation, whoever asks and however often at once': async () => {
    const ask = (from, to) =>
      rest('POST', '/api/chat/conversations', { token: tokenOf(from), body: { recipient_id: to._id } });
    const answers = await Promise.all([ask(anna, ben), ask(ben, anna), ask(anna, ben), ask(ben, anna)]);
    const ids = new Set(answers.map((answer) => succeeded(answer)._id));
    assert.equal(ids.size, 1);
    [conversation] = ids;
    const data = succeeded(await ask(anna, ben));
    assert.deepEqual(fieldsOf(data), CONVERSATION_FIELDS);
    assert.deepEqual([...data.participants].sort(), [anna._id, ben._id].sort());
    assert.equal(data.horse_id, null);
    assert.equal(data.last_message, null);
    assert.match(data.created_at, TIMESTAMP);
    assert.match(data.updated_at, TIMESTAMP);
  },

  'another horse is another conversation': async () => {
    const horse = newId();
    const body = { recipient_id: ben._id, horse_id: horse };
    const data = succeeded(await rest('POST', '/api/chat/conversations', { token: tokenOf(anna), body }));
    assert.notEqual(data._id, conversation);
    assert.equal(data.horse_id, horse);
    other = data._id;
  },

  'conversations that cannot be are refused': async () => {
    const ask = (body) => rest('POST', '/api/chat/conversations', { token: tokenOf(anna), body });
    refused(await ask({}), 400, 'Invalid recipient ID');
    refused(await ask({ recipient_id: 'x' }), 400, 'Invalid recipient ID');
    refused(await ask({ recipient_id: anna._id }), 400, 'Cannot message yourself');
    refused(await ask({ recipient_id: ben._id, horse_id: 'x' }), 400, 'Invalid horse ID');
    refused(await ask({ recipient_id: newId() }), 404, 'Recipient not found');
  },

  'CONNECT wants a valid token': async () => {
    assert.equal(await connectError({}), 'Authentication error: no token');
    const invalid = 'Authentication error: invalid token';
    assert.equal(await connectError({ token: 'garbage' }), invalid);
    assert.equal(await connectError({ token: mint(anna._id, 'seller', { secret: 'another' }) }), invalid);
    assert.equal(await connectError({ token: mint(anna._id, 'seller', { ttl: -5 }) }), invalid);
    assert.equal(await connectError({ token: mint('x') }), invalid);
    assert.equal(await connectError({ token: tokenOf(anna) }, { namespace: '/other' }), 'Invalid namespace');
  },

  'WebSocket, polling and the upgrade connect': async () => {
    annas = await connect(tokenOf(anna));
    annasPhone = await connect(tokenOf(anna), { transports: ['polling', 'websocket'] });
    bens = await connect(tokenOf(ben));
    bensPhone = await connect(tokenOf(ben), { transports: ['polling'] });
    cleos = await connect(tokenOf(cleo));
  },

  'participants join': async () => {
    for (const socket of [annas, annasPhone, bens]) {
      const ack = await ask(socket, 'join_conversation', conversation);
      assert.deepEqual(ack, { success: true, data: { conversation_id: conversation } });
    }
  },

  'a stranger neither joins nor sends nor types nor reads': async () => {
    const refusals = [
      await ask(cleos, 'join_conversation', conversation),
      await ask(cleos, 'send_message', { conversation_id: conversation, text: 'let me in' }),
      await ask(annas, 'join_conversation', newId()),
      await ask(annas, 'join_conversation', 'x'),
      await ask(annas, 'send_message', { conversation_id: newId(), text: 'hello?' }),
    ];
    for (const ack of refusals) {
      assert.equal(ack.success, false);
      assert.equal(ack.message, NOT_FOUND);
    }
    for (const event of ['typing', 'stop_typing']) {
      assert.equal((await ask(cleos, event, conversation)).success, false);
    }
    refused(await history(cleo, conversation), 404, NOT_FOUND);
    refused(await history(anna, newId()), 404, NOT_FOUND);
    refused(await history(anna, 'x'), 404, NOT_FOUND);
    refused(await post(cleo, conversation, { text: 'let me in' }), 404, NOT_FOUND);
    await settle(annas, annasPhone, bens, bensPhone);
    for (const socket of [annas, annasPhone, bens, bensPhone]) {
      for (const event of EVENTS) assert.deepEqual(socket.seen[event], []);
    }
  },

  'a sent message is acknowledged, and reaches room and recipient once each': async () => {
    const text = `Grüße 🐎 ${'x'.repeat(80)}`;
    const ack = await ask(annas, 'send_message', { conversation_id: conversation, text });
    assert.equal(ack.success, true, ack.message);
    assertMessage(ack.data, { sender: anna, conversation, text });
    await settle(annas, annasPhone, bens, bensPhone, cleos);
    for (const socket of [annas, annasPhone, bens]) assert.deepEqual(socket.seen.new_message, [ack.data]);
    for (const socket of [bensPhone, cleos]) assert.deepEqual(socket.seen.new_message, []);
    const notification = { conversation_id: conversation, sender: anna._id, preview: [...text].slice(0, 60).join('') };
    for (const socket of [bens, bensPhone]) assert.deepEqual(socket.seen.message_notification, [notification]);
    for (const socket of [annas, annasPhone, cleos]) assert.deepEqual(socket.seen.message_notification, []);
    forget(annas, annasPhone, bens, bensPhone);
  },

  'a message without an acknowledgement function arrives as well': async () => {
    bensPhone.emit('send_message', { conversation_id: conversation, text: 'no ack, and not joined' });
    await ask(bensPhone, 'join_conversation', newId());
    await settle(annas, annasPhone, bens, bensPhone);
    assert.equal(annas.seen.new_message.length, 1);
    assertMessage(annas.seen.new_message[0], { sender: ben, conversation, text: 'no ack, and not joined' });
    assert.equal(annasPhone.seen.message_notification.length, 1);
    assert.equal(bensPhone.seen.new_message.length, 0);
    forget(annas, annasPhone, bens, bensPhone);
  },

  'a join followed at once by sends hears them, in the order sent': async () => {
    const socket = await connect(tokenOf(anna));
    const texts = Array.from({ length: 20 }, (_, i) => `in flight ${i}`);
    const acks = await Promise.all([
      ask(socket, 'join_conversation', conversation),
      ...texts.map((text) => ask(socket, 'send_message', { conversation_id: conversation, text })),
    ]);
    assert.ok(acks.every(({ success }) => success));
    await settle(socket, bens);
    const heard = (listener) => listener.seen.new_message.map(({ text }) => text);
    assert.deepEqual(heard(socket), texts);
    assert.deepEqual(heard(bens), texts);
    const page = succeeded(await history(anna, conversation, '?limit=20'));
    assert.deepEqual(page.map(({ text }) => text), texts);
    socket.close();
    await settle(annas, annasPhone, bens, bensPhone);
    forget(annas, annasPhone, bens, bensPhone);
  },

  'typing reaches every other socket in the room': async () => {
    for (const [event, relayed] of [['typing', 'user_typing'], ['stop_typing', 'user_stop_typing']]) {
      assert.equal((await ask(annas, event, conversation)).success, true);
      await settle(annas, annasPhone, bens, bensPhone, cleos);
      for (const socket of [annasPhone, bens]) {
        assert.deepEqual(socket.seen[relayed].map(({ userId }) => userId), [anna._id]);
      }
      for (const socket of [annas, bensPhone, cleos]) assert.deepEqual(socket.seen[relayed], []);
    }
    forget(annasPhone, bens);
    // Without a join.
    assert.equal((await ask(bensPhone, 'typing', conversation)).success, true);
    await settle(annas, bens, bensPhone);
    assert.equal(annas.seen.user_typing.length, 1);
    forget(annas, annasPhone, bens, bensPhone);
  },

  'texts have 1 to 2000 code points, on both transports': async () => {
    for (const text of ['🐎'.repeat(2000), ' a ']) {
      const ack = await ask(annas, 'send_message', { conversation_id: other, text });
      assert.equal(ack.data?.text, text);
      assert.equal(succeeded(await post(anna, other, { text }), 201).text, text);
    }
    for (const text of ['', '  \n', 'x'.repeat(2001), 'a\0b', 7, null, ['x'], undefined]) {
      const ack = await ask(annas, 'send_message', { conversation_id: other, text });
      assert.equal(ack.success, false);
      refused(await post(anna, other, { text }), 400);
    }
    assert.equal(succeeded(await history(anna, other)).length, 4);
  },

  'wrong packets are refused, and the connection stays': async () => {
    for (const args of [['nonsense', 1], ['join_conversation'], ['send_message'], ['send_message', null], ['typing', {}]]) {
      assert.equal((await ask(annas, ...args)).success, false);
    }
    assert.ok(annas.connected);
  },

  'a posted message has a plain sender, and reaches room and recipient': async () => {
    await settle(annas, annasPhone, bens, bensPhone);
    forget(annas, annasPhone, bens, bensPhone);
    const data = succeeded(await post(anna, conversation, { text: 'by REST' }), 201);
    assertMessage(data, { sender: anna, conversation, text: 'by REST', plain: true });
    await settle(annas, bens, bensPhone);
    assert.deepEqual(bens.seen.new_message, [{ ...data, sender_id: anna }]);
    assert.deepEqual(annas.seen.new_message, [{ ...data, sender_id: anna }]);
    assert.equal(bens.seen.message_notification.length, 1);
    assert.equal(bensPhone.seen.message_notification.length, 1);
  },

  'bodies that are none are refused': async () => {
    const path = `/api/chat/conversations/${conversation}/messages`;
    const token = tokenOf(anna);
    for (const raw of ['', 'not json', '[]', '"text"']) refused(await rest('POST', path, { token, raw }), 400);
    refused(await rest('POST', path, { token, body: { text: 'x'.repeat(70_000) } }), 413);
  },

  'the list has the newest first, with profiles and the last message': async () => {
    for (const user of [anna, ben]) {
      const list = succeeded(await rest('GET', '/api/chat/conversations', { token: tokenOf(user) }));
      assert.deepEqual(list.map(({ _id }) => _id), [conversation, other]);
      assert.deepEqual(fieldsOf(list[0]), CONVERSATION_FIELDS);
      const participants = [...list[0].participants].sort((a, b) => a.full_name.localeCompare(b.full_name));
      assert.deepEqual(participants, [anna, ben]);
      assert.equal(list[0].last_message.text, 'by REST');
      assert.equal(list[0].last_message.sender_id, anna._id);
    }
    assert.deepEqual(succeeded(await rest('GET', '/api/chat/conversations', { token: tokenOf(cleo) })), []);
  },

  'pages: the newest first, oldest first inside, and limits corrected': async () => {
    const texts = async (query) => succeeded(await history(anna, conversation, query)).map(({ text }) => text);
    const all = await texts('?limit=100');
    assert.equal(all.length, 23);
    assert.equal(all.at(-1), 'by REST');
    assert.deepEqual(await texts('?page=2&limit=10'), all.slice(-20, -10));
    assert.deepEqual(await texts('?page=3&limit=10'), all.slice(0, 3));
    assert.deepEqual(await texts('?page=9&limit=10'), []);
    for (const query of ['', '?limit=0', '?limit=-1', '?limit=x', '?page=0', '?page=x', '?limit=1000']) {
      assert.deepEqual(await texts(query), all);
    }
  },

  'fetching a page marks everything of the other as read, once': async () => {
    // 22 of Anna's in the first, 4 in the other; Ben's one message was read by the pages above.
    assert.equal(await unread(ben), 26);
    assert.equal(await unread(anna), 0);
    const before = succeeded(await history(ben, conversation, '?limit=2'));
    assert.deepEqual(before.map(({ is_read }) => is_read), [false, false]);
    assert.equal(await unread(ben), 4);
    const after = succeeded(await history(ben, conversation, '?limit=100'));
    for (const message of after) {
      assert.equal(message.is_read, true);
      assert.match(message.read_at, TIMESTAMP);
    }
    assertMessage(after.at(-1), { sender: anna, conversation, text: 'by REST', isRead: true });
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n${error.stack}`);
  }
}
for (const socket of sockets) socket.close();
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
