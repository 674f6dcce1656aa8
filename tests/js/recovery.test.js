// Connection state recovery (contract, section 5): what a stock client misses while it is away.
import { afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { MODES, ask, client, closeClients, connect, connected, inbox, join, send, upgraded } from './support/clients.js';
import { COMES_BACK, back, recoverable } from './support/recovering.js';
import { Relay, closeRelays } from './support/relay.js';
import { call, succeeded } from './support/rest.js';
import { serverForFile, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually, within } from './support/wait.js';
import { history, newConversation, newPair, newUser, say, stats } from './support/world.js';

const server = await serverForFile();
const { stayConnected } = await snippets('recovery.md');
afterEach(() => {
  closeClients();
  closeRelays();
});

/** While the client changes to WebSocket, it may not see that its connection broke before it misses a heartbeat. */
async function steady(socket) {
  if (socket.io.opts.transports?.length !== 1) await upgraded(socket);
}

async function whileAway(relay, socket, act) {
  await steady(socket);
  const gone = once(socket, 'disconnect');
  relay.down();
  await within(gone, 'disconnect');
  await act();
  const isBack = back(socket);
  relay.up();
  await isBack;
}

async function sayAll(pair, from, to) {
  for (const n of range(from, to)) await say(server, pair.alice, pair.conversation, `${n}`);
}

for (const mode of Object.keys(MODES)) {
  describe(`a client over ${mode}`, () => {
    test('that comes back has its session and gets what it missed, once and in order', async () => {
      const relay = await Relay.to(server);
      const pair = await newPair(server);
      const elsewhere = await newConversation(server, await newUser(server), pair.bob);
      const bob = await recoverable(relay, pair.bob, { mode });
      const heard = inbox(bob, 'new_message');
      const notified = inbox(bob, 'message_notification');
      await join(bob, pair.conversation);
      const { id } = bob;
      await sayAll(pair, 1, 3);
      await notified.count(3);
      for (const [from, to] of [[4, 8], [9, 9], [10, 30]]) {
        await whileAway(relay, bob, () => sayAll(pair, from, to));
        assert.equal(bob.recovered, true);
        assert.equal(bob.id, id);
      }
      await sayAll(pair, 31, 31);
      assert.deepEqual(seqs(await heard.find((message) => message.seq === 31) && heard.all), range(1, 31));
      await notified.count(31);
      assert.deepEqual(notified.all.map(({ preview }) => preview), range(1, 31).map(String));
      assert.equal((await send(bob, pair.conversation, 'and can speak')).seq, 32);
      await join(bob, elsewhere);
    });

    test('takes its session over from a connection that is not known to be dead', async () => {
      const relay = await Relay.to(server);
      const pair = await newPair(server);
      const bob = await recoverable(relay, pair.bob, { mode });
      const heard = inbox(bob, 'new_message');
      await join(bob, pair.conversation);
      await sayAll(pair, 1, 2);
      await heard.count(2);
      await steady(bob);
      relay.stall();
      await sayAll(pair, 3, 6);
      const isBack = back(bob);
      bob.io.engine.close();
      await isBack;
      assert.equal(bob.recovered, true);
      await sayAll(pair, 7, 7);
      assert.deepEqual(seqs(await heard.find((message) => message.seq === 7) && heard.all), range(1, 7));
    });

    test('that loses its connection again and again while messages stream in hears each once and in order', async () => {
      const relay = await Relay.to(server);
      const pair = await newPair(server);
      const bob = await recoverable(relay, pair.bob, { mode });
      const heard = inbox(bob, 'new_message');
      const notified = inbox(bob, 'message_notification');
      await join(bob, pair.conversation);
      const alice = await connect(server, pair.alice);
      let sent = 0;
      let goesOn = true;
      const speaks = (async () => {
        while (goesOn) {
          await send(alice, pair.conversation, 'x');
          sent += 1;
          // No more than a user may send, and than is kept for who is away, however long that takes.
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();
      for (const round of range(1, 15)) {
        if (round % 3 === 0) {
          await steady(bob);
          const isBack = back(bob);
          relay.stall();
          bob.io.engine.close();
          await isBack;
        } else {
          await whileAway(relay, bob, () => {});
        }
        assert.equal(bob.recovered, true);
        await new Promise((resolve) => setTimeout(resolve, round));
      }
      goesOn = false;
      await speaks;
      await heard.count(sent);
      await notified.count(sent);
      assert.deepEqual(seqs(heard.all), range(1, sent));
      assert.equal(notified.all.length, sent);
    });
  });
}

describe('a session', () => {
  test('is recovered by the documented client, which joins once', async () => {
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const begun = [];
    const begin = (socket) => begun.push(join(socket, pair.conversation));
    const bob = stayConnected(relay.url, pair.bob.token, begin, { ...COMES_BACK, forceNew: true });
    try {
      const heard = inbox(bob, 'new_message');
      await connected(bob);
      await begun[0];
      await whileAway(relay, bob, () => sayAll(pair, 1, 2));
      assert.deepEqual(seqs(await heard.count(2)), [1, 2]);
      assert.equal(begun.length, 1);
    } finally {
      bob.disconnect();
    }
  });

  test('whose client missed nothing, or was never sent anything, is recovered too', async () => {
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const bob = await recoverable(relay, pair.bob);
    const heard = inbox(bob, 'new_message');
    await whileAway(relay, bob, () => {});
    assert.equal(bob.recovered, true);
    await join(bob, pair.conversation);
    await sayAll(pair, 1, 1);
    await heard.count(1);
    await whileAway(relay, bob, () => {});
    assert.equal(bob.recovered, true);
    await sayAll(pair, 2, 2);
    assert.deepEqual(seqs(await heard.count(2)), [1, 2]);
  });

  test('shows offsets and its private id only to those who ask', async () => {
    const pair = await newPair(server);
    const asked = await recoverable(server, pair.bob);
    const never = await connect(server, pair.bob);
    const got = [asked, never].map((socket) => {
      const events = [];
      socket.onAny((...event) => events.push(event));
      return events;
    });
    for (const socket of [asked, never]) await join(socket, pair.conversation);
    const { _id } = await say(server, pair.alice, pair.conversation, 'hello');
    await eventually(() => got.every((events) => events.length === 2), 'two events each');
    const [[first, , ...offset], [second, , ...other]] = got[0];
    assert.deepEqual([first, offset, second, other], ['new_message', [_id], 'message_notification', [`${_id}n`]]);
    assert.deepEqual(got[1].map((event) => event.length), [2, 2]);
    assert.match(asked._pid, /^[0-9a-f]{32}$/);
    assert.equal(never._pid, undefined);
  });

  test('is nobody else’s, whatever they know', async () => {
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const bob = await recoverable(relay, pair.bob);
    const heard = inbox(bob, 'new_message');
    await join(bob, pair.conversation);
    const { _pid: pid, id } = bob;
    await whileAway(relay, bob, async () => {
      const auth = { token: (await newUser(server)).token, recover: true, pid };
      const thief = client(server, { auth });
      const stolen = inbox(thief, 'new_message');
      await connected(thief);
      assert.notEqual(thief.id, id);
      assert.notEqual(thief._pid, pid);
      await sayAll(pair, 1, 1);
      assert.deepEqual(stolen.all, []);
    });
    assert.equal(bob.recovered, true);
    assert.deepEqual(seqs(await heard.count(1)), [1]);
  });

  test('is not found by an id or an offset that is none', async () => {
    const { bob } = await newPair(server);
    for (const bad of ['x', '00'.repeat(16), 7, {}, [], null]) {
      const socket = client(server, { auth: { token: bob.token, recover: true, pid: bad, offset: bad } });
      await connected(socket);
      assert.match(socket._pid, /^[0-9a-f]{32}$/);
      assert.notEqual(socket._pid, bad);
      socket.disconnect();
    }
    for (const recover of [false, 'true', 1, null]) {
      const socket = client(server, { auth: { token: bob.token, recover } });
      await connected(socket);
      assert.equal(socket._pid, undefined);
      socket.disconnect();
    }
  });

  test('that its client leaves is over', async () => {
    const pair = await newPair(server);
    const bob = await recoverable(server, pair.bob);
    const { id } = bob;
    bob.disconnect();
    const isBack = back(bob);
    bob.connect();
    await isBack;
    assert.equal(bob.recovered, false);
    assert.notEqual(bob.id, id);
  });

  test('whose client was away hears what was read and deleted meanwhile', async () => {
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const alice = await recoverable(relay, pair.alice);
    await join(alice, pair.conversation);
    const events = [];
    alice.onAny((name) => events.push(name));
    await sayAll(pair, 1, 2);
    await eventually(() => events.length === 2, 'two messages');
    await whileAway(relay, alice, async () => {
      await history(server, pair.bob, pair.conversation);
      const { _id } = await say(server, pair.bob, pair.conversation, 'oops');
      succeeded(await call(server, 'DELETE', `/api/chat/messages/${_id}`, { token: pair.bob.token }));
      await history(server, pair.alice, pair.conversation);
    });
    await sayAll(pair, 5, 5);
    await eventually(() => events.length === 8, () => `all events: ${events}`);
    const missed = ['message_read', 'new_message', 'message_notification', 'message_deleted', 'unread_update'];
    assert.deepEqual(events.slice(2), [...missed, 'new_message']);
  });

  test('is not told of typing that is over', async () => {
    const relay = await Relay.to(server);
    const pair = await newPair(server);
    const bob = await recoverable(relay, pair.bob);
    const typing = inbox(bob, 'user_typing');
    await join(bob, pair.conversation);
    const alice = await connect(server, pair.alice);
    await join(alice, pair.conversation);
    const heard = inbox(bob, 'new_message');
    await whileAway(relay, bob, async () => {
      assert.equal((await ask(alice, 'typing', pair.conversation)).success, true);
      await send(alice, pair.conversation, 'after it');
    });
    await heard.count(1);
    assert.deepEqual(typing.all, []);
    assert.equal((await ask(alice, 'typing', pair.conversation)).success, true);
    await typing.count(1);
  });
});

describe('the time that a session waits', () => {
  test('is bounded, and nothing stays', async () => {
    const short = await startServer({ env: { RECOVERY_SECONDS: '4' } });
    try {
      const relay = await Relay.to(short);
      const bob = await recoverable(relay, await newUser(short));
      const { id } = bob;
      await whileAway(relay, bob, async () => {
        await eventually(async () => (await stats(short)).lost_sessions === 1, 'a session that waits');
        await eventually(async () => (await stats(short)).sessions === 0, 'its end');
        assert.equal((await stats(short)).lost_sessions, 0);
      });
      assert.equal(bob.recovered, false);
      assert.notEqual(bob.id, id);
    } finally {
      await short.stop();
    }
  });

  test('is over when more is missed than is kept', async () => {
    const own = await startServer();
    try {
      const relay = await Relay.to(own);
      const pair = await newPair(own);
      const bob = await recoverable(relay, pair.bob);
      await join(bob, pair.conversation);
      const alice = await connect(own, pair.alice);
      // What came through before takes nobody's place.
      const before = ['new_message', 'message_notification'].map((event) => inbox(bob, event));
      await Promise.all(range(1, 150).map((n) => send(alice, pair.conversation, `${n}`)));
      await Promise.all(before.map((heard) => heard.count(150)));
      // Each message is two events: as many as are kept, and then one too many.
      for (const [messages, recovered] of [[128, true], [129, false]]) {
        await whileAway(relay, bob, async () => {
          // What the server sends before it knows that he is gone does not count as missed.
          await eventually(async () => (await stats(own)).lost_sessions === 1, 'a session that waits');
          await Promise.all(range(1, messages).map((n) => send(alice, pair.conversation, `${n}`)));
          await eventually(async () => (await stats(own)).lost_sessions === Number(recovered), 'the session’s fate');
        });
        assert.equal(bob.recovered, recovered);
        await join(bob, pair.conversation);
      }
    } finally {
      await own.stop();
    }
  });

  test('may be none', async () => {
    const off = await startServer({ env: { RECOVERY_SECONDS: '0' } });
    try {
      const bob = await recoverable(off, await newUser(off));
      assert.equal(bob._pid, undefined);
    } finally {
      await off.stop();
    }
  });
});
