// GET /api/chat/conversations/:id/messages: what a page holds (contract, section 2).
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, send } from './support/clients.js';
import { markDeleted, query } from './support/database.js';
import { call, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { assertMessage, profile, range, seqs, texts } from './support/shapes.js';
import {
  adminToken, history, malformedIds, newConversation, newId, newPair, newUser, say, unreadCount, wholeHistory,
} from './support/world.js';

const server = await serverForFile();

const TOTAL = 130;

let alice;
let bob;
let conversation;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
  const socket = await connect(server, alice);
  await Promise.all(range(1, TOTAL).map((n) => send(socket, conversation, `message ${n}`)));
  socket.disconnect();
});

// Read by their sender, so that no mark changes what the next test sees.
const page = (query) => history(server, alice, conversation, query);

describe('page 1 is the newest, and inside a page the oldest comes first', () => {
  const pages = [
    ['', range(101, 130)],
    ['?page=1', range(101, 130)],
    ['?page=2', range(71, 100)],
    ['?page=5', range(1, 10)],
    ['?page=6', []],
    ['?page=1&limit=100', range(31, 130)],
    ['?page=2&limit=100', range(1, 30)],
    ['?page=3&limit=100', []],
    ['?page=1&limit=1', [130]],
    ['?page=130&limit=1', [1]],
    ['?page=131&limit=1', []],
    ['?page=13&limit=10', range(1, 10)],
    ['?page=2&limit=99', range(1, 31)],
  ];
  for (const [query, expected] of pages) {
    test(query || 'by default', async () => {
      const messages = await page(query);
      assert.deepEqual(seqs(messages), expected);
      assert.deepEqual(texts(messages), expected.map((n) => `message ${n}`));
    });
  }
});

describe('a limit out of bounds is brought into them', () => {
  const limits = [
    ['0', 30], ['-1', 30], ['-100', 30], ['abc', 30], ['', 30], ['NaN', 30], ['%00', 30], ['%FF', 30], ['null', 30],
    ['1', 1], ['99', 99], ['100', 100], ['101', 100], ['1000000', 100],
    ['4294967296', 100], ['9223372036854775808', 100], ['1'.repeat(60), 100], [`-${'1'.repeat(60)}`, 30],
  ];
  for (const [limit, length] of limits) {
    test(`limit=${limit}`, async () => {
      assert.deepEqual(seqs(await page(`?limit=${limit}`)), range(TOTAL - length + 1, TOTAL));
    });
  }
});

describe('a page out of bounds is the first, or an empty one past the end', () => {
  const first = ['0', '-1', 'abc', '', 'NaN', '%00', '%FF', `-${'1'.repeat(60)}`];
  for (const number of first) {
    test(`page=${number}`, async () => {
      assert.deepEqual(seqs(await page(`?page=${number}`)), range(101, 130));
    });
  }
  const beyond = ['1000000', '4294967297', '9223372036854775807', '18446744073709551617', '1'.repeat(60)];
  for (const number of beyond) {
    test(`page=${number}`, async () => assert.deepEqual(await page(`?page=${number}`), []));
  }
});

describe('a query that nobody would write is answered all the same', () => {
  const queries = [
    '?', '?&&', '?limit', '?limit=2&limit=3', '?limit[]=5', '?page=1e3', '?limit=1e3', '?limit=2.5', '?%',
  ];
  for (const query of queries) {
    test(query, async () => {
      const found = seqs(await page(query));
      assert.deepEqual(found, found.length ? range(found[0], found.at(-1)) : [], 'one run of the conversation');
      assert.ok(found.length <= 100);
    });
  }
});

test('a message is shown to the field, with its sender populated', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  assert.deepEqual(await history(server, carol, theirs), []);
  const first = await say(server, carol, theirs, 'with a picture');
  const second = await say(server, dave, theirs, 'without one');
  const messages = await history(server, carol, theirs);
  assertMessage(messages[0], { sender: carol, conversation: theirs, text: 'with a picture', seq: 1 });
  assertMessage(messages[1], { sender: dave, conversation: theirs, text: 'without one', seq: 2 });
  assert.equal(messages[1].sender_id.profile_picture_url, null);
  assert.deepEqual([messages[0]._id, messages[1]._id], [first._id, second._id]);
  assert.deepEqual([messages[0].sent_at, messages[1].sent_at], [first.sent_at, second.sent_at]);
  assert.ok(first.sent_at <= second.sent_at);
});

test('a sender is shown as the platform knows him now', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  await say(server, carol, theirs, 'before the new name');
  const body = { full_name: 'Carol Renamed', profile_picture_url: 'https://cdn.example/new.jpg' };
  succeeded(await call(server, 'PUT', `/api/chat/users/${carol.id}`, { token: adminToken(), body }));
  const [message] = await history(server, dave, theirs);
  assert.deepEqual(message.sender_id, profile({ ...carol, ...body }));
});

test('soft-deleted messages are left out, and pages close over the gap', async () => {
  const { alice: carol, conversation: theirs } = await newPair(server);
  const sent = [];
  for (const n of range(1, 6)) sent.push(await say(server, carol, theirs, `${n}`));
  await markDeleted(server, sent[1]._id);
  await markDeleted(server, sent[4]._id);
  assert.deepEqual(texts(await history(server, carol, theirs)), ['1', '3', '4', '6']);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=2')), ['4', '6']);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=2&page=2')), ['1', '3']);
  assert.equal((await say(server, carol, theirs, '7')).seq, 7, 'the number of a deleted message is not given again');
});

test('a message that comes back is on its page again, and one that is removed for good leaves no hole', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const sent = [];
  for (const n of range(1, 6)) sent.push(await say(server, carol, theirs, `${n}`));
  await markDeleted(server, sent[2]._id);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=3&page=2')), ['1', '2']);
  await query(server, 'UPDATE messages SET deleted_at = NULL WHERE id = $1', [Buffer.from(sent[2]._id, 'hex')]);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=3&page=2')), ['1', '2', '3']);
  await query(server, 'DELETE FROM messages WHERE id = $1', [Buffer.from(sent[4]._id, 'hex')]);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=3')), ['3', '4', '6']);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=3&page=2')), ['1', '2']);
  assert.deepEqual(texts(await history(server, carol, theirs, '?limit=3&page=3')), []);
  assert.equal(await unreadCount(server, dave), 5);
});

test('pages are contiguous and ordered while messages arrive', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const socket = await connect(server, carol);
  let acked = 0;
  const sends = range(1, 400).map(async (n) => {
    acked = Math.max(acked, (await send(socket, theirs, `${n}`)).seq);
  });
  let done = false;
  const all = Promise.all(sends).finally(() => (done = true));
  while (!done) {
    for (const number of [1, 2, 3]) {
      const before = acked;
      const found = seqs(await history(server, dave, theirs, `?limit=10&page=${number}`));
      assert.deepEqual(found, range(found[0] ?? 1, found.at(-1) ?? 0));
      if (before >= 10 * number) assert.equal(found.length, 10);
      assert.ok((found.at(-1) ?? 0) >= before - 10 * (number - 1), 'what was acked before the fetch is in its page');
    }
  }
  await all;
  assert.deepEqual(seqs(await wholeHistory(server, dave, theirs)), range(1, 400));
  socket.disconnect();
});

test('unknown, malformed and foreign conversations are one and the same refusal', async () => {
  const [carol, dave] = await Promise.all([newUser(server), newUser(server)]);
  await newConversation(server, carol, dave);
  const ids = [
    newId(), ...malformedIds(conversation).map(encodeURIComponent), '%00', "'%20OR%201=1--", '0'.repeat(24),
    'f'.repeat(24), 'a'.repeat(3000),
  ];
  const get = (id, user) => call(server, 'GET', `/api/chat/conversations/${id}/messages`, { token: user.token });
  const foreign = await get(conversation, carol);
  refused(foreign, 404, 'NOT_FOUND', 'Conversation not found');
  for (const id of ids) {
    const reply = await get(id, carol);
    assert.deepEqual([reply.status, reply.text], [foreign.status, foreign.text], id);
    assert.deepEqual([...reply.headers.keys()], [...foreign.headers.keys()], id);
  }
  succeeded(await get(conversation, alice));
  succeeded(await get(conversation, bob));
});
