// Packets no client sends: broken ones end their own connection, odd ones nothing at all (contract, section 3).
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, connect, inbox, join } from './support/clients.js';
import { storedCount } from './support/database.js';
import {
  CLOSED, RawPolling, RawWebSocket, SEPARATOR, ackOf, connectPacket, eventPacket, isAck,
} from './support/raw.js';
import { assertFailure } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { newPair, say } from './support/world.js';

const server = await serverForFile();

let alice;
let bob;
let conversation;
let witness;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
  witness = await connect(server, bob);
});
after(() => witness.disconnect());

// Whatever one connection sends, the process lives and the other connections stay.
afterEach(async () => {
  assert.ok(server.alive);
  assert.equal((await ask(witness, 'join_conversation', conversation)).success, true);
});

/** Packets that are not Engine.IO or not Socket.IO. */
const BROKEN = [
  ['an empty packet', '', ['websocket']],
  ['an unknown Engine.IO type', '9'],
  ['a letter', 'x'],
  ['an empty message', '4'],
  ['an unknown Socket.IO type', '49'],
  ['a Socket.IO type that is a letter', '4x'],
  ['an event that is cut off', '42["join_conversation"'],
  ['an event that is no JSON', '42{nonsense'],
  ['an event that is an object', '42{}'],
  ['an event that is a text', '42"join_conversation"'],
  ['an event that is an empty array', '42[]'],
  ['an event without a name', '42[{}]'],
  ['an event whose name is null', '42[null]'],
  ['an event with more behind it', '42["a"]["b"]'],
  ['a connect with a payload that is cut off', '40{"token"'],
  ['a binary event without a count', '45["a"]'],
];

const assertEnds = {
  async websocket(packet) {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send(packet);
    await raw.ended();
  },
  async polling(packet) {
    const raw = await RawPolling.connect(server, alice);
    await raw.post(packet);
    assert.ok(await raw.ended());
  },
};

describe('a broken packet ends its connection, and only that', () => {
  for (const [name, packet, over = ['websocket', 'polling']] of BROKEN) {
    for (const transport of over) {
      test(`${name} over ${transport}`, () => assertEnds[transport](packet));
    }
  }

  test('packets before the broken one count, those behind it do not', async () => {
    const { alice: carol, conversation: theirs } = await newPair(server);
    const raw = await RawPolling.connect(server, carol);
    const body = (text) => eventPacket(undefined, 'send_message', { conversation_id: theirs, text });
    await raw.post([body('before'), '49', body('behind')].join(SEPARATOR));
    assert.ok(await raw.ended());
    const { seq } = await say(server, carol, theirs, 'fence');
    assert.ok(seq <= 2, 'at most the first was stored');
  });

  test('text that is not UTF-8', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send(Buffer.from([0x34, 0x32, 0xff, 0xfe]), { binary: false });
    await raw.ended();
    const polling = await RawPolling.connect(server, alice);
    await polling.post(Buffer.from([0x34, 0x32, 0xff, 0xfe]));
    assert.ok(await polling.ended());
  });

  test('bytes that no packet announced', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send(Buffer.from([1, 2, 3]));
    await raw.ended();
  });

  test('a text packet where bytes were announced', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send('451-1["send_message",{"_placeholder":true,"num":0}]');
    raw.send(eventPacket(2, 'join_conversation', conversation));
    await raw.ended();
  });

  test('frames that break the WebSocket protocol itself', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    // An unmasked frame with reserved bits set.
    raw.socket._socket.write(Buffer.from([0xf1, 0x01, 0x41]));
    await raw.ended();
  });
});

/** Packets that are odd, but well formed: the connection stays. */
const ODD = () => [
  ['an event without arguments', '42["send_message"]'],
  ['an event nobody knows', '42["x"]'],
  ['an answer nobody asked for', '431["x"]'],
  ['an answer with a large id', '439007199254740991[]'],
  ['a pong nobody asked for', '3'],
  ['blanks inside the JSON', `42[ "join_conversation" , "${conversation}" ]`],
  ['escapes in the name', '42["\\u0078"]'],
  ['an event nested as deep as people write', `42["x",${'['.repeat(60)}${']'.repeat(60)}]`],
];

describe('an odd packet leaves its connection alone', () => {
  ODD().forEach(([name], i) => {
    test(`${name} over websocket`, async () => {
      const raw = await RawWebSocket.connect(server, alice);
      raw.send(ODD()[i][1]);
      assert.equal((await raw.ask(77, 'join_conversation', conversation)).success, true);
      raw.drop();
    });

    test(`${name} over polling`, async () => {
      const raw = await RawPolling.connect(server, alice);
      await raw.post(ODD()[i][1]);
      assert.equal((await raw.ask(77, 'join_conversation', conversation)).success, true);
      await raw.post('1');
    });
  });

  test('an event with an id is asked and answered', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send('421["x"]');
    assertFailure(ackOf(await raw.frames.find(isAck(1))));
    raw.send('420["x"]');
    assertFailure(ackOf(await raw.frames.find(isAck(0))));
    raw.send('429007199254740991["x"]');
    assertFailure(ackOf(await raw.frames.find(isAck('9007199254740991'))));
    raw.drop();
  });

  test('a binary event is refused, its bytes taken', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    const stored = await storedCount(server, conversation);
    raw.send(`452-8["send_message",{"conversation_id":"${conversation}","text":{"_placeholder":true,"num":0}}]`);
    raw.send(Buffer.from('hello'));
    raw.send(Buffer.from('more'));
    assertFailure(ackOf(await raw.frames.find((frame) => isAck(8)(frame) || String(frame).startsWith('46'))));
    assert.equal((await raw.ask(9, 'join_conversation', conversation)).success, true);
    assert.equal(await storedCount(server, conversation), stored);
    raw.drop();
  });

  test('a binary event is refused over polling', async () => {
    const raw = await RawPolling.connect(server, alice);
    const packet = '451-8["send_message",{"_placeholder":true,"num":0}]';
    assert.equal((await raw.post([packet, `b${Buffer.from('hello').toString('base64')}`].join(SEPARATOR))).status, 200);
    assertFailure(ackOf(await raw.pollFor(isAck(8))));
    assert.equal((await raw.ask(9, 'join_conversation', conversation)).success, true);
    await raw.post('1');
  });
});

/** Packets whose connection may stay or be closed: what counts is that they do nothing, here and elsewhere. */
const HOSTILE = () => [
  ['nothing at all', ''],
  ['an ack id beyond all numbers', `42${'9'.repeat(200)}["x"]`],
  ['an ack id just beyond 64 bits', '4218446744073709551616["x"]'],
  ['a negative ack id', '42-1["x"]'],
  ['a name that the library keeps for itself', '42["disconnect"]'],
  ['a number as a name', '42[1,"x"]'],
  ['nesting without end', `42["x",${'['.repeat(100_000)}${']'.repeat(100_000)}]`],
  ['nested objects without end', `42["x",${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}]`],
  ['a number beyond all numbers', `42["x",${'9'.repeat(5_000)}e${'9'.repeat(50)}]`],
  ['a million bytes announced', '45999999999-["x"]'],
  ['a placeholder out of range', '451-["x",{"_placeholder":true,"num":99999999}]'],
  ['an event for a namespace nobody is in', '42/admin,["x"]'],
  ['a namespace without an end', `40/${'a'.repeat(100_000)}`],
  ['a namespace with a query', '40/?token=x,{}'],
  ['an error for the server', '44{"message":"x"}'],
  ['an error without a reason', '44'],
  ['a second handshake', '0{"sid":"x"}'],
  ['a second handshake of noise', '0{'],
  ['an event without a payload', '42'],
  ['a ping', '2'],
  ['a noop', '6'],
  ['an answer to a probe', '3probe'],
  ['an upgrade where there is none', '5'],
  ['a connect with a text', '40"token"'],
  ['a connect with an array', '40["token"]'],
  ['a connect with a nested payload', `40${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`],
  ['a lone surrogate', '42["x","\\ud800"]'],
];

describe('a hostile packet harms nobody', () => {
  HOSTILE().forEach(([name, packet]) => {
    test(name, async () => {
      const socket = await RawWebSocket.connect(server, alice);
      socket.send(packet);
      socket.send(eventPacket(77, 'join_conversation', conversation));
      await socket.answer(isAck(77));
      socket.drop();
      const polling = await RawPolling.connect(server, alice);
      await polling.post(packet);
      const answer = await polling.post(eventPacket(78, 'join_conversation', conversation));
      assert.ok(answer.status === 200 || answer.status === 400, String(answer.status));
      await polling.post('1');
    });
  });
});

describe('connecting and leaving', () => {
  test('an event before CONNECT does nothing', async () => {
    const stored = await storedCount(server, conversation);
    const early = eventPacket(1, 'send_message', { conversation_id: conversation, text: 'too early' });
    const socket = await RawWebSocket.open(server);
    socket.send(early);
    const polling = await RawPolling.open(server);
    await polling.post(early);
    // Both are past the early packet once they answer a later one, or are closed for it.
    socket.send('40{"token":"garbage"}');
    await socket.answer((frame) => frame.startsWith('44'));
    const answer = await polling.post('40{"token":"garbage"}');
    if (answer.status === 200) await polling.get();
    assert.ok(!socket.frames.all.some(isAck(1)));
    socket.drop();
    await polling.post('1');
    assert.equal(await storedCount(server, conversation), stored);
  });

  test('a disconnect packet leaves the room', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    await raw.ask(1, 'join_conversation', conversation);
    raw.send('41');
    const other = await connect(server, alice);
    await join(other, conversation);
    const heard = inbox(other, 'new_message');
    // The answer to this says that the packet before it was handled.
    raw.send('40{"token":"garbage"}');
    await raw.answer((frame) => frame.startsWith('44'));
    await say(server, bob, conversation, 'after the disconnect');
    await heard.count(1);
    assert.deepEqual(raw.frames.all.filter((frame) => frame.includes('after the disconnect')), []);
    raw.drop();
    other.disconnect();
  });

  test('a second CONNECT makes nobody hear twice', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    raw.send(connectPacket(alice));
    raw.send(eventPacket(1, 'join_conversation', conversation));
    if (await raw.answer(isAck(1)) !== CLOSED) {
      await say(server, bob, conversation, 'once');
      await say(server, bob, conversation, 'fence');
      await raw.frames.find((frame) => frame.startsWith('42["new_message"') && frame.includes('"fence"'));
      const once = raw.frames.all.filter((frame) => frame.startsWith('42["new_message"') && frame.includes('"once"'));
      assert.equal(once.length, 1);
    }
    raw.drop();
  });

  test('a close packet ends a polling session', async () => {
    const polling = await RawPolling.connect(server, alice);
    await polling.post('1');
    assert.ok(await polling.ended());
  });
});
