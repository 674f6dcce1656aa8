// The largest packet, and what is beyond it (contract, section 3).
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, connect } from './support/clients.js';
import { storedCount } from './support/database.js';
import { RawPolling, RawWebSocket, ackOf, eventPacket, isAck } from './support/raw.js';
import { assertFailure } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { newPair } from './support/world.js';

const server = await serverForFile();

const MAX_PAYLOAD = 1_000_000;

let alice;
let bob;
let conversation;
let witness;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
  witness = await connect(server, bob);
});
after(() => witness.disconnect());
afterEach(async () => {
  assert.ok(server.alive);
  assert.equal((await ask(witness, 'join_conversation', conversation)).success, true);
});

/** A well-formed send_message packet of exactly so many bytes, its text too long. */
function packetOf(bytes, id = 1) {
  const packet = (text) => eventPacket(id, 'send_message', { conversation_id: conversation, text });
  return packet('x'.repeat(bytes - packet('').length));
}

describe('over websocket', () => {
  test('a packet of 1,000,000 bytes is handled', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send(packetOf(MAX_PAYLOAD));
    assertFailure(ackOf(await raw.frames.find(isAck(1))), 'INVALID_ARGUMENT');
    assert.equal((await raw.ask(2, 'join_conversation', conversation)).success, true);
    raw.drop();
  });

  for (const [name, bytes] of [['one byte more', MAX_PAYLOAD + 1], ['10 MB', 10_000_000]]) {
    test(`${name} ends the connection`, async () => {
      const raw = await RawWebSocket.connect(server, alice);
      raw.send(packetOf(bytes));
      await raw.ended();
      assert.ok(!raw.frames.all.some(isAck(1)));
    });
  }

  test('fragments count together', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    const piece = 'x'.repeat(300_000);
    raw.send('42["x","', { fin: false });
    for (let i = 0; i < 4; i += 1) raw.send(piece, { fin: false });
    raw.send('"]', { fin: true });
    await raw.ended();
  });

  test('a message in fragments is one message', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    const packet = eventPacket(3, 'join_conversation', conversation);
    for (let i = 0; i < packet.length; i += 1) raw.send(packet[i], { fin: i === packet.length - 1 });
    assert.equal(ackOf(await raw.frames.find(isAck(3))).success, true);
    raw.drop();
  });

  test('binary is bounded as text is', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send('451-["x",{"_placeholder":true,"num":0}]');
    raw.send(Buffer.alloc(MAX_PAYLOAD + 1));
    await raw.ended();
  });

  test('a frame that announces more than it brings is not waited for', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    // A masked text frame of 2^62 bytes.
    raw.socket._socket.write(Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
    await raw.ended();
  });
});

describe('over polling', () => {
  test('a payload of 1,000,000 bytes is handled', async () => {
    const raw = await RawPolling.connect(server, alice);
    assert.equal((await raw.post(packetOf(MAX_PAYLOAD))).status, 200);
    assertFailure(ackOf(await raw.pollFor(isAck(1))), 'INVALID_ARGUMENT');
    assert.equal((await raw.ask(2, 'join_conversation', conversation)).success, true);
    await raw.post('1');
  });

  for (const [name, bytes] of [['one byte more', MAX_PAYLOAD + 1], ['10 MB', 10_000_000]]) {
    test(`${name} is refused, and ends the session`, async () => {
      const raw = await RawPolling.connect(server, alice);
      // The server need not read to the end what it refuses: a reset is a refusal as well.
      const status = await raw.post(packetOf(bytes)).then((reply) => reply.status, () => 413);
      assert.ok(status >= 400 && status < 500, String(status));
      assert.ok(await raw.ended());
    });
  }
});

test('nothing of all that was stored', async () => {
  assert.equal(await storedCount(server, conversation), 0);
});
