// Read receipts (contract, section 5): mark_read, message_read, unread_update.
import { afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, closeClients, connect, inbox, join, send } from './support/clients.js';
import { assertFailure, call } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { TIMESTAMP, range } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { history, malformedIds, newConversation, newId, newPair, newUser, say, unreadCount } from './support/world.js';

const server = await serverForFile();
const { receipts } = await snippets('receipts.md');
afterEach(() => closeClients());

const markRead = (socket, conversation, upTo) =>
  ask(socket, 'mark_read', { conversation_id: conversation, up_to_seq: upTo });

/** Alice and Bob in the room, with `n` messages of Alice’s, and what each hears of what is read. */
async function room(n, mode) {
  const pair = await newPair(server);
  const [alice, bob] = await Promise.all([connect(server, pair.alice, mode), connect(server, pair.bob, mode)]);
  for (const socket of [alice, bob]) await join(socket, pair.conversation);
  for (const i of range(1, n)) await send(alice, pair.conversation, `${i}`);
  const heard = [alice, bob].map((socket) => inbox(socket, 'message_read'));
  const unread = [alice, bob].map((socket) => inbox(socket, 'unread_update'));
  return { ...pair, sockets: { alice, bob }, heard, unread };
}

for (const mode of Object.keys(MODES)) {
  test(`mark_read over ${mode} is told to the room, and what is left to the reader’s sockets`, async () => {
    const { bob, conversation, sockets, heard, unread } = await room(3, mode);
    const elsewhere = await connect(server, bob, mode);
    const unreadElsewhere = inbox(elsewhere, 'unread_update');
    assert.deepEqual(await markRead(sockets.bob, conversation, 2), { success: true });
    for (const one of heard) {
      const [{ read_at: readAt, ...read }] = await one.count(1);
      assert.deepEqual(read, { conversation_id: conversation, reader_id: bob.id, up_to_seq: 2 });
      assert.match(readAt, TIMESTAMP);
    }
    for (const one of [unread[1], unreadElsewhere]) {
      assert.deepEqual(await one.count(1), [{ conversation_id: conversation, unread_count: 1, total_unread: 1 }]);
    }
    assert.deepEqual(unread[0].all, []);
    const read = (await history(server, bob, conversation, '?mark_read=false')).map((message) => message.is_read);
    assert.deepEqual(read, [true, true, false]);
  });
}

describe('what is read', () => {
  test('by a GET is told too, unless it says no', async () => {
    const { bob, conversation, heard, unread } = await room(2);
    for (const query of ['?mark_read=false', '?after_seq=0&mark_read=false', '?before_seq=9&mark_read=false']) {
      assert.equal((await history(server, bob, conversation, query)).length, 2);
    }
    assert.equal(await unreadCount(server, bob), 2);
    await history(server, bob, conversation);
    assert.equal((await heard[0].count(1))[0].up_to_seq, 2);
    assert.deepEqual(await unread[1].count(1), [{ conversation_id: conversation, unread_count: 0, total_unread: 0 }]);
    await history(server, bob, conversation, '?mark_read=true');
    assert.equal(await unreadCount(server, bob), 0);
  });

  test('stays read, and the same or less tells nobody anything', async () => {
    const { alice, conversation, sockets, heard, unread } = await room(3);
    for (const upTo of [2, 2, 1, 0]) await markRead(sockets.bob, conversation, upTo);
    // One’s own are not to be read.
    await markRead(sockets.alice, conversation, 3);
    await markRead(sockets.bob, conversation, Number.MAX_SAFE_INTEGER);
    const read = await heard[0].count(2);
    assert.deepEqual(read.map((one) => one.up_to_seq), [2, 3], 'and no further than there are messages');
    await unread[1].count(2);
    await send(sockets.alice, conversation, 'new');
    assert.equal((await history(server, alice, conversation)).at(-1).is_read, false);
    assert.equal(heard[0].all.length, 2);
  });

  test('at the same moment is told in one order, never backwards', async () => {
    const { conversation, sockets, heard, unread } = await room(60);
    const acks = await Promise.all(range(1, 60).map((n) => markRead(sockets.bob, conversation, (n * 7) % 60 + 1)));
    assert.ok(acks.every((ack) => ack.success));
    await heard[0].find((read) => read.up_to_seq === 60);
    const seqs = heard[0].all.map((read) => read.up_to_seq);
    assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
    assert.ok(seqs.length < 30, `${seqs.length} events for 60 marks in a few batches`);
    await unread[1].find(({ unread_count: left }) => left === 0);
    assert.equal(unread[1].all.at(-1).total_unread, 0);
  });

  test('is told after the messages that it is about', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, reader, witness] = await Promise.all([connect(server, alice), connect(server, bob), connect(server, bob)]);
    await join(witness, conversation);
    let newest = 0;
    const early = [];
    witness.on('new_message', ({ seq }) => (newest = seq));
    witness.on('message_read', ({ up_to_seq: upTo }) => upTo > newest && early.push([upTo, newest]));
    const heard = inbox(witness, 'new_message');
    const sends = Promise.all(range(1, 200).map((n) => send(sender, conversation, `${n}`)));
    for (let n = 0; n < 100; n += 1) await markRead(reader, conversation, 1_000_000);
    await sends;
    await heard.count(200);
    assert.deepEqual(early, []);
  });

  test('is counted over all conversations', async () => {
    const { bob, conversation, sockets, unread } = await room(2);
    const carol = await newUser(server);
    const other = await newConversation(server, carol, bob);
    await say(server, carol, other, 'one');
    await markRead(sockets.bob, conversation, 1);
    await markRead(sockets.bob, other, 1);
    assert.deepEqual(await unread[1].count(2), [
      { conversation_id: conversation, unread_count: 1, total_unread: 2 },
      { conversation_id: other, unread_count: 0, total_unread: 1 },
    ]);
  });

  test('in many conversations at once is told in the order in which it was counted', async () => {
    const bob = await newUser(server);
    const socket = await connect(server, bob);
    const totals = inbox(socket, 'unread_update');
    const conversations = [];
    for (let n = 0; n < 20; n += 1) {
      const other = await newUser(server);
      const conversation = await newConversation(server, other, bob);
      conversations.push({ other, conversation });
    }
    for (let round = 1; round <= 10; round += 1) {
      await Promise.all(conversations.map(({ other, conversation }) => say(server, other, conversation, `${round}`)));
      totals.all.length = 0;
      await Promise.all(conversations.map(({ conversation }) => markRead(socket, conversation, round)));
      await totals.count(conversations.length);
      const told = totals.all.map(({ total_unread: total }) => total);
      assert.deepEqual(told, [...told].sort((a, b) => b - a), 'it only becomes less');
      assert.equal(told.at(-1), 0);
    }
  });

  test('needs no join, and is nobody else’s business', async () => {
    const { bob, conversation } = await room(1);
    const stranger = await connect(server, await newUser(server));
    const overheard = [];
    stranger.onAny((event) => overheard.push(event));
    const notFound = 'Conversation not found';
    for (const where of [conversation, newId(), ...malformedIds(conversation), 7, null, undefined]) {
      assertFailure(await markRead(stranger, where, 1), 'NOT_FOUND', notFound);
    }
    const outside = await connect(server, bob);
    assert.deepEqual(await markRead(outside, conversation, 1), { success: true });
    assert.equal(await unreadCount(server, bob), 0);
    assert.deepEqual(overheard, []);
  });

  test('up to what is no seq is refused', async () => {
    const { bob, conversation, sockets } = await room(1);
    for (const upTo of [-1, 1.5, '1', {}, [], true, null, undefined]) {
      const ack = await markRead(sockets.bob, conversation, upTo);
      assertFailure(ack, 'INVALID_ARGUMENT', 'up_to_seq must be a whole number, 0 or more');
    }
    assertFailure(await ask(sockets.bob, 'mark_read', 'x'), 'INVALID_ARGUMENT', 'the argument must be an object');
    assert.equal(await unreadCount(server, bob), 1);
  });
});

test('the documented client shows both sides', async () => {
  const { alice, bob, conversation, sockets } = await room(3);
  const shown = { alice: [], bob: [] };
  const side = (name, me) =>
    receipts(sockets[name], {
      conversation,
      me: me.id,
      showRead: (upTo) => shown[name].push(`read ${upTo}`),
      showUnread: (where, left, total) => shown[name].push(`${where === conversation} ${left} ${total}`),
    });
  side('alice', alice);
  const look = side('bob', bob);
  for (const seq of [1, 3, 2, 3]) look(seq);
  await eventually(() => shown.alice.includes('read 3'), 'the receipt');
  await eventually(() => shown.bob.includes('true 0 0'), 'the count');
  assert.ok(shown.alice.every((line) => line.startsWith('read')));
  assert.equal((await call(server, 'GET', '/api/chat/unread-count', { token: bob.token })).body.unread_count, 0);
});
