// Connection state recovery over a restart of the server.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join as joinPath } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, closeClients, connect, inbox, join } from './support/clients.js';
import { query, waitingForLocks, withDatabase } from './support/database.js';
import { back, recoverable } from './support/recovering.js';
import { Relay, closeRelays } from './support/relay.js';
import { call } from './support/rest.js';
import { makeDataDir, removeDataDir, startServer } from './support/server.js';
import { range, texts } from './support/shapes.js';
import { eventually } from './support/wait.js';
import { history, newPair, say, stats } from './support/world.js';

/** So many connections the server has for reads. */
const POOL = 8;

afterEach(() => {
  closeClients();
  closeRelays();
});

describe('when the server is started again', () => {
  const dir = makeDataDir();
  let life;
  after(async () => {
    await life?.stop();
    await removeDataDir(dir);
  });

  /** Starts the next server, and waits until the client is there. */
  async function nextLife(relay, socket, env) {
    relay.down();
    life = await startServer({ dir, env });
    relay.target = life.port;
    const isBack = back(socket);
    relay.up();
    await isBack;
  }

  /** Ends the server by `end`, while one client, which it is given, is connected and another one away, and starts the next. */
  async function over(end) {
    life = await startServer({ dir });
    const relays = [await Relay.to(life), await Relay.to(life)];
    const pair = await newPair(life);
    const sockets = await Promise.all(relays.map((relay) => recoverable(relay, pair.bob)));
    const heard = sockets.map((socket) => inbox(socket, 'new_message'));
    const notified = sockets.map((socket) => inbox(socket, 'message_notification'));
    const read = sockets.map((socket) => inbox(socket, 'message_read'));
    for (const socket of sockets) await join(socket, pair.conversation);
    const speak = async (n) => say(life, pair.alice, pair.conversation, `${n} 🐎`);
    await speak(1);
    for (const inboxes of [heard, notified]) for (const one of inboxes) await one.count(1);
    const gone = sockets.map((socket) => once(socket, 'disconnect'));
    relays[0].down();
    await gone[0];
    await speak(2);
    await heard[1].count(2);
    await history(life, pair.alice, pair.conversation);
    await history(life, pair.bob, pair.conversation);
    await end(life, sockets[1]);
    await gone[1];
    relays[1].down();
    life = await startServer({ dir });
    await speak(3);
    const isBack = sockets.map(back);
    for (const relay of relays) {
      relay.target = life.port;
      relay.up();
    }
    await Promise.all(isBack);
    return { sockets, heard, notified, read, speak };
  }

  test('as planned, the sessions go on there', async () => {
    const { sockets, heard, notified, read, speak } = await over((server) => server.stop());
    assert.deepEqual(sockets.map((socket) => socket.recovered), [true, true]);
    await speak(4);
    for (const inboxes of [heard, notified]) {
      for (const one of inboxes) await one.count(4);
    }
    for (const one of heard) assert.deepEqual(one.all.map(({ seq, text }) => [seq, text]), range(1, 4).map((n) => [n, `${n} 🐎`]));
    for (const one of read) assert.deepEqual((await one.count(1)).map((receipt) => receipt.up_to_seq), [2]);
    for (const one of notified) assert.deepEqual(one.all.map(({ preview }) => preview), range(1, 4).map((n) => `${n} 🐎`));
    const { hub_members: members, sessions } = await stats(life);
    assert.deepEqual([members, sessions], [2, 2]);
    await life.stop();
  });

  test('as planned, the sessions are kept however many calls and counts have to wait for Postgres', async () => {
    const READERS = 100;
    const COUNTS = 7;
    const { sockets } = await over(async (server, connected) => {
      const pairs = await Promise.all(range(1, COUNTS).map(() => newPair(server)));
      const marks = await Promise.all(pairs.map(async ({ alice, bob, conversation }) => {
        await say(server, alice, conversation, 'unread');
        const marker = await connect(server, bob);
        return () => ask(marker, 'mark_read', { conversation_id: conversation, up_to_seq: 1 });
      }));
      await withDatabase(server, async (database) => {
        // It ends with the server's Postgres.
        database.on('error', () => {});
        // Whoever lists conversations waits until it is refused, and asks again; marks and counts need no such lock.
        await database.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
        let isOver = false;
        const read = async (_, n) => {
          const { token } = pairs[n % COUNTS].alice;
          while (!isOver) await call(server, 'GET', '/api/chat/conversations', { token }).catch(() => sleep(5));
        };
        const reading = Promise.all(Array.from({ length: READERS }, read));
        await eventually(async () => (await waitingForLocks(database)).length >= POOL, 'a pool that is in use');
        assert.deepEqual(await Promise.all(marks.map((mark) => mark())), marks.map(() => ({ success: true })));
        const stopped = server.stop();
        await once(connected, 'disconnect');
        isOver = true;
        await database.query('ROLLBACK').catch(() => {});
        await stopped;
        await reading;
      });
    });
    assert.deepEqual(sockets.map((socket) => socket.recovered), [true, true]);
    await life.stop();
  });

  test('as planned, a session in many rooms is one in all of them, and Postgres is not asked for each', async () => {
    const ROOMS = 300;
    life = await startServer({ dir });
    const relay = await Relay.to(life);
    const { alice, bob } = await newPair(life);
    const conversations = await query(life, `
      INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
      SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode($1, 'hex'), decode($2, 'hex'), decode(lpad(to_hex(n), 24, '0'), 'hex'),
             now(), now()
      FROM generate_series(1, $3::int) n
      RETURNING encode(id, 'hex') AS id`, [alice.id, bob.id, ROOMS]);
    const socket = await recoverable(relay, bob);
    const heard = inbox(socket, 'new_message');
    for (const { id } of conversations) await join(socket, id);
    await life.stop();
    await nextLife(relay, socket);
    assert.equal(socket.recovered, true);
    assert.ok((await stats(life)).rooms >= ROOMS);
    const asked = await query(life, `SELECT pid FROM pg_stat_activity WHERE application_name = 'horsetrust-chat reads'`);
    assert.ok(asked.length < POOL, `${asked.length} connections were needed to start`);
    await say(life, alice, conversations.at(-1).id, 'in the last one');
    assert.deepEqual(texts(await heard.count(1)), ['in the last one']);
    await life.stop();
  });

  test('what is read and deleted while it stops is heard of, once', async () => {
    const ROUNDS = 4;
    life = await startServer({ dir });
    const relay = await Relay.to(life);
    const { alice, bob, conversation } = await newPair(life);
    const socket = await recoverable(relay, bob);
    const unread = inbox(socket, 'unread_update');
    const deleted = inbox(socket, 'message_deleted');
    await join(socket, conversation);
    for (const round of range(1, ROUNDS)) {
      const { _id: id, seq } = await say(life, alice, conversation, `${round}`);
      const gone = once(socket, 'disconnect');
      const read = ask(socket, 'mark_read', { conversation_id: conversation, up_to_seq: seq });
      const ended = read.then(() => life.stop());
      assert.deepEqual(await read, { success: true });
      const removal = await call(life, 'DELETE', `/api/chat/messages/${id}`, { token: alice.token }).catch(() => null);
      await ended;
      await gone;
      await nextLife(relay, socket);
      assert.equal(socket.recovered, true);
      await say(life, bob, conversation, 'an end');
      const isDeleted = removal?.status === 200;
      await unread.find(({ unread_count: left }) => left === 0);
      if (isDeleted) await deleted.find(({ _id }) => _id === id);
      assert.equal(deleted.all.some(({ _id }) => _id === id), isDeleted);
      unread.all.length = 0;
    }
    await life.stop();
  });

  describe('on a database that others use, too', () => {
    let home;
    let env;
    before(async () => {
      home = await startServer();
      env = { DATABASE_URL: `postgres://horsetrust@/horsetrust?host=${encodeURIComponent(joinPath(home.dir, 'socket'))}` };
    });
    after(() => home.stop());

    /** A server with one client, which is away and has missed something. */
    async function withOneAway() {
      life = await startServer({ dir, env });
      const relay = await Relay.to(life);
      const { alice, bob, conversation } = await newPair(life);
      const socket = await recoverable(relay, bob);
      const heard = inbox(socket, 'new_message');
      await join(socket, conversation);
      await say(life, alice, conversation, 'before');
      await heard.count(1);
      const gone = once(socket, 'disconnect');
      relay.down();
      await gone;
      await say(life, alice, conversation, 'missed');
      const comesBack = async () => {
        await nextLife(relay, socket, env);
        return socket.recovered;
      };
      return { alice, conversation, heard, comesBack };
    }

    test('what a server that cannot start leaves is there for the next', async () => {
      const { heard, comesBack } = await withOneAway();
      await life.stop();
      await withDatabase(home, async (database) => {
        await database.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
        await assert.rejects(startServer({ dir, env }), /cannot take up the sessions of the server before/);
        await database.query('ROLLBACK');
      });
      assert.equal(await comesBack(), true);
      assert.deepEqual(texts(await heard.count(2)), ['before', 'missed']);
      await life.stop();
    });

    test('what a server is keeping while the next one starts is waited for', async () => {
      const { heard, comesBack } = await withOneAway();
      await withDatabase(home, async (database) => {
        await database.query(`
          CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END';
          CREATE TRIGGER linger AFTER INSERT ON kept_sessions EXECUTE FUNCTION linger()`);
        const before = life;
        const stopped = before.stop();
        const keeps = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
        await eventually(async () => (await database.query(keeps)).rows.length === 1, 'a server that keeps sessions');
        assert.equal(await comesBack(), true);
        await stopped;
        await database.query('DROP FUNCTION linger CASCADE');
        assert.equal((await database.query('SELECT FROM kept_sessions')).rows.length, 0);
      });
      assert.deepEqual(texts(await heard.count(2)), ['before', 'missed']);
      await life.stop();
    });

    test('what a server would keep when another one has opened is behind, and kept nowhere', async () => {
      const { alice, conversation, comesBack } = await withOneAway();
      const other = await startServer({ env });
      await say(other, alice, conversation, 'of which the one before does not know');
      await life.stop();
      await other.stop();
      assert.equal(await comesBack(), false);
      await life.stop();
    });
  });

  test('after a crash they are new', async () => {
    const { sockets } = await over((server) => server.kill());
    assert.deepEqual(sockets.map((socket) => socket.recovered), [false, false]);
    await life.stop();
  });
});
