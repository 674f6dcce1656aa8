// Conversations that do not exist: asking for them leaves nothing, and does not stand in the way of those to come.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ask, closeClients, connect, join } from './support/clients.js';
import { query } from './support/database.js';
import { startServer } from './support/server.js';
import { newPair, say, stats } from './support/world.js';
import { eventually } from './support/wait.js';

const server = await startServer({ env: { RATE_TYPING: '0' } });
after(async () => {
  closeClients();
  await server.stop();
});

const unknownId = () => randomBytes(12).toString('hex');

test('a conversation that is made right after somebody asked for it is found', async () => {
  const { alice, bob } = await newPair(server);
  const socket = await connect(server, alice);
  const id = unknownId();
  assert.equal((await ask(socket, 'join_conversation', id)).message, 'Conversation not found');
  const sql = `INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
    VALUES (decode($1, 'hex'), decode($2, 'hex'), decode($3, 'hex'), decode($4, 'hex'), now(), now())`;
  await query(server, sql, [id, alice.id, bob.id, unknownId()]);
  await join(socket, id);
  assert.equal((await say(server, bob, id, 'hello')).seq, 1);
  socket.disconnect();
});

test('asking for thousands of unknown conversations leaves no rooms', async () => {
  const { alice } = await newPair(server);
  const socket = await connect(server, alice);
  const before = (await stats(server)).rooms;
  const asked = Array.from({ length: 3000 }, () => ask(socket, 'typing', unknownId()));
  for (const refused of await Promise.all(asked)) assert.equal(refused.code, 'NOT_FOUND');
  // Far below the idle time of a room that exists; the last one is kept by its session.
  await eventually(async () => (await stats(server)).rooms <= before + 1, 'rooms as before');
  socket.disconnect();
});
