// Typing indicators (contract, section 3).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, connect, inbox, join } from './support/clients.js';
import { assertFailure } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { newConversation, newId, newPair, newUser } from './support/world.js';

const server = await serverForFile();

const EVENTS = [
  ['typing', 'user_typing'],
  ['stop_typing', 'user_stop_typing'],
];

const users = (received) => received.all.map(({ userId }) => userId);

for (const mode of Object.keys(MODES)) {
  for (const [event, relayed] of EVENTS) {
    describe(`${event} over ${mode}`, () => {
      test('reaches every other socket of the room, the typist’s other device too, and not the typist', async () => {
        const { alice, bob, conversation } = await newPair(server);
        const sockets = await Promise.all([alice, alice, bob].map((user) => connect(server, user, mode)));
        const [typist, device, other] = sockets;
        await Promise.all(sockets.map((socket) => join(socket, conversation)));
        const [atTypist, atDevice, atOther] = sockets.map((socket) => inbox(socket, relayed));
        assert.equal((await ask(typist, event, conversation)).success, true);
        for (const received of [atDevice, atOther]) {
          const [payload] = await received.count(1);
          const { conversation_id, ...base } = payload;
          assert.deepEqual(base, { userId: alice.id });
          if (conversation_id !== undefined) assert.equal(conversation_id, conversation);
        }
        await ask(other, event, conversation);
        await Promise.all([atTypist.count(1), atDevice.count(2)]);
        assert.deepEqual(users(atTypist), [bob.id], 'the first the typist hears is the other one typing');
        assert.deepEqual(users(atOther), [alice.id]);
        for (const socket of sockets) socket.disconnect();
      });

      test('needs no join, and reaches only who has joined', async () => {
        const { alice, bob, conversation } = await newPair(server);
        const sockets = await Promise.all([alice, bob, bob].map((user) => connect(server, user, mode)));
        const [typist, joined, apart] = sockets;
        await join(joined, conversation);
        const [atTypist, atJoined, atApart] = sockets.map((socket) => inbox(socket, relayed));
        typist.emit(event, conversation);
        await atJoined.count(1);
        await join(apart, conversation);
        assert.equal((await ask(typist, event, conversation)).success, true);
        await Promise.all([atJoined.count(2), atApart.count(1)]);
        assert.deepEqual([users(atApart), users(atTypist)], [[alice.id], []]);
        for (const socket of sockets) socket.disconnect();
      });

      test('of a stranger is refused and relayed to nobody', async () => {
        const { alice, bob, conversation } = await newPair(server);
        const stranger = await newUser(server);
        await newConversation(server, stranger, alice);
        const sockets = await Promise.all([stranger, bob, alice].map((user) => connect(server, user, mode)));
        const [typist, listener, legitimate] = sockets;
        await join(listener, conversation);
        const heard = inbox(listener, relayed);
        for (const id of [conversation, newId(), 'x', '']) assertFailure(await ask(typist, event, id));
        typist.emit(event, conversation);
        assertFailure(await ask(typist, event, conversation), 'NOT_FOUND');
        await ask(legitimate, event, conversation);
        await heard.count(1);
        assert.deepEqual(users(heard), [alice.id]);
        for (const socket of sockets) socket.disconnect();
      });
    });
  }
}

test('typing stores nothing and leaves messages alone', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const [typist, other] = await Promise.all([connect(server, alice), connect(server, bob)]);
  await join(other, conversation);
  const messages = inbox(other, 'new_message');
  const [start, stop] = [inbox(other, 'user_typing'), inbox(other, 'user_stop_typing')];
  typist.emit('typing', conversation);
  typist.emit('stop_typing', conversation);
  await Promise.all([start.count(1), stop.count(1)]);
  const ack = await ask(typist, 'send_message', { conversation_id: conversation, text: 'typed' });
  assert.equal(ack.data.seq, 1);
  assert.deepEqual(await messages.count(1), [ack.data]);
  for (const socket of [typist, other]) socket.disconnect();
});
