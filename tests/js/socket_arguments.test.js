// Unknown events and odd arguments: acked as a failure or ignored, and the connection stays (contract, section 3).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, connect, inbox, join, send } from './support/clients.js';
import { storedCount } from './support/database.js';
import { RawPolling, RawWebSocket, ackOf, eventPacket, isAck } from './support/raw.js';
import { assertFailure } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { newPair } from './support/world.js';

const server = await serverForFile();

let alice;
let conversation;
before(async () => {
  ({ alice, conversation } = await newPair(server));
});

const EVENTS = ['join_conversation', 'send_message', 'typing', 'stop_typing'];

const nested = (depth) => (depth === 0 ? 'deep' : { a: [nested(depth - 1)] });

/** Argument lists that are wrong for every event. */
const WRONG = [
  ['none', []],
  ['null', [null]],
  ['a number', [42]],
  ['a boolean', [true]],
  ['an array', [[]]],
  ['an array with an id', () => [[conversation]]],
  ['an empty object', [{}]],
  ['an object of wrong types', [{ conversation_id: 1, text: { a: 1 } }]],
  ['nested objects', [nested(20)]],
  ['an id as an object', () => [{ $oid: conversation }]],
  ['an object with null fields', [{ conversation_id: null, text: null }]],
  ['a text that is no id', ['not an id']],
  ['a long text', ['x'.repeat(100_000)]],
  ['many', Array.from({ length: 100 }, (_, i) => i)],
];

const UNKNOWN = [
  'unknown', '', 'new_message', 'message_notification', 'join', 'SEND_MESSAGE', '__proto__', '🐴', 'error',
];

for (const mode of Object.keys(MODES)) {
  describe(`over ${mode}`, () => {
    let socket;
    before(async () => {
      socket = await connect(server, alice, mode);
    });
    after(() => socket.disconnect());

    /** The connection still works, in the order of its packets. */
    async function assertWell() {
      await join(socket, conversation);
      assert.ok(socket.connected);
    }

    for (const event of EVENTS) {
      for (const [name, args] of WRONG) {
        test(`${event} with ${name}`, async () => {
          const list = typeof args === 'function' ? args() : args;
          assertFailure(await ask(socket, event, ...list));
          socket.emit(event, ...list);
          await assertWell();
        });
      }
    }

    test('an event nobody knows is acked as a failure, or ignored', async () => {
      for (const event of UNKNOWN) {
        assertFailure(await ask(socket, event, conversation));
        socket.emit(event);
        socket.emit(event, { a: 1 });
      }
      await assertWell();
    });

    test('clients cannot speak for the server', async () => {
      const heard = inbox(socket, 'new_message');
      await join(socket, conversation);
      socket.emit('new_message', { _id: 'x', conversation_id: conversation, text: 'forged' });
      await send(socket, conversation, 'real');
      assert.equal((await heard.count(1))[0].text, 'real');
    });

    test('arguments beyond the known ones do not prevent the answer', async () => {
      for (const event of EVENTS) {
        const first = event === 'send_message' ? { conversation_id: conversation, text: 'and more' } : conversation;
        const ack = await ask(socket, event, first, 'more', { and: 'more' }, null);
        assert.equal(typeof ack.success, 'boolean', event);
      }
      await assertWell();
    });

    test('binary is refused cleanly', async () => {
      const stored = await storedCount(server, conversation);
      const bytes = Buffer.from('hello');
      assertFailure(await ask(socket, 'send_message', { conversation_id: conversation, text: bytes }));
      assertFailure(await ask(socket, 'send_message', bytes));
      assertFailure(await ask(socket, 'send_message', { conversation_id: bytes, text: 'text' }));
      assertFailure(await ask(socket, 'join_conversation', Buffer.from(conversation, 'hex')));
      assertFailure(await ask(socket, 'unknown', bytes, bytes, [bytes]));
      socket.emit('send_message', { conversation_id: conversation, text: bytes });
      await assertWell();
      assert.equal(await storedCount(server, conversation), stored);
    });

    test('a large packet below the limit is answered', async () => {
      const ack = await ask(socket, 'send_message', { conversation_id: conversation, text: 'x'.repeat(900_000) });
      assertFailure(ack, 'INVALID_ARGUMENT');
      await assertWell();
    });
  });
}

/** Requests with ack ids 1, 2, …: good ones, refused ones, odd ones. */
const asked = () => [
  ['join_conversation', conversation], ['join_conversation', 'x'], ['join_conversation'],
  ['send_message', { conversation_id: conversation, text: 'once' }],
  ['send_message', { conversation_id: conversation }], ['send_message', {}], ['send_message'],
  ['typing', conversation], ['typing'], ['stop_typing', conversation],
  ['stop_typing', null], ['unknown'], ['unknown', 1, 2, 3], [''],
];

// A send, because the answer to one waits for the database and may come after those of later requests of other kinds.
const FENCE = 999;
const fence = () => ['send_message', { conversation_id: conversation, text: 'fence' }];

describe('an ack is given exactly once, and only where it is asked for', () => {
  test('over websocket', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    asked().forEach((args, i) => raw.send(eventPacket(i + 1, ...args)));
    asked().forEach((args) => raw.send(eventPacket(undefined, ...args)));
    await raw.ask(FENCE, ...fence());
    assertOnce(raw.frames.all);
    raw.drop();
  });

  test('over polling', async () => {
    const raw = await RawPolling.connect(server, alice);
    const packets = [
      ...asked().map((args, i) => eventPacket(i + 1, ...args)),
      ...asked().map((args) => eventPacket(undefined, ...args)),
      eventPacket(FENCE, ...fence()),
    ];
    assert.equal((await raw.post(packets.join('\x1e'))).status, 200);
    const received = [];
    while (!received.some(isAck(FENCE))) received.push(...(await raw.poll()));
    assertOnce(received);
    await raw.post('1');
  });

  function assertOnce(packets) {
    const acks = packets.filter((packet) => packet.startsWith('43'));
    const ids = acks.map((packet) => Number(packet.slice(2, packet.indexOf('['))));
    assert.deepEqual([...ids].sort((a, b) => a - b), [...asked().map((_, i) => i + 1), FENCE]);
    for (const ack of acks) {
      const { success, message } = ackOf(ack);
      assert.equal(typeof success, 'boolean');
      assert.equal(typeof message, success ? 'undefined' : 'string', ack);
    }
  }
});
