/**
 * Acked means committed, under `kill -9`: of the server, and of Postgres, while clients on every transport send.
 *
 * CRASH_KILLS (default 20) is the number of kills of the long run, CRASH_SEED repeats the timing of an earlier one.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { violations } from './checker.js';
import { RestClient, SocketClient } from './clients.js';
import { Cluster } from './cluster.js';
import { seeded, until } from './events.js';
import { History, readStored } from './history.js';
import { endPrivatePostgres } from './private_postgres.js';
import { firstOfEachRule, guarded, scratchDirectory } from './run.js';
import { ChatServer } from './server.js';

const KILLS = Number(process.env.CRASH_KILLS ?? 20);
const PRIVATE_KILLS = Math.ceil(KILLS / 4);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
/** A kill comes up to this long after all clients made progress, and the killed one stays away up to this long. */
const SCATTER_MS = 500;
const AWAY_MS = 600;
/** Every third outage of Postgres is so long that the server has to refuse, and one outlasts every wait of its. */
const LONG_OUTAGE_MS = 7_000;
const LONGEST_OUTAGE_MS = 35_000;
const LONGEST_OUTAGE = 5;
/** What every client must have acked and seen again before the next kill. */
const PROGRESS = 3;
const LIMIT_MS = 120_000 + KILLS * 60_000;

const PAIRS = [
  { name: 'websocket', transports: ['websocket'] },
  { name: 'polling', transports: ['polling'] },
  { name: 'upgrade', transports: ['polling', 'websocket'] },
];

/** Two socket clients and two REST clients in a conversation for each way to connect. */
async function openClients(server, history, cleanup) {
  const clients = [];
  for (const { name, transports } of PAIRS) {
    const ana = await server.person(`Ana of ${name}`);
    const ben = await server.person(`Ben of ${name}`);
    const shared = { url: server.url, conversation: await server.conversation(ana, ben), history };
    clients.push(
      new SocketClient({ ...shared, transports, person: ana, name: `ana ${name}` }),
      new SocketClient({ ...shared, transports, person: ben, name: `ben ${name}` }),
      new RestClient({ ...shared, person: ben, name: `rest ${name}` }),
      new RestClient({ ...shared, person: ana, name: `once ${name}`, persists: true }),
    );
  }
  cleanup.add(() => clients.forEach((client) => client.close()));
  return clients;
}

/** Resolves once every client was served again after this call. */
async function progress(clients) {
  const before = clients.map(({ acks, sights }) => ({ acks, sights }));
  const waiting = () =>
    clients.filter((client, index) => {
      const acked = client.acks - before[index].acks;
      const seen = client.sights === undefined ? PROGRESS : client.sights - before[index].sights;
      return acked < PROGRESS || seen < PROGRESS;
    });
  await until(() => `progress of ${waiting().map((client) => client.name)}`, () => waiting().length === 0);
}

async function killAndRestart(victims, kills, clients, random) {
  for (let kill = 0; kill < kills; kill += 1) {
    await progress(clients);
    await sleep(SCATTER_MS * random());
    const victim = victims[kill % victims.length];
    await victim.kill();
    await sleep(absence(victim, Math.floor(kill / victims.length), random));
    await victim.start();
  }
  await progress(clients);
}

/** How long a victim stays away after its nth death. */
function absence(victim, nth, random) {
  if (victim instanceof Cluster && nth === LONGEST_OUTAGE) return LONGEST_OUTAGE_MS;
  if (victim instanceof Cluster && nth % 3 === 0) return LONG_OUTAGE_MS;
  return AWAY_MS * random();
}

/** Lets what is under way settle; then each socket has seen the newest message of its conversation. */
async function quiesce(clients, history) {
  await Promise.all(clients.map((client) => client.finish()));
  const newest = new Map();
  for (const { outcome, conversation, seq } of history.attempts) {
    if (outcome === 'acked') newest.set(conversation, Math.max(seq, newest.get(conversation) ?? 0));
  }
  const sockets = clients.filter((client) => client instanceof SocketClient);
  const behind = () => sockets.filter((client) => client.newest < newest.get(client.conversation));
  await until(() => `${behind().map(({ name }) => name)} sees the newest message`, () => behind().length === 0);
}

async function crash(t, { server, victims, kills, where, cleanup }) {
  const history = new History();
  const clients = await openClients(server, history, cleanup);
  await until('all joined', () => clients.every((client) => client.joined ?? true));
  await killAndRestart(victims, kills, clients, seeded(SEED));
  await quiesce(clients, history);
  const { stored, heads, unread } = await readStored(where);
  const repeats = clients.reduce((sum, client) => sum + (client.repeats ?? 0), 0);
  const counts = { kills, ...history.counts(stored), repeats, refusals: Object.fromEntries(history.refusals), seed: SEED };
  t.diagnostic(JSON.stringify(counts));
  const found = violations({ ...history, stored, heads, unread });
  assert.deepEqual(firstOfEachRule(found), [], `${found.length} violations`);
  assert.ok(counts.acked > kills * clients.length * PROGRESS, 'every round had its acks');
}

test('kills of server and Postgres in turn lose nothing that was acked', { timeout: LIMIT_MS }, (t) =>
  guarded(async (cleanup, shown) => {
    const directory = scratchDirectory(cleanup);
    const cluster = await Cluster.create(directory);
    cleanup.add(() => cluster.stop());
    await cluster.start();
    await cluster.createDatabase();
    const server = await ChatServer.create(directory, cluster.url);
    cleanup.add(() => server.stop());
    await server.start();
    shown.server = server;
    const where = { host: '127.0.0.1', port: cluster.port, database: 'horsetrust' };
    await crash(t, { server, victims: [server, cluster], kills: KILLS, where, cleanup });
  }),
);

test('kills of a server that runs its own Postgres lose nothing that was acked', { timeout: LIMIT_MS }, (t) =>
  guarded(async (cleanup, shown) => {
    const directory = scratchDirectory(cleanup);
    const server = await ChatServer.create(directory);
    cleanup.add(() => endPrivatePostgres(server));
    cleanup.add(() => server.stop());
    await server.start();
    shown.server = server;
    const where = { host: path.join(server.dataDir, 'socket'), port: 5432, database: 'horsetrust' };
    await crash(t, { server, victims: [server], kills: PRIVATE_KILLS, where, cleanup });
  }),
);
