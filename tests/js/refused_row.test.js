// A row that Postgres itself refuses: its sender is told, its batch goes on without it, and its text stays out of the log.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, closeClients, connect } from './support/clients.js';
import { query } from './support/database.js';
import { eventually } from './support/wait.js';
import { startServer } from './support/server.js';
import { newPair } from './support/world.js';

const server = await startServer({ env: { LOG: 'debug' } });
after(async () => {
  closeClients();
  await server.stop();
});

const SECRET_TEXT = 'poison-that-nobody-should-read';

test('one refused row neither stops its batch nor gets into the log', async () => {
  await query(server, `ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (text NOT LIKE 'poison%')`);
  const { alice, conversation } = await newPair(server);
  const socket = await connect(server, alice);
  const texts = Array.from({ length: 60 }, (_, n) => (n % 20 === 10 ? SECRET_TEXT : `${n}`));
  const acks = await Promise.all(texts.map((text) => ask(socket, 'send_message', { conversation_id: conversation, text })));
  const refused = acks.filter((ack) => !ack.success);
  assert.deepEqual(refused.map(({ message, code }) => `${code}: ${message}`), Array(3).fill('INTERNAL: Error sending message'));
  const stored = acks.filter((ack) => ack.success).map(({ data }) => data);
  assert.deepEqual(stored.map(({ seq }) => seq), Array.from({ length: 57 }, (_, n) => n + 1));
  assert.deepEqual(stored.map(({ text }) => text), texts.filter((text) => text !== SECRET_TEXT));
  await eventually(() => server.log.some((line) => line.includes('no_poison')), 'the cause in the log');
  assert.ok(!server.log.some((line) => line.includes(SECRET_TEXT)), 'the text is not');
  socket.disconnect();
});
