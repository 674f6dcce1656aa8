// POST /api/chat/conversations/:id/messages (contract, section 2).
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, inbox, join } from './support/clients.js';
import { storedCount } from './support/database.js';
import { call, rawJson, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { assertMessage, assertPostedMessage, range, seqs } from './support/shapes.js';
import { conversations, history, malformedIds, newId, newPair, newUser, say, wholeHistory } from './support/world.js';

const server = await serverForFile();

const BODY_LIMIT = 64 * 1024;

let alice;
let bob;
let conversation;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
});

const post = (options, id = conversation, user = alice) =>
  call(server, 'POST', `/api/chat/conversations/${id}/messages`, { token: user.token, ...options });

/** A good body, filled up with blanks (which JSON allows) to an exact size. */
const padded = (bytes) => '{"text":"padded"}'.padEnd(bytes, ' ');

test('a message is stored and answered with 201 and a plain sender id', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const posted = succeeded(await post({ body: { text: 'first' } }, theirs, carol), 201);
  assertPostedMessage(posted, { sender: carol, conversation: theirs, text: 'first', seq: 1 });
  const reply = succeeded(await post({ body: { text: 'second' } }, theirs, dave), 201);
  assertPostedMessage(reply, { sender: dave, conversation: theirs, text: 'second', seq: 2 });
  const stored = await history(server, carol, theirs);
  assertMessage(stored[0], { sender: carol, conversation: theirs, text: 'first', seq: 1 });
  assert.equal(stored[0]._id, posted._id);
  assert.equal(stored[0].sent_at, posted.sent_at);
});

test('the conversation’s last message and time of update follow', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const [empty] = await conversations(server, carol);
  assert.equal(empty.last_message, null);
  const posted = await say(server, dave, theirs, 'the latest');
  const [updated] = await conversations(server, carol);
  const { text, sender_id, sent_at, is_read } = updated.last_message;
  const expected = { text: 'the latest', sender_id: dave.id, sent_at: posted.sent_at, is_read: false };
  assert.deepEqual({ text, sender_id, sent_at, is_read }, expected);
  assert.equal(updated.created_at, empty.created_at);
  assert.ok(updated.updated_at >= posted.sent_at, 'updated with the message');
});

test('it reaches room and recipient exactly as a socket’s send does', async () => {
  const [sender, joined, apart] = await Promise.all([alice, bob, bob].map((user) => connect(server, user)));
  await Promise.all([join(sender, conversation), join(joined, conversation)]);
  const rooms = [inbox(sender, 'new_message'), inbox(joined, 'new_message')];
  const notes = [inbox(joined, 'message_notification'), inbox(apart, 'message_notification')];
  const unwanted = [inbox(sender, 'message_notification'), inbox(apart, 'new_message')];
  const posted = await say(server, alice, conversation, 'by REST');
  const reply = await say(server, bob, conversation, 'and back');
  for (const room of rooms) {
    const [first, second] = await room.count(2);
    assertMessage(first, { sender: alice, conversation, text: 'by REST', seq: posted.seq });
    assert.equal(first._id, posted._id);
    assert.equal(first.sent_at, posted.sent_at);
    assertMessage(second, { sender: bob, conversation, text: 'and back', seq: reply.seq });
  }
  for (const note of notes) {
    assert.deepEqual(await note.count(1), [{ conversation_id: conversation, sender: alice.id, preview: 'by REST' }]);
  }
  const [own] = await unwanted[0].count(1);
  assert.equal(own.sender, bob.id, 'the first notification of the sender is about the reply');
  assert.deepEqual(unwanted[1].all, []);
  for (const socket of [sender, joined, apart]) socket.disconnect();
});

test('unknown, malformed and foreign conversations are one and the same refusal', async () => {
  const stranger = await newUser(server);
  const body = { text: 'let me in' };
  const before = await storedCount(server, conversation);
  const foreign = await post({ body }, conversation, stranger);
  refused(foreign, 404, 'NOT_FOUND', 'Conversation not found');
  for (const id of [newId(), ...malformedIds(conversation).map(encodeURIComponent), '%00']) {
    const reply = await post({ body }, id, stranger);
    assert.deepEqual([reply.status, reply.text], [foreign.status, foreign.text], id);
  }
  assert.equal(await storedCount(server, conversation), before);
  succeeded(await post({ body }), 201);
});

describe('a body is refused that is', () => {
  const bodies = [
    ['absent', ''], ['not JSON', 'text=hello'], ['cut off', '{"text":"hel'], ['followed by more', '{"text":"a"}{}'],
    ['an array', '["hello"]'], ['a text', '"hello"'], ['a number', '1'], ['null', 'null'], ['true', 'true'],
    ['an empty object', '{}'], ['without text', '{"txet":"hello"}'],
    ['not UTF-8', Buffer.from('{"text":"\xff"}', 'latin1')],
    ['nested beyond reason', `{"text":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ];
  for (const [name, raw] of bodies) {
    test(name, async () => {
      refused(await post(rawJson(raw)), 400, 'INVALID_ARGUMENT');
      succeeded(await post(rawJson('{"text":"a good one"}')), 201);
    });
  }
});

test('fields that nobody knows are ignored', async () => {
  const body = { text: 'plain', sender_id: bob.id, is_read: true, conversation_id: newId(), seq: 99_999, x: { a: 1 } };
  const posted = succeeded(await post({ body }), 201);
  assertPostedMessage(posted, { sender: alice, conversation, text: 'plain' });
  assert.ok(posted.seq < 99_999);
});

test('a body without a JSON content type is answered in JSON', async () => {
  const reply = await post({ raw: '{"text":"hello"}', headers: { 'content-type': 'text/plain' } });
  assert.ok([201, 400, 415].includes(reply.status), reply.text);
  assert.equal(typeof reply.body?.success, 'boolean');
});

test('a body of 64 KiB is taken, and one byte more refused', async () => {
  const before = await storedCount(server, conversation);
  succeeded(await post(rawJson(padded(BODY_LIMIT))), 201);
  refused(await post(rawJson(padded(BODY_LIMIT + 1))), 413, 'TOO_LARGE');
  assert.equal(await storedCount(server, conversation), before + 1);
});

test('the same bound holds for a body of unannounced length', async () => {
  const chunked = (bytes) => {
    const pieces = padded(bytes).match(/[^]{1,8192}/g);
    const stream = new ReadableStream({
      pull(controller) {
        const piece = pieces.shift();
        if (piece) controller.enqueue(new TextEncoder().encode(piece));
        else controller.close();
      },
    });
    return rawJson(stream);
  };
  succeeded(await post(chunked(BODY_LIMIT)), 201);
  refused(await post(chunked(BODY_LIMIT + 1)), 413, 'TOO_LARGE');
});

test('posts at the same time are numbered without gap or repeat', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const senders = range(1, 60).map((n) => say(server, n % 2 ? carol : dave, theirs, `${n}`));
  const posted = await Promise.all(senders);
  assert.deepEqual(seqs(posted).sort((a, b) => a - b), range(1, 60));
  const stored = await wholeHistory(server, carol, theirs);
  assert.deepEqual(seqs(stored), range(1, 60));
  for (const { seq, _id, text } of posted) {
    assert.deepEqual([stored[seq - 1]._id, stored[seq - 1].text], [_id, text]);
  }
});
