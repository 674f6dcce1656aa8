// Deleting a message (contract, section 5).
import { afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeClients, connect, inbox, join, send } from './support/clients.js';
import { call, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { conversations, history, malformedIds, newId, newPair, newUser, say, unreadCount } from './support/world.js';

const server = await serverForFile();
const { deleteMessage, watchDeletions } = await snippets('deleting.md');
afterEach(() => closeClients());

const remove = (user, id) => call(server, 'DELETE', `/api/chat/messages/${id}`, { token: user?.token });
const unmarked = (user, conversation) => history(server, user, conversation, '?mark_read=false');

describe('a message that its sender deletes', () => {
  test('is shown and counted nowhere any more, and the room is told', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const sockets = await Promise.all([connect(server, alice), connect(server, bob)]);
    const heard = sockets.map((socket) => inbox(socket, 'message_deleted'));
    const unread = inbox(sockets[1], 'unread_update');
    for (const socket of sockets) await join(socket, conversation);
    const [first, second] = [await say(server, alice, conversation, 'first'), await say(server, alice, conversation, 'second')];
    const deleted = { conversation_id: conversation, _id: second._id, seq: 2 };
    assert.deepEqual(succeeded(await remove(alice, second._id)), deleted);
    for (const one of heard) assert.deepEqual(await one.count(1), [deleted]);
    assert.deepEqual(await unread.count(1), [{ conversation_id: conversation, unread_count: 1, total_unread: 1 }]);
    assert.equal(await unreadCount(server, bob), 1);
    for (const user of [alice, bob]) {
      assert.deepEqual((await unmarked(user, conversation)).map(({ _id }) => _id), [first._id]);
      assert.equal((await conversations(server, user))[0].last_message.text, 'first');
    }
    assert.equal((await say(server, bob, conversation, 'third')).seq, 3);
    assert.deepEqual(seqs(await unmarked(bob, conversation)), [1, 3]);
  });

  test('once more is answered the same, and nobody is told again', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const socket = await connect(server, bob);
    await join(socket, conversation);
    const [heard, unread] = ['message_deleted', 'unread_update'].map((event) => inbox(socket, event));
    const { _id } = await say(server, alice, conversation, 'only');
    const answers = await Promise.all(range(1, 8).map(() => remove(alice, _id)));
    for (const answer of answers) assert.deepEqual(succeeded(answer), { conversation_id: conversation, _id, seq: 1 });
    assert.deepEqual(await unmarked(alice, conversation), []);
    assert.equal((await conversations(server, alice))[0].last_message, null);
    await Promise.all([heard.count(1), unread.count(1)]);
    // The room tells in order: what it has told of the repeats comes before this.
    const next = await say(server, alice, conversation, 'next');
    succeeded(await remove(alice, next._id));
    await Promise.all([heard.count(2), unread.count(2)]);
    assert.deepEqual(heard.all.map((deleted) => deleted._id), [_id, next._id]);
  });

  test('while it is being read is counted once', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const said = await Promise.all(range(1, 30).map((n) => say(server, alice, conversation, `${n}`)));
    await Promise.all([
      ...said.map(({ _id }) => remove(alice, _id).then(succeeded)),
      ...range(1, 15).map(() => history(server, bob, conversation)),
      ...range(1, 15).map((n) => say(server, bob, conversation, `answer ${n}`)),
    ]);
    assert.equal(await unreadCount(server, bob), 0);
    assert.equal(await unreadCount(server, alice), 15);
    assert.equal((await unmarked(alice, conversation)).length, 15);
  });

  test('is its sender’s only', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const { _id } = await say(server, alice, conversation, 'stays');
    refused(await remove(bob, _id), 403, 'FORBIDDEN', 'Only its sender can delete a message');
    const stranger = await newUser(server);
    for (const id of [_id, newId(), ...malformedIds(_id).filter((id) => !/[\s🐴]/u.test(id))]) {
      refused(await remove(stranger, id), 404, 'NOT_FOUND', 'Message not found');
    }
    assert.equal((await remove(null, _id)).status, 401);
    assert.equal((await unmarked(bob, conversation)).length, 1);
  });
});

test('the documented client deletes, and sees what is deleted', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const socket = await connect(server, bob);
  await join(socket, conversation);
  const gone = [];
  watchDeletions(socket, (...what) => gone.push(what));
  const { _id, seq } = await send(await connect(server, alice), conversation, 'oops');
  assert.deepEqual(await deleteMessage(server.url, alice.token, _id), { conversation_id: conversation, _id, seq });
  await eventually(() => gone.length === 1, 'the deletion');
  assert.deepEqual(gone, [[conversation, _id, seq]]);
  await assert.rejects(deleteMessage(server.url, bob.token, _id), { code: 'FORBIDDEN' });
});
