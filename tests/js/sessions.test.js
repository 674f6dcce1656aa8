// One Engine.IO connection, several Socket.IO sessions after each other: the one that was left says nothing more.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeClients } from './support/clients.js';
import { RawWebSocket, connectPacket, eventPacket } from './support/raw.js';
import { call } from './support/rest.js';
import { startServer } from './support/server.js';
import { newPair, newUser } from './support/world.js';

const server = await startServer();
after(async () => {
  closeClients();
  await server.stop();
});

test('a client that leaves and connects again gets no answers of before, and is not closed', async () => {
  const { alice, conversation } = await newPair(server);
  const carol = await newUser(server);
  const reply = await call(server, 'POST', '/api/chat/conversations', { token: alice.token, body: { recipient_id: carol.id } });
  const other = reply.body.data._id;
  for (let round = 0; round < 20; round += 1) {
    const raw = await RawWebSocket.connect(server, alice);
    for (let n = 0; n < 20; n += 1) {
      // In turn: each has to wait for the one before.
      raw.send(eventPacket(1000 + n, 'send_message', { conversation_id: n % 2 ? other : conversation, text: `${n}` }));
    }
    raw.send('41');
    raw.send(connectPacket(alice));
    const answer = await raw.ask(1, 'join_conversation', conversation);
    assert.equal(answer.success, true);
    const packets = raw.frames.all.map(String);
    const fresh = packets.slice(packets.findLastIndex((packet) => packet.startsWith('40{')) + 1);
    assert.deepEqual(fresh.filter((packet) => /^431\d/.test(packet)), [], 'no ack of before');
    raw.drop();
  }
});
