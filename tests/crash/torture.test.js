/**
 * Everything at once: clients of every kind do at random what clients do, while server, Postgres and network fail at random.
 * Then the checker holds what everybody wrote down, and the database, against the promises.
 *
 * TORTURE_SECONDS (default 60) is for how long things fail; TORTURE_SEED repeats the choices of an earlier run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Relay } from '../js/support/relay.js';
import { snippets } from '../js/support/snippet.js';
import { violations } from './checker.js';
import { Cluster } from './cluster.js';
import { seeded, until } from './events.js';
import { History, readStored } from './history.js';
import { firstOfEachRule, guarded, scratchDirectory } from './run.js';
import { ChatServer } from './server.js';
import { Follower, Recoverer, Stranger } from './wanderers.js';

const SECONDS = Number(process.env.TORTURE_SECONDS ?? 60);
const SEED = Number(process.env.TORTURE_SEED ?? Math.floor(Math.random() * 2 ** 32));
const LIMIT_MS = SECONDS * 1_000 + 300_000;
const IS_LONG = SECONDS >= 300;
const AWAY_MS = 600;
/** In a long run, longer than a commit or a read is waited for. */
const LONGEST_HOLD_MS = IS_LONG ? 15_000 : 2_000;
/** Seconds, forwards or backwards. */
const CLOCK_STEP = 3_600;
const MODES = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

/** How a network fails. */
function failures(relay, random) {
  const held = (hold) => async () => {
    relay[hold]();
    await sleep(LONGEST_HOLD_MS * random());
    relay.release();
  };
  const cut = async () => {
    relay.down();
    await sleep(AWAY_MS * random());
    relay.up();
  };
  return { cut, halfOpen: async () => relay.stall(), heldUp: held('hold'), narrow: held('narrow') };
}

/** What fails, how, and how often in relation to the others. */
function faults({ server, cluster, clientsNetwork, databaseNetwork, random }) {
  const clients = failures(clientsNetwork, random);
  const database = failures(databaseNetwork, random);
  const again = (end, start) => async () => {
    await end();
    await sleep(AWAY_MS * random());
    await start();
  };
  return {
    'network cut': [4, clients.cut],
    'connections half-open': [3, clients.halfOpen],
    'network held up': [3, clients.heldUp],
    'network narrow': [2, clients.narrow],
    'Postgres cut': [2, database.cut],
    'Postgres half-open': [2, database.halfOpen],
    'Postgres held up': [2, database.heldUp],
    'Postgres narrow': [1, database.narrow],
    'server frozen': [2, () => server.freeze(3_000 * random())],
    'server killed': [2, again(() => server.kill(), () => server.start())],
    'server restarted': [3, again(() => server.stop(), () => server.start())],
    'Postgres killed': [2, again(() => cluster.kill(), () => cluster.start())],
    // Longer than anybody is to wait for an outcome that is not known.
    ...(IS_LONG && { 'Postgres away': [1, again(() => cluster.kill(), async () => (await sleep(50_000), cluster.start()))] }),
    ...(server.hasOwnClock && { 'clock stepped': [2, async () => server.stepClock(Math.round(CLOCK_STEP * (2 * random() - 1)))] }),
  };
}

async function fail(world, until_) {
  const { random } = world;
  const known = faults(world);
  const urn = Object.entries(known).flatMap(([name, [weight]]) => Array(weight).fill(name));
  const counts = {};
  while (Date.now() < until_) {
    await sleep(500 + 2_500 * random());
    const name = urn[Math.floor(random() * urn.length)];
    counts[name] = (counts[name] ?? 0) + 1;
    await known[name][1]();
  }
  return counts;
}

async function openClients(server, url, history, random, pages) {
  const clients = [];
  const conversations = [];
  for (const [mode, transports] of Object.entries(MODES)) {
    const [ana, ben] = [await server.person(`Ana of ${mode}`), await server.person(`Ben of ${mode}`)];
    const conversation = await server.conversation(ana, ben);
    conversations.push(conversation);
    const shared = { url, conversation, transports, history, random };
    clients.push(
      new Follower({ ...shared, snippets: pages, person: ana, name: `follower ${mode}`, recover: false }),
      new Follower({ ...shared, snippets: pages, person: ben, name: `recovering follower ${mode}`, recover: true }),
      ...[ana, ben].map((person) => new Recoverer({ ...shared, person, name: `recoverer ${mode} of ${person.id}` })),
    );
  }
  const eve = await server.person('Eve');
  const transports = MODES.upgrade;
  clients.push(new Stranger({ url, transports, history, random, person: eve, conversations, name: 'stranger' }));
  return clients;
}

/** No more failures, and no more sends but a last one to each: then everybody has seen the newest message. */
async function quiesce(server, networks, clients) {
  // Whoever waits for an answer over a half-open connection learns that none will come, before a heartbeat says so.
  for (const network of networks) {
    network.down();
    network.endStalled();
    network.up();
  }
  await Promise.all(clients.map((client) => client.finish()));
  const recoverers = clients.filter((client) => client instanceof Recoverer);
  await until('all have joined', () => recoverers.every((client) => client.joined));
  const newest = new Map();
  for (const client of recoverers) {
    const attempt = client.history.attempt(client.conversation, client.person.id, 'the last', client.name);
    const route = `/api/chat/conversations/${client.conversation}/messages`;
    const last = await server.rest('POST', route, client.person.token, { text: attempt.text });
    client.history.acked(attempt, last);
    newest.set(client.conversation, last.seq);
  }
  const behind = () => clients.filter((client) => client.newest < (newest.get(client.conversation) ?? 0));
  await until(() => `${behind().map(({ name }) => name)} see the newest message`, () => behind().length === 0);
}

test('whatever fails, in whatever order, every promise holds', { timeout: LIMIT_MS }, (t) =>
  guarded(async (cleanup, shown) => {
    t.diagnostic(`TORTURE_SEED=${SEED} TORTURE_SECONDS=${SECONDS}`);
    const random = seeded(SEED);
    const pages = { ...(await snippets('resuming.md')), ...(await snippets('sending.md')) };
    const directory = scratchDirectory(cleanup);
    const cluster = await Cluster.create(directory);
    cleanup.add(() => cluster.stop());
    await cluster.start();
    await cluster.createDatabase();
    const databaseNetwork = await Relay.to(cluster);
    cleanup.add(() => databaseNetwork.close());
    const server = await ChatServer.create(directory, cluster.urlAt(databaseNetwork.port));
    cleanup.add(() => server.stop());
    if (server.hasOwnClock) server.stepClock(0);
    else t.diagnostic("the server's clock is not stepped: libfaketime is not installed");
    await server.start();
    shown.server = server;
    const clientsNetwork = await Relay.to(server);
    cleanup.add(() => clientsNetwork.close());
    const history = new History();
    const clients = await openClients(server, clientsNetwork.url, history, random, pages);
    cleanup.add(() => clients.forEach((client) => client.close()));
    const world = { server, cluster, clientsNetwork, databaseNetwork, random };
    const counts = await fail(world, Date.now() + SECONDS * 1_000);
    await quiesce(server, [clientsNetwork, databaseNetwork], clients);
    const { stored, heads, unread } = await readStored({ host: '127.0.0.1', port: cluster.port, database: 'horsetrust' });
    const recoveries = clients.reduce((sum, client) => sum + (client.recoveries ?? 0), 0);
    const refusals = Object.fromEntries(history.refusals);
    t.diagnostic(JSON.stringify({ seed: SEED, faults: counts, ...history.counts(stored), recoveries, refusals }));
    const found = violations({ ...history, stored, heads, unread });
    assert.deepEqual(firstOfEachRule(found), [], `${found.length} violations; TORTURE_SEED=${SEED}`);
    // A check that has seen little proves little.
    for (const client of clients) assert.ok((client.acks ?? 1) > 0 || client.refusals > 0, `${client.name} got nowhere`);
    assert.ok(recoveries > 0 && history.reads.length > 0 && history.marks.length > 0 && history.inFlightTogether > 0);
    assert.ok(history.deletions.length > 0 && history.seenDeleted.length > 0);
  }),
);
