// What fetching marks as read, and what counts as unread (contract, section 2).
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, send } from './support/clients.js';
import { markDeleted } from './support/database.js';
import { call, refused } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { TIMESTAMP, range } from './support/shapes.js';
import { conversations, history, newConversation, newPair, newUser, say, unreadCount } from './support/world.js';

const server = await serverForFile();

/** Alice and Bob, with `n` messages by Alice. */
async function pairWith(n) {
  const pair = await newPair(server);
  for (const i of range(1, n)) await say(server, pair.alice, pair.conversation, `message ${i}`);
  return pair;
}

test('the page shows the state before the fetch, and the next one the marks', async () => {
  const { alice, bob, conversation } = await pairWith(3);
  const start = new Date().toISOString();
  for (const message of await history(server, bob, conversation)) {
    assert.equal(message.is_read, false);
    assert.equal(message.read_at, null);
  }
  for (const reader of [bob, alice]) {
    for (const message of await history(server, reader, conversation)) {
      assert.equal(message.is_read, true);
      assert.match(message.read_at, TIMESTAMP);
      // The database's clock is the same machine's; a second covers its rounding.
      assert.ok(Date.parse(message.read_at) >= Date.parse(start) - 1000, message.read_at);
      assert.ok(message.read_at >= message.sent_at);
    }
  }
});

test('the list of conversations shows whether the last message was read', async () => {
  const { alice, bob, conversation } = await pairWith(1);
  const lastRead = async () => (await conversations(server, alice))[0].last_message.is_read;
  assert.equal(await lastRead(), false);
  await history(server, alice, conversation);
  assert.equal(await lastRead(), false);
  await history(server, bob, conversation);
  assert.equal(await lastRead(), true);
});

test('a mark is kept as it was made', async () => {
  const { bob, conversation } = await pairWith(1);
  await history(server, bob, conversation);
  const [first] = await history(server, bob, conversation);
  const [second] = await history(server, bob, conversation);
  assert.equal(second.read_at, first.read_at);
});

test('one’s own messages are not marked by one’s own fetch', async () => {
  const { alice, bob, conversation } = await pairWith(2);
  await history(server, alice, conversation);
  for (const message of await history(server, alice, conversation)) assert.equal(message.is_read, false);
  assert.equal(await unreadCount(server, bob), 2);
  await say(server, bob, conversation, 'a reply');
  await history(server, alice, conversation);
  const read = (await history(server, alice, conversation)).map(({ is_read }) => is_read);
  assert.deepEqual(read, [false, false, true]);
});

for (const query of ['?limit=1', '?page=3&limit=1', '?page=1000']) {
  test(`all that is unread is marked, not only the page ${query}`, async () => {
    const { bob, conversation } = await pairWith(5);
    assert.equal(await unreadCount(server, bob), 5);
    await history(server, bob, conversation, query);
    assert.equal(await unreadCount(server, bob), 0);
    for (const message of await history(server, bob, conversation)) assert.equal(message.is_read, true);
  });
}

test('what comes after the fetch is unread', async () => {
  const { alice, bob, conversation } = await pairWith(1);
  await history(server, bob, conversation);
  await say(server, alice, conversation, 'later');
  assert.equal(await unreadCount(server, bob), 1);
  const read = (await history(server, bob, conversation)).map(({ is_read }) => is_read);
  assert.deepEqual(read, [true, false]);
});

test('one conversation’s fetch leaves the others unread', async () => {
  const { alice, bob, conversation } = await pairWith(2);
  const carol = await newUser(server);
  const other = await newConversation(server, carol, bob);
  await say(server, carol, other, 'from Carol');
  await history(server, bob, conversation);
  assert.equal(await unreadCount(server, bob), 1);
  assert.equal((await history(server, carol, other))[0].is_read, false);
  assert.equal(await unreadCount(server, alice), 0);
});

test('a stranger’s fetch marks nothing', async () => {
  const { bob, conversation } = await pairWith(2);
  const stranger = await newUser(server);
  const path = `/api/chat/conversations/${conversation}/messages`;
  refused(await call(server, 'GET', path, { token: stranger.token }), 404, 'NOT_FOUND', 'Conversation not found');
  assert.equal(await unreadCount(server, bob), 2);
});

test('the count is of messages by others in all conversations of the caller', async () => {
  const { alice, bob, conversation } = await pairWith(3);
  const carol = await newUser(server);
  const other = await newConversation(server, bob, carol);
  await say(server, carol, other, 'one');
  await say(server, bob, other, 'my own');
  await say(server, bob, conversation, 'my own');
  assert.equal(await unreadCount(server, bob), 4);
  assert.equal(await unreadCount(server, alice), 1);
  assert.equal(await unreadCount(server, carol), 1);
  assert.equal(await unreadCount(server, await newUser(server)), 0);
});

test('a deleted message is not counted', async () => {
  const { alice, bob, conversation } = await pairWith(2);
  const { _id } = await say(server, alice, conversation, 'to be deleted');
  assert.equal(await unreadCount(server, bob), 3);
  await markDeleted(server, _id);
  assert.equal(await unreadCount(server, bob), 2);
});

test('the reply of the count is one number beside success', async () => {
  const { bob } = await pairWith(1);
  const reply = await call(server, 'GET', '/api/chat/unread-count', { token: bob.token });
  assert.equal(reply.status, 200);
  assert.deepEqual(reply.body, { success: true, unread_count: 1 });
});

test('fetches and sends at the same time lose no mark and mark nothing twice', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const socket = await connect(server, alice);
  let done = false;
  const sends = Promise.all(range(1, 200).map((n) => send(socket, conversation, `${n}`))).finally(() => (done = true));
  while (!done) {
    const seen = await history(server, bob, conversation, '?limit=100');
    const again = await history(server, bob, conversation, '?limit=100');
    const marked = new Map(again.map((message) => [message.seq, message]));
    for (const { seq } of seen) {
      if (marked.has(seq)) assert.equal(marked.get(seq).is_read, true, `message ${seq} after the fetch that showed it`);
    }
  }
  await sends;
  await history(server, bob, conversation);
  assert.equal(await unreadCount(server, bob), 0);
  socket.disconnect();
});
