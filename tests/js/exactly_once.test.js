// client_msg_id and Idempotency-Key: a message is stored once, however often it is sent (contract, section 5).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, client, connect, connected, deaf, inbox, join } from './support/clients.js';
import { markDeleted, storedCount, waitingForLocks, withDatabase } from './support/database.js';
import { assertFailure, call, rawJson, refused, succeeded } from './support/rest.js';
import { makeDataDir, removeDataDir, serverForFile, startServer } from './support/server.js';
import { assertMessage, range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { history, newConversation, newId, newPair, newUser, say, unreadCount } from './support/world.js';

const server = await serverForFile();
const { sendOnce } = await snippets('sending.md');

const CONFLICT = { success: false, code: 'IDEMPOTENCY_CONFLICT', message: 'This client_msg_id was used for another text' };
const RULE = 'client_msg_id, or Idempotency-Key, must be 1 to 64 visible ASCII characters';

const path = (conversation) => `/api/chat/conversations/${conversation}/messages`;
const post = (user, conversation, body, headers = {}, at = server) =>
  call(at, 'POST', path(conversation), { token: user.token, body, headers });
const named = (conversation, text, id) => ({ conversation_id: conversation, text, client_msg_id: id });

/** The first answer, as a repeat of the message has it. */
const again = (message) => ({ ...message, duplicate: true });

for (const mode of Object.keys(MODES)) {
  test(`a repeat over ${mode} is answered with the stored message, and causes no event`, async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, other] = await Promise.all([connect(server, alice, mode), connect(server, bob, mode)]);
    await join(other, conversation);
    const [heard, notified] = [inbox(other, 'new_message'), inbox(other, 'message_notification')];
    const first = await ask(sender, 'send_message', named(conversation, 'once', 'a'));
    assertMessage(first.data, { sender: alice, conversation, text: 'once', seq: 1 });
    assert.ok(!('duplicate' in first.data));
    const repeat = await ask(sender, 'send_message', named(conversation, 'once', 'a'));
    assert.deepEqual(repeat, { success: true, data: again(first.data) });
    const next = await ask(sender, 'send_message', named(conversation, 'twice', 'b'));
    assert.equal(next.data.seq, 2);
    await heard.count(2);
    await notified.count(2);
    assert.deepEqual(seqs(heard.all), [1, 2]);
    assert.equal(notified.all.length, 2);
    assert.equal(await storedCount(server, conversation), 2);
    assert.equal(await unreadCount(server, bob), 2);
    for (const socket of [sender, other]) socket.disconnect();
  });
}

describe('over REST', () => {
  test('body and header name a message alike', async () => {
    const { alice, conversation } = await newPair(server);
    const first = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }), 201);
    assert.ok(!('duplicate' in first));
    const repeats = [
      await post(alice, conversation, { text: 'x', client_msg_id: 'k' }),
      await post(alice, conversation, { text: 'x' }, { 'Idempotency-Key': 'k' }),
      await post(alice, conversation, { text: 'x', client_msg_id: 'k' }, { 'Idempotency-Key': 'k' }),
    ];
    for (const repeat of repeats) assert.deepEqual(succeeded(repeat, 201), again(first));
    assert.equal(await storedCount(server, conversation), 1);
  });

  test('body and header that differ are refused', async () => {
    const { alice, conversation } = await newPair(server);
    const reply = await post(alice, conversation, { text: 'x', client_msg_id: 'a' }, { 'Idempotency-Key': 'b' });
    refused(reply, 400, 'INVALID_ARGUMENT', 'Idempotency-Key and client_msg_id are not the same');
    assert.equal(await storedCount(server, conversation), 0);
  });

  test('another text under the same name is a conflict', async () => {
    const { alice, conversation } = await newPair(server);
    await post(alice, conversation, { text: 'first', client_msg_id: 'k' });
    const reply = await post(alice, conversation, { text: 'second' }, { 'Idempotency-Key': 'k' });
    refused(reply, 409, CONFLICT.code, CONFLICT.message);
    const socket = await connect(server, alice);
    assert.deepEqual(await ask(socket, 'send_message', named(conversation, 'third', 'k')), CONFLICT);
    assert.deepEqual((await history(server, alice, conversation)).map(({ text }) => text), ['first']);
    socket.disconnect();
  });
});

test('a name is the sender’s own, in this conversation', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const other = await newConversation(server, alice, await newUser(server));
  const sends = [[alice, conversation], [bob, conversation], [alice, other]];
  for (const [user, where] of sends) {
    const message = succeeded(await post(user, where, { text: 'x', client_msg_id: 'k' }), 201);
    assert.ok(!('duplicate' in message));
  }
  assert.equal(await storedCount(server, conversation), 2);
});

test('over whichever transport, at the same moment, among other messages', async () => {
  const { alice, conversation } = await newPair(server);
  const sockets = await Promise.all(range(1, 5).map((i) => connect(server, alice, i % 2 ? 'websocket' : 'polling')));
  const [listener] = sockets;
  await join(listener, conversation);
  const heard = inbox(listener, 'new_message');
  const bySocket = (text, id) => ask(sockets[text.length % 5], 'send_message', named(conversation, text, id));
  const byRest = async (text, id) => (await post(alice, conversation, { text, client_msg_id: id })).body;
  const names = range(1, 30);
  // Each name ten times, in a different order each time, and as many without a name.
  const sends = range(1, 10).flatMap((round) => names.flatMap((i) => {
    const name = names[(i * 7 + round * 11) % names.length];
    const send = (name + round) % 2 ? bySocket : byRest;
    return [send(`text ${name}`, `name ${name}`.replace(' ', '-')), send(`unnamed ${round} ${i}`, undefined)];
  }));
  const answers = await Promise.all(sends);
  for (const answer of answers) assert.equal(answer.success, true, JSON.stringify(answer));
  const firsts = answers.filter(({ data }) => !data.duplicate);
  assert.equal(firsts.length, 30 + 300, 'each is the first once');
  for (const name of names) {
    const same = answers.filter(({ data }) => data.text === `text ${name}`).map(({ data }) => data._id);
    assert.equal(same.length, 10);
    assert.equal(new Set(same).size, 1, 'a repeat is answered with the first');
  }
  await heard.count(330);
  assert.deepEqual(seqs(heard.all), range(1, 330), 'numbered without gaps');
  assert.equal(await storedCount(server, conversation), 330);
  for (const socket of sockets) socket.disconnect();
});

test('a repeat shows what became of the message since', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const first = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }), 201);
  await history(server, bob, conversation);
  const read = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }), 201);
  assert.equal(read.is_read, true);
  assert.ok(read.read_at >= first.sent_at);
  await markDeleted(server, first._id);
  const deleted = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }), 201);
  assert.equal(deleted._id, first._id, 'what was deleted does not come back');
  assert.deepEqual(await history(server, bob, conversation), []);
});

describe('a name', () => {
  test('is 1 to 64 visible ASCII characters', async () => {
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    for (const bad of ['', ' ', 'a b', 'é', 'x'.repeat(65), 7, true, [], {}]) {
      const shown = JSON.stringify(bad);
      assertFailure(await ask(socket, 'send_message', named(conversation, 'x', bad)), 'INVALID_ARGUMENT', RULE);
      refused(await post(alice, conversation, { text: 'x', client_msg_id: bad }), 400, 'INVALID_ARGUMENT', RULE);
      if (typeof bad === 'string' && bad !== 'é' && bad.trim() === bad) {
        refused(await post(alice, conversation, { text: 'x' }, { 'Idempotency-Key': bad }), 400, 'INVALID_ARGUMENT', RULE);
      }
      assert.equal(await storedCount(server, conversation), 0, shown);
    }
    for (const good of ['!', '~', 'x'.repeat(64)]) {
      assert.equal((await ask(socket, 'send_message', named(conversation, 'x', good))).success, true, good);
    }
    assert.equal((await ask(socket, 'send_message', named(conversation, 'x', null))).success, true, 'null is none');
    socket.disconnect();
  });

  test('does not let a stranger look', async () => {
    const { alice, conversation } = await newPair(server);
    await post(alice, conversation, { text: 'x', client_msg_id: 'k' });
    const reply = await post(await newUser(server), conversation, { text: 'x', client_msg_id: 'k' });
    refused(reply, 404, 'NOT_FOUND', 'Conversation not found');
  });

  test('may be used again after a refusal', async () => {
    const { alice, conversation } = await newPair(server);
    refused(await post(alice, conversation, { text: ' ', client_msg_id: 'k' }), 400, 'INVALID_ARGUMENT');
    const message = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }), 201);
    assert.ok(!('duplicate' in message));
  });

  test('that comes twice in a body is the last one', async () => {
    const { alice, conversation } = await newPair(server);
    const raw = rawJson('{"text":"x","client_msg_id":"a","client_msg_id":"b"}');
    succeeded(await call(server, 'POST', path(conversation), { token: alice.token, ...raw }), 201);
    const repeat = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'b' }), 201);
    assert.equal(repeat.duplicate, true);
  });
});

test('a message that somebody else is just storing is found', async () => {
  const { alice, conversation } = await newPair(server);
  await withDatabase(server, async (database) => {
    const ids = [conversation, newId(), alice.id];
    await database.query('BEGIN');
    await database.query(`UPDATE conversations SET last_seq = 1 WHERE id = decode($1, 'hex')`, [conversation]);
    await database.query(`
      INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at, client_msg_id)
      VALUES (decode($1, 'hex'), 1, decode($2, 'hex'), decode($3, 'hex'), 'x', now(), 'k')`, ids);
    const posted = post(alice, conversation, { text: 'x', client_msg_id: 'k' });
    const isWaiting = ({ application_name: name }) => name.includes('lane');
    await eventually(async () => (await waitingForLocks(database)).some(isWaiting), 'the batch waits', { every: 5 });
    await database.query('COMMIT');
    const message = succeeded(await posted, 201);
    assert.deepEqual([message._id, message.seq, message.duplicate], [ids[1], 1, true]);
  });
  const next = succeeded(await post(alice, conversation, { text: 'y', client_msg_id: 'l' }), 201);
  assert.equal(next.seq, 2);
});

test('a restart forgets no name', async () => {
  const dir = makeDataDir();
  let own = await startServer({ dir });
  try {
    const { alice, conversation } = await newPair(own);
    const first = succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }, {}, own), 201);
    await own.kill();
    own = await startServer({ dir });
    assert.deepEqual(succeeded(await post(alice, conversation, { text: 'x', client_msg_id: 'k' }, {}, own), 201), again(first));
  } finally {
    await own.stop();
    await removeDataDir(dir);
  }
});

describe('the documented way to send', () => {
  test('stores once when the answer to the socket is lost', async () => {
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    // The answer is lost on its way, and the connection with it.
    const stored = () => eventually(async () => (await storedCount(server, conversation)) === 1, 'the message is stored');
    const lossy = deaf(socket, stored);
    const message = await sendOnce(lossy, { url: server.url, token: alice.token, conversation, text: 'once' });
    assert.equal(message.duplicate, true);
    assert.equal(await storedCount(server, conversation), 1);
    socket.disconnect();
  });

  test('stores once when the client sends the packet later after all', async () => {
    const { alice, conversation } = await newPair(server);
    const socket = client(server, { auth: { token: alice.token } });
    await connected(socket);
    socket.io.engine.close();
    const offline = { timeout: () => socket.timeout(100) };
    const message = await sendOnce(offline, { url: server.url, token: alice.token, conversation, text: 'once' });
    assert.ok(!('duplicate' in message));
    socket.connect();
    await connected(socket);
    await say(server, alice, conversation, 'afterwards');
    assert.deepEqual((await history(server, alice, conversation)).map(({ text }) => text), ['once', 'afterwards']);
    socket.disconnect();
  });

  test('waits as long as it is told to, and then goes by REST', async () => {
    const { alice, conversation } = await newPair(server);
    for (const code of ['OVERLOADED', 'RATE_LIMITED']) {
      const told = Date.now();
      const busy = { timeout: () => ({ emitWithAck: async () => ({ success: false, code, retry_after_ms: 700 }) }) };
      const message = await sendOnce(busy, { url: server.url, token: alice.token, conversation, text: code });
      assert.ok(Date.now() - told >= 699, `${code}: ${Date.now() - told} ms`);
      assert.equal(message.sender_id, alice.id);
    }
    assert.equal(await storedCount(server, conversation), 2);
  });

  test('tells a refusal at once', async () => {
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice);
    const send = sendOnce(socket, { url: server.url, token: alice.token, conversation, text: ' ' });
    await assert.rejects(send, { code: 'INVALID_ARGUMENT' });
    socket.disconnect();
  });
});
