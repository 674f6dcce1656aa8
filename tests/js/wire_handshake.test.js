// The Engine.IO handshake, by hand (contract, section 3).
import { connect as tcp } from 'node:net';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, connect, upgraded } from './support/clients.js';
import {
  RawPolling, RawWebSocket, SEPARATOR, connectPacket, eventPacket, isAck, refusedUpgrade,
} from './support/raw.js';
import { serverForFile } from './support/server.js';
import { Inbox, within } from './support/wait.js';
import { newPair } from './support/world.js';

const server = await serverForFile();

let alice;
let conversation;
before(async () => {
  ({ alice, conversation } = await newPair(server));
});

const get = (query, options) => fetch(`${server.url}/socket.io/${query}`, options);

function assertHandshake({ sid, upgrades, pingInterval, pingTimeout, maxPayload }, expectedUpgrades) {
  assert.equal(typeof sid, 'string');
  assert.ok(sid.length >= 16, 'long enough not to be guessed');
  assert.deepEqual(upgrades, expectedUpgrades);
  assert.deepEqual({ pingInterval, pingTimeout, maxPayload }, {
    pingInterval: 25_000,
    pingTimeout: 20_000,
    maxPayload: 1_000_000,
  });
}

describe('the open packet announces the limits', () => {
  test('over polling, with the upgrade', async () => {
    const raw = await RawPolling.open(server);
    assertHandshake(raw.handshake, ['websocket']);
    await raw.post('1');
  });

  test('over WebSocket, without one', async () => {
    const raw = await RawWebSocket.open(server);
    assertHandshake(raw.handshake, []);
    raw.drop();
  });

  test('with a session id of its own for each', async () => {
    const raws = await Promise.all(Array.from({ length: 50 }, () => RawWebSocket.open(server)));
    assert.equal(new Set(raws.map(({ handshake }) => handshake.sid)).size, 50);
    for (const raw of raws) raw.drop();
  });

  test('as text', async () => {
    const reply = await get('?EIO=4&transport=polling');
    assert.match(reply.headers.get('content-type'), /^text\/plain; ?charset=utf-8$/i);
    assert.match(await reply.text(), /^0\{/);
  });
});

describe('no ping follows the handshake at once', () => {
  test('over WebSocket', async () => {
    const raw = await RawWebSocket.connect(server, alice);
    await raw.ask(1, 'join_conversation', conversation);
    await raw.ask(2, 'typing', conversation);
    assert.deepEqual(raw.frames.all.filter((frame) => frame.startsWith('2')), []);
    assert.match(raw.frames.all[1], /^40\{/);
    raw.drop();
  });

  test('over polling', async () => {
    const raw = await RawPolling.open(server);
    const waiting = raw.poll();
    assert.equal((await raw.post(connectPacket(alice))).status, 200);
    const first = await waiting;
    assert.match(first[0], /^40\{"sid":"[^"]+"\}$/);
    const rest = first.slice(1);
    assert.equal((await raw.post(eventPacket(1, 'join_conversation', conversation))).status, 200);
    while (!rest.some(isAck(1))) rest.push(...(await raw.poll()));
    assert.equal(rest.length, 1, 'the ack and nothing else');
    await raw.post('1');
  });
});

describe('a handshake is refused', () => {
  const refusals = [
    ['for an older protocol', '?EIO=3&transport=polling'],
    ['for a newer protocol', '?EIO=5&transport=polling'],
    ['without a protocol', '?transport=polling'],
    ['for an unknown transport', '?EIO=4&transport=carrier-pigeon'],
    ['without a transport', '?EIO=4'],
    ['for WebSocket without an upgrade', '?EIO=4&transport=websocket'],
    ['for an unknown session', '?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA'],
    ['for a session id of the wrong form', '?EIO=4&transport=polling&sid=x'],
    ['for an empty query', ''],
    ['for a broken query', '?%&&=='],
  ];
  for (const [name, query] of refusals) {
    test(name, async () => {
      const reply = await get(query);
      assert.equal(reply.status, 400, await reply.text());
      assert.equal((await get('?EIO=4&transport=polling')).status, 200);
    });
  }

  test('by POST without a session', async () => {
    const reply = await get('?EIO=4&transport=polling', { method: 'POST', body: connectPacket(alice) });
    assert.ok(reply.status >= 400 && reply.status < 500, String(reply.status));
  });

  test('by methods that Engine.IO has not', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const reply = await get('?EIO=4&transport=polling', { method });
      assert.ok(reply.status >= 400 && reply.status < 500, `${method}: ${reply.status}`);
    }
  });

  test('over WebSocket likewise', async () => {
    const queries = ['?EIO=3&transport=websocket', '?transport=websocket', '?EIO=4&transport=pigeon', '?EIO=4',
      '?EIO=4&transport=polling', '?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA',
      '?EIO=4&transport=websocket&sid=x'];
    for (const query of queries) {
      const answer = await refusedUpgrade(server, `/socket.io/${query}`);
      assert.ok(answer === 'closed' || (answer >= 400 && answer < 500), `${query}: ${answer}`);
    }
    const raw = await RawWebSocket.open(server);
    raw.drop();
  });
});

describe('an upgrade', () => {
  const upgradeQuery = (raw) => ({ query: `&transport=websocket&sid=${raw.handshake.sid}` });
  const probing = (raw) => new RawWebSocket(
    `${server.webSocketUrl}/socket.io/?EIO=4${upgradeQuery(raw).query}`, { perMessageDeflate: false },
  );
  const opened = (raw) => within(new Promise((done) => raw.socket.once('open', done)), 'open WebSocket');

  test('is probed, releases the poll, and carries the session on', async () => {
    const polling = await RawPolling.connect(server, alice);
    const waiting = polling.poll();
    const probe = probing(polling);
    await opened(probe);
    probe.send('2probe');
    assert.deepEqual(await probe.frames.count(1), ['3probe']);
    assert.deepEqual(await waiting, ['6'], 'the waiting poll is answered by a noop');
    probe.send('5');
    const ack = await probe.ask(7, 'join_conversation', conversation);
    assert.equal(ack.success, true);
    probe.drop();
  });

  // A stock client polls on until it has read the answer to its probe, which comes by another way than the noop.
  test('answers a poll that crosses the answer to the probe', async () => {
    const polling = await RawPolling.connect(server, alice);
    const waiting = polling.poll();
    const probe = probing(polling);
    await opened(probe);
    probe.send('2probe');
    await Promise.all([probe.frames.count(1), waiting]);
    assert.deepEqual(await polling.poll(), ['6']);
    probe.send('5');
    const ack = await probe.ask(7, 'join_conversation', conversation);
    assert.equal(ack.success, true);
    probe.drop();
  });

  test('is not a second upgrade', async () => {
    const polling = await RawPolling.connect(server, alice);
    const first = probing(polling);
    await opened(first);
    first.send('2probe');
    await first.frames.count(1);
    first.send('5');
    assert.equal((await first.ask(1, 'join_conversation', conversation)).success, true);
    const { sid } = polling.handshake;
    const answer = await refusedUpgrade(server, `/socket.io/?EIO=4&transport=websocket&sid=${sid}`);
    assert.ok(answer === 'closed' || (answer >= 400 && answer < 500), String(answer));
    assert.equal((await first.ask(2, 'join_conversation', conversation)).success, true);
    first.drop();
  });

  test('of a stock client happens by itself', async () => {
    const socket = await connect(server, alice, 'upgrade');
    await upgraded(socket);
    assert.equal(socket.io.engine.transport.name, 'websocket');
    assert.equal((await ask(socket, 'join_conversation', conversation)).success, true);
    socket.disconnect();
  });
});

test('several packets may come in one payload, and go in one', async () => {
  const raw = await RawPolling.connect(server, alice);
  const packets = [1, 2, 3].map((id) => eventPacket(id, 'join_conversation', conversation));
  assert.equal((await raw.post(packets.join(SEPARATOR))).status, 200);
  const received = [];
  while (received.length < 3) received.push(...(await raw.poll()));
  assert.deepEqual(received.map((packet) => packet.slice(0, 3)), ['431', '432', '433']);
  await raw.post('1');
});

/** A masked client text frame. */
function textFrame(text) {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const length = Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([Buffer.from([0x81]), length, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}

test('frames that arrive together with the upgrade request are not lost', async () => {
  const socket = tcp(server.port, '127.0.0.1');
  const received = new Inbox('bytes');
  socket.on('data', (chunk) => received.push(chunk.toString('latin1')));
  const head = [
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1', `Host: 127.0.0.1:${server.port}`, 'Upgrade: websocket',
    'Connection: Upgrade', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Version: 13',
    '', '',
  ].join('\r\n');
  socket.write(Buffer.concat([Buffer.from(head), textFrame(connectPacket(alice))]));
  await received.find(() => received.all.join('').includes('40{"sid"'));
  socket.write(textFrame(eventPacket(5, 'join_conversation', conversation)));
  await received.find(() => /435\[\{"success":true/.test(received.all.join('')));
  assert.match(received.all.join(''), /^HTTP\/1\.1 101 /);
  socket.destroy();
});
