// send_message: ack, new_message, order (contract, sections 3 and 4).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, connect, inbox, join, send, upgraded } from './support/clients.js';
import { storedCount } from './support/database.js';
import { call, refused } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { assertMessage, range, seqs, texts } from './support/shapes.js';
import { Inbox, within } from './support/wait.js';
import {
  conversations, history, malformedIds, newConversation, newId, newPair, newUser, say, unreadCount, wholeHistory,
} from './support/world.js';

const server = await serverForFile({ env: { RATE_SENDS: '0' } });

// For what is many times the work of one event.
const BURST_LIMIT_MS = 60_000;

const NOT_FOUND = { success: false, message: 'Conversation not found', code: 'NOT_FOUND' };

/** Sends numbered texts without waiting in between; the acks, in the order in which they came. */
function sendMany(socket, conversation, n) {
  const acks = new Inbox(`acks of ${n} sends`);
  for (const i of range(1, n)) {
    const request = { conversation_id: conversation, text: `${i}` };
    socket.emit('send_message', request, (ack) => acks.push({ asked: i, ...ack }));
  }
  const lost = new Promise((_, fail) => {
    socket.once('disconnect', (reason) => fail(new Error(`${reason} after ${acks.all.length} of ${n} acks`)));
  });
  return Promise.race([acks.count(n, BURST_LIMIT_MS), lost]);
}

/** Every ack is for its own message, and all came in the order of sending, numbered from `first`. */
function assertInOrder(acks, first = 1) {
  assert.deepEqual(acks.filter(({ success }) => !success), []);
  assert.deepEqual(acks.map(({ asked }) => asked), range(1, acks.length));
  assert.deepEqual(acks.map(({ data }) => data.text), range(1, acks.length).map(String));
  assert.deepEqual(acks.map(({ data }) => data.seq), range(first, first + acks.length - 1));
}

for (const mode of Object.keys(MODES)) {
  describe(`over ${mode}`, () => {
    test('ack, new_message, GET and the list show one and the same message', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const [sender, other] = await Promise.all([connect(server, alice, mode), connect(server, bob, mode)]);
      await join(other, conversation);
      const heard = inbox(other, 'new_message');
      const ack = await ask(sender, 'send_message', { conversation_id: conversation, text: 'hello' });
      assert.deepEqual(Object.keys(ack).sort(), ['data', 'success']);
      assert.equal(ack.success, true);
      assertMessage(ack.data, { sender: alice, conversation, text: 'hello', seq: 1 });
      assert.deepEqual(await heard.count(1), [ack.data]);
      assert.deepEqual(await history(server, alice, conversation), [ack.data]);
      const [{ last_message, updated_at }] = await conversations(server, bob);
      assert.equal(last_message.text, 'hello');
      assert.equal(last_message.sent_at, ack.data.sent_at);
      assert.ok(updated_at >= ack.data.sent_at);
      assert.equal(await unreadCount(server, bob), 1);
      for (const socket of [sender, other]) socket.disconnect();
    });

    test('a sender without a picture is shown with null', async () => {
      const { bob, conversation } = await newPair(server);
      const socket = await connect(server, bob, mode);
      const message = await send(socket, conversation, 'no picture');
      assertMessage(message, { sender: bob, conversation, text: 'no picture', seq: 1 });
      assert.equal(message.sender_id.profile_picture_url, null);
      socket.disconnect();
    });

    test('no acknowledgement function is needed', async () => {
      const { alice, conversation } = await newPair(server);
      const socket = await connect(server, alice, mode);
      await join(socket, conversation);
      const heard = inbox(socket, 'new_message');
      socket.emit('send_message', { conversation_id: conversation, text: 'unasked' });
      socket.emit('send_message', { conversation_id: conversation, text: '' });
      socket.emit('send_message', { conversation_id: newId(), text: 'nowhere' });
      await send(socket, conversation, 'asked');
      assert.deepEqual(texts(await heard.count(2)), ['unasked', 'asked']);
      socket.disconnect();
    });

    test('unknown, malformed and foreign conversations are one and the same refusal', async () => {
      const { alice, conversation } = await newPair(server);
      const stranger = await newUser(server);
      const socket = await connect(server, stranger, mode);
      for (const conversation_id of [conversation, newId(), '', ...malformedIds(conversation)]) {
        assert.deepEqual(await ask(socket, 'send_message', { conversation_id, text: 'let me in' }), NOT_FOUND);
      }
      assert.equal(await storedCount(server, conversation), 0);
      assert.equal((await say(server, alice, conversation, 'mine')).seq, 1);
      socket.disconnect();
    });

    test('300 sends in flight keep their order, and each ack its message', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const [sender, other] = await Promise.all([connect(server, alice, mode), connect(server, bob, mode)]);
      await Promise.all([join(sender, conversation), join(other, conversation)]);
      const [own, heard] = [inbox(sender, 'new_message'), inbox(other, 'new_message')];
      const notes = inbox(other, 'message_notification');
      const acks = await sendMany(sender, conversation, 300);
      assertInOrder(acks);
      const sent = acks.map(({ data }) => data);
      assert.deepEqual(await heard.count(300), sent);
      assert.deepEqual(await own.count(300), sent);
      assert.deepEqual((await notes.count(300)).map(({ preview }) => preview), texts(sent));
      assert.deepEqual(await wholeHistory(server, alice, conversation), sent);
      assert.equal(new Set(sent.map(({ _id }) => _id)).size, 300);
      for (const socket of [sender, other]) socket.disconnect();
    });

    test('a message is acked before its sender hears it in the room', async () => {
      const { alice, conversation } = await newPair(server);
      const socket = await connect(server, alice, mode);
      await join(socket, conversation);
      const order = [];
      socket.on('new_message', ({ seq }) => order.push(`heard ${seq}`));
      for (const n of range(1, 5)) {
        const heard = new Promise((done) => socket.once('new_message', done));
        // A plain function, because a promise settles only after all that came in the same read.
        const request = { conversation_id: conversation, text: `${n}` };
        socket.emit('send_message', request, ({ data }) => order.push(`acked ${data.seq}`));
        await within(heard, 'new_message');
      }
      assert.deepEqual(order, range(1, 5).flatMap((n) => [`acked ${n}`, `heard ${n}`]));
      socket.disconnect();
    });
  });
}

test('sends of several sockets and of REST are one order for everybody', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const users = [alice, bob, alice, bob];
  const modes = ['websocket', 'polling', 'upgrade', 'websocket'];
  const sockets = await Promise.all(users.map((user, i) => connect(server, user, modes[i])));
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  const rooms = sockets.map((socket) => inbox(socket, 'new_message'));
  const acks = await Promise.all(sockets.map((socket) => sendMany(socket, conversation, 50)).concat(
    Promise.all(range(1, 50).map((n) => say(server, alice, conversation, `REST ${n}`))).then(() => []),
  ));
  const [first, ...others] = await Promise.all(rooms.map((room) => room.count(250)));
  assert.deepEqual(seqs(first), range(1, 250));
  for (const room of others) assert.deepEqual(room, first);
  for (const own of acks) {
    const numbers = own.map(({ data }) => data.seq);
    assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), 'the order of one socket is kept');
    for (const { data } of own) assert.deepEqual(first[data.seq - 1], data);
  }
  assert.deepEqual(await wholeHistory(server, alice, conversation).then(seqs), range(1, 250));
  for (const socket of sockets) socket.disconnect();
});

test('each conversation is numbered by itself', async () => {
  const pairs = await Promise.all(range(1, 5).map(() => newPair(server)));
  const sockets = await Promise.all(pairs.map(({ alice }) => connect(server, alice)));
  const acks = await Promise.all(sockets.map((socket, i) => sendMany(socket, pairs[i].conversation, 40)));
  for (const own of acks) assertInOrder(own);
  for (const socket of sockets) socket.disconnect();
});

test('sends to two conversations on one socket are acked in the order sent', async () => {
  const { alice, conversation } = await newPair(server);
  const carol = await newUser(server);
  const other = await newConversation(server, alice, carol);
  const socket = await connect(server, alice);
  const order = [];
  await Promise.all(range(1, 60).map(async (n) => {
    order.push((await send(socket, n % 2 ? conversation : other, `${n}`)).text);
  }));
  assert.deepEqual(order, range(1, 60).map(String));
  socket.disconnect();
});

test('order is kept through the change of transport', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { alice, conversation } = await newPair(server);
    const socket = await connect(server, alice, 'upgrade');
    await join(socket, conversation);
    const heard = inbox(socket, 'new_message');
    const acks = [];
    const upgrade = upgraded(socket);
    let over = false;
    upgrade.finally(() => (over = true)).catch(() => {});
    while (!over || acks.length < 20) {
      const n = acks.length + 1;
      acks.push(send(socket, conversation, `${n}`));
      await new Promise((next) => setImmediate(next));
      if (acks.length % 10 === 0) await acks.at(-1);
    }
    await upgrade;
    const sent = await Promise.all(acks);
    assert.deepEqual(seqs(sent), range(1, sent.length));
    assert.deepEqual(await heard.count(sent.length), sent);
    socket.disconnect();
  }
});

test('a burst of 3000 sends on one polling-only client is stored, acked and heard in order', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const [sender, other] = await Promise.all([connect(server, alice, 'polling'), connect(server, bob)]);
  await Promise.all([join(sender, conversation), join(other, conversation)]);
  const [own, heard] = [inbox(sender, 'new_message'), inbox(other, 'new_message')];
  const acks = await sendMany(sender, conversation, 3000);
  assertInOrder(acks);
  assert.deepEqual(seqs(await own.count(3000, BURST_LIMIT_MS)), range(1, 3000));
  assert.deepEqual(seqs(await heard.count(3000, BURST_LIMIT_MS)), range(1, 3000));
  assert.equal(await storedCount(server, conversation), 3000);
  assert.ok(sender.connected && other.connected);
  for (const socket of [sender, other]) socket.disconnect();
});

test('a refusal in the middle of a burst takes no number and no place', async () => {
  const { alice, conversation } = await newPair(server);
  const socket = await connect(server, alice);
  const bodies = ['one', '', 'two', 'x'.repeat(2001), 'three', null, 'four'];
  const sendText = (text) => ask(socket, 'send_message', { conversation_id: conversation, text });
  const acks = await Promise.all(bodies.map(sendText));
  assert.deepEqual(acks.map(({ data }) => data?.seq ?? null), [1, null, 2, null, 3, null, 4]);
  const path = `/api/chat/conversations/${conversation}/messages`;
  refused(await call(server, 'POST', path, { token: alice.token, body: { text: ' ' } }), 400, 'INVALID_ARGUMENT');
  assert.equal((await say(server, alice, conversation, 'five')).seq, 5);
  socket.disconnect();
});
