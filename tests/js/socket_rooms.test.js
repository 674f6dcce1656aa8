// Joining, leaving, and who hears what (contract, section 3).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, connect, inbox, join, send, upgraded } from './support/clients.js';
import { serverForFile } from './support/server.js';
import { assertMessage, texts } from './support/shapes.js';
import { malformedIds, newConversation, newId, newPair, newUser, say } from './support/world.js';

const server = await serverForFile();

const NOT_FOUND = { success: false, message: 'Conversation not found', code: 'NOT_FOUND' };

for (const mode of Object.keys(MODES)) {
  describe(`over ${mode}`, () => {
    test('a participant joins, and hears what is said from then on', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const socket = await connect(server, bob, mode);
      const heard = inbox(socket, 'new_message');
      await say(server, alice, conversation, 'before the join');
      const ack = await ask(socket, 'join_conversation', conversation);
      assert.equal(ack.success, true);
      assert.equal(ack.data.conversation_id, conversation);
      await say(server, alice, conversation, 'after the join');
      const [message] = await heard.count(1);
      assertMessage(message, { sender: alice, conversation, text: 'after the join', seq: 2 });
      socket.disconnect();
    });

    test('a stranger cannot join, and hears nothing', async () => {
      const { alice, conversation } = await newPair(server);
      const stranger = await newUser(server);
      const own = await newConversation(server, stranger, alice);
      const socket = await connect(server, stranger, mode);
      const [heard, notes] = [inbox(socket, 'new_message'), inbox(socket, 'message_notification')];
      assert.deepEqual(await ask(socket, 'join_conversation', conversation), NOT_FOUND);
      await join(socket, own);
      await say(server, alice, conversation, 'not for strangers');
      await say(server, alice, own, 'for the stranger');
      await Promise.all([heard.count(1), notes.count(1)]);
      assert.deepEqual(texts(heard.all), ['for the stranger']);
      assert.deepEqual(notes.all.map(({ preview }) => preview), ['for the stranger']);
      socket.disconnect();
    });

    test('unknown and malformed conversations are refused like foreign ones', async () => {
      const { alice, conversation } = await newPair(server);
      const socket = await connect(server, alice, mode);
      for (const id of [newId(), '0'.repeat(24), '', ...malformedIds(conversation)]) {
        assert.deepEqual(await ask(socket, 'join_conversation', id), NOT_FOUND, id);
      }
      await join(socket, conversation);
      socket.disconnect();
    });

    test('a join followed at once by a send gets its own new_message', async () => {
      const { alice, conversation } = await newPair(server);
      const socket = await connect(server, alice, mode);
      const heard = inbox(socket, 'new_message');
      socket.emit('join_conversation', conversation);
      const sent = await send(socket, conversation, 'at once');
      assert.deepEqual(await heard.count(1), [sent]);
      socket.disconnect();
    });

    test('a second join changes nothing', async () => {
      const { alice, conversation } = await newPair(server);
      const socket = await connect(server, alice, mode);
      const heard = inbox(socket, 'new_message');
      await join(socket, conversation);
      await join(socket, conversation);
      for (const text of ['once', 'fence']) await send(socket, conversation, text);
      await heard.find(({ text }) => text === 'fence');
      assert.deepEqual(texts(heard.all), ['once', 'fence']);
      socket.disconnect();
    });

    test('the room ends with the socket, and a new connection joins again', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const first = await connect(server, bob, mode);
      await join(first, conversation);
      first.disconnect();
      const second = await connect(server, bob, mode);
      const [heard, notes] = [inbox(second, 'new_message'), inbox(second, 'message_notification')];
      await say(server, alice, conversation, 'not joined');
      await notes.count(1);
      await join(second, conversation);
      await say(server, alice, conversation, 'joined');
      await Promise.all([heard.count(1), notes.count(2)]);
      assert.deepEqual(texts(heard.all), ['joined']);
      second.disconnect();
    });

    test('a socket may be in many rooms', async () => {
      const alice = await newUser(server);
      const others = await Promise.all([newUser(server), newUser(server), newUser(server)]);
      const theirs = await Promise.all(others.map((other) => newConversation(server, other, alice)));
      const socket = await connect(server, alice, mode);
      const heard = inbox(socket, 'new_message');
      await Promise.all(theirs.map((conversation) => join(socket, conversation)));
      await Promise.all(theirs.map((conversation, i) => say(server, others[i], conversation, `from ${i}`)));
      await heard.count(3);
      for (const { conversation_id, sender_id, text, seq } of heard.all) {
        const i = theirs.indexOf(conversation_id);
        assert.deepEqual([sender_id._id, text, seq], [others[i].id, `from ${i}`, 1]);
      }
      socket.disconnect();
    });

    test('notifications go to every socket of the other, joined or not, and never to the sender', async () => {
      const { alice, bob, conversation } = await newPair(server);
      const sender = await connect(server, alice, mode);
      const device = await connect(server, alice, mode);
      const joined = await connect(server, bob, mode);
      const apart = await connect(server, bob, mode);
      const [atSender, atDevice, atJoined, atApart] = [sender, device, joined, apart].map((socket) => ({
        heard: inbox(socket, 'new_message'),
        notes: inbox(socket, 'message_notification'),
      }));
      await Promise.all([sender, device, joined].map((socket) => join(socket, conversation)));
      const sent = await send(sender, conversation, 'hello Bob');
      const reply = await send(joined, conversation, 'hello Alice');
      const toBob = { conversation_id: conversation, sender: alice.id, preview: 'hello Bob' };
      const toAlice = { conversation_id: conversation, sender: bob.id, preview: 'hello Alice' };
      for (const { heard } of [atSender, atDevice, atJoined]) assert.deepEqual(await heard.count(2), [sent, reply]);
      for (const { notes } of [atSender, atDevice]) assert.deepEqual(await notes.count(1), [toAlice]);
      for (const { notes } of [atJoined, atApart]) assert.deepEqual(await notes.count(1), [toBob]);
      const last = await send(sender, conversation, 'fence');
      for (const { notes } of [atJoined, atApart]) assert.equal((await notes.count(2))[1].preview, 'fence');
      await atDevice.heard.find(({ _id }) => _id === last._id);
      for (const { notes } of [atSender, atDevice]) assert.deepEqual(notes.all, [toAlice]);
      assert.deepEqual(atApart.heard.all, []);
      for (const socket of [sender, device, joined, apart]) socket.disconnect();
    });
  });
}

test('a room outlives the change of transport', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const socket = await connect(server, bob, 'upgrade');
  const heard = inbox(socket, 'new_message');
  await join(socket, conversation);
  await say(server, alice, conversation, 'maybe still polling');
  await upgraded(socket);
  await say(server, alice, conversation, 'by WebSocket');
  await heard.count(2);
  assert.deepEqual(texts(heard.all), ['maybe still polling', 'by WebSocket']);
  assert.equal(socket.io.engine.transport.name, 'websocket');
  socket.disconnect();
});

test('sockets of all transports share a room', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const connectBoth = (mode) => [connect(server, alice, mode), connect(server, bob, mode)];
  const sockets = await Promise.all(Object.keys(MODES).flatMap(connectBoth));
  const rooms = sockets.map((socket) => inbox(socket, 'new_message'));
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  for (const [i, socket] of sockets.entries()) await send(socket, conversation, `${i}`);
  for (const room of rooms) assert.deepEqual(texts(await room.count(6)), ['0', '1', '2', '3', '4', '5']);
  for (const socket of sockets) socket.disconnect();
});

test('two hundred sockets at once hear one message once each', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const modes = Object.keys(MODES);
  const users = Array.from({ length: 200 }, (_, i) => (i % 2 ? alice : bob));
  const sockets = await Promise.all(users.map((user, i) => connect(server, user, modes[i % 3])));
  const rooms = sockets.map((socket) => inbox(socket, 'new_message'));
  const notes = sockets.map((socket) => inbox(socket, 'message_notification'));
  await Promise.all(sockets.map((socket) => join(socket, conversation)));
  const sent = await send(sockets[1], conversation, 'to all');
  const reply = await send(sockets[0], conversation, 'fence');
  await Promise.all(rooms.map((room) => room.count(2, 60_000)));
  await Promise.all(notes.map((note) => note.count(1, 60_000)));
  for (const [i, user] of users.entries()) {
    assert.deepEqual(rooms[i].all, [sent, reply]);
    assert.deepEqual(notes[i].all.map(({ sender }) => sender), [user === alice ? bob.id : alice.id]);
  }
  for (const socket of sockets) socket.disconnect();
});
