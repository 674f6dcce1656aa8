// The way of a message as a trace, sent to a collector that the environment names.
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { closeClients, connect, inbox, join, send } from './support/clients.js';
import { recoverable } from './support/recovering.js';
import { Relay, closeRelays } from './support/relay.js';
import { call, succeeded } from './support/rest.js';
import { startServer } from './support/server.js';
import { eventually } from './support/wait.js';
import { newPair, say, stats } from './support/world.js';

const spans = [];
const collector = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const { resourceSpans } = JSON.parse(Buffer.concat(parts));
    for (const { resource, scopeSpans } of resourceSpans) {
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...span, resource });
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
});
await new Promise((listening) => collector.listen(0, '127.0.0.1', listening));
const server = await startServer({
  env: {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.address().port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '200',
    LOG: 'info,ways=debug',
  },
});
after(async () => {
  closeClients();
  closeRelays();
  await server.stop();
  collector.closeAllConnections();
  collector.close();
});

const attributes = ({ attributes: list }) =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));

/** The spans of a message's trace by name, once the message's own has come, which is the last. */
async function trace(message) {
  const root = () => spans.find((span) => span.name === 'message' && attributes(span).message === message);
  await eventually(root, 'the trace');
  const { traceId, spanId } = root();
  const of = spans.filter((span) => span.traceId === traceId);
  for (const span of of) assert.equal(span.parentSpanId || spanId, spanId, `${span.name} is a part of the message`);
  return { root: root(), named: (name) => of.filter((span) => span.name === name) };
}

test('a collector that takes nothing is told of in the log, and nobody waits for it', async () => {
  const away = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_BSP_SCHEDULE_DELAY: '200', LOG: 'info' };
  const own = await startServer({ env: away });
  try {
    const { alice, conversation } = await newPair(own);
    await say(own, alice, conversation, 'not for collectors');
    const told = (word) => own.log.some((line) => line.includes(word));
    await eventually(() => told('messages are traced') && told('export failed'), 'the failed export in the log');
  } finally {
    await own.stop();
  }
});

describe('a message', () => {
  test('is one trace from its packet to its commit and its deliveries', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, reader] = [await connect(server, alice), await connect(server, bob)];
    await join(sender, conversation);
    await join(reader, conversation);
    const heard = inbox(reader, 'new_message');
    const sent = await send(sender, conversation, 'not for collectors');
    await heard.count(1);
    const { root, named } = await trace(sent._id);
    const { message, conversation: place, sender: by, seq } = attributes(root);
    assert.deepEqual([message, place, by, Number(seq)], [sent._id, conversation, alice.id, 1]);
    assert.equal(attributes(root.resource)['service.name'], 'horsetrust-chat');
    const [wait, commit, announce] = ['wait', 'commit', 'announce'].map((name) => named(name)[0]);
    const times = [root.startTimeUnixNano, wait.startTimeUnixNano, commit.startTimeUnixNano, commit.endTimeUnixNano, announce.startTimeUnixNano];
    assert.deepEqual(times.map(BigInt).toSorted((a, b) => (a < b ? -1 : Number(a > b))), times.map(BigInt));
    assert.equal(Number(attributes(commit).rows), 1);
    const delivered = named('deliver').flatMap(({ events }) => events.map((event) => [event.name, attributes(event)]));
    const sessions = (event) => delivered.filter(([name]) => name === event).map(([, { session }]) => session).sort();
    assert.deepEqual(sessions('new_message'), [sender.id, reader.id].sort());
    assert.deepEqual(sessions('message_notification'), [reader.id]);
    assert.ok(delivered.every(([, { queued }]) => queued === 'yes'));
  });

  test('by REST is one, too, and so is one that was sent before', async () => {
    const { alice, conversation } = await newPair(server);
    const body = { text: 'by REST', client_msg_id: 'one' };
    const path = `/api/chat/conversations/${conversation}/messages`;
    const post = async () => succeeded(await call(server, 'POST', path, { token: alice.token, body }), 201);
    const { _id } = await post();
    await trace(_id);
    const before = spans.length;
    await post();
    const repeated = () => spans.slice(before).find((span) => span.name === 'message');
    await eventually(repeated, 'the trace of the repeat');
    assert.equal(attributes(repeated()).duplicate, true);
  });

  test('has the same in the log, where that is asked for, with the same ids', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, reader] = [await connect(server, alice), await connect(server, bob)];
    await join(reader, conversation);
    const { _id: id } = await send(sender, conversation, 'not for collectors');
    const { root } = await trace(id);
    const line = () => server.log.map((one) => JSON.parse(one)).find((one) => one.target === 'ways' && one.id === id);
    await eventually(line, 'its line');
    const about = { conversation, sender: alice.id, seq: 1, trace_id: root.traceId, rows: 1, delivered: reader.id };
    for (const [key, value] of Object.entries(about)) assert.equal(line()[key], value, key);
    for (const key of ['took_us', 'wait_us', 'commit_us']) assert.ok(line()[key] > 0, key);
    assert.ok(line().took_us >= line().wait_us + line().commit_us);
    assert.ok(!('missed' in line()) && !('refused' in line()));
  });

  test('that a session keeps for its client is told of as that, once', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const relay = await Relay.to(server);
    const reader = await recoverable(relay, bob);
    await join(reader, conversation);
    const { id: session } = reader;
    relay.down();
    await eventually(async () => (await stats(server)).lost_sessions === 1, 'the lost session');
    const { _id: id } = await say(server, alice, conversation, 'not for collectors');
    const line = () => server.log.map((one) => JSON.parse(one)).find((one) => one.target === 'ways' && one.id === id);
    await eventually(line, 'its line');
    const { delivered, kept, missed } = line();
    assert.deepEqual([delivered, kept, missed], [undefined, session, undefined]);
  });

  test('has no text in its trace, and none in the log', () => {
    assert.ok(spans.length > 5);
    assert.doesNotMatch(JSON.stringify(spans) + server.log.join(), /not for collectors|by REST/);
  });
});
