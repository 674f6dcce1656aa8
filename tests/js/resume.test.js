// Resuming: since_seq on a join, after_seq and before_seq by REST (contract, section 5).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, client, connect, connected, inbox, join, send } from './support/clients.js';
import { markDeleted } from './support/database.js';
import { assertFailure, call, refused } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { history, newId, newPair, newUser, say, unreadCount } from './support/world.js';

const server = await serverForFile();
const { follow } = await snippets('resuming.md');

const resume = (socket, conversation, since) => ask(socket, 'join_conversation', conversation, { since_seq: since });
const get = (user, conversation, query) =>
  call(server, 'GET', `/api/chat/conversations/${conversation}/messages?${query}`, { token: user.token });

/** A conversation with messages of Alice’s. */
async function newHistory(n, text = (i) => `${i}`) {
  const pair = await newPair(server);
  const socket = await connect(server, pair.alice);
  await Promise.all(range(1, n).map((i) => send(socket, pair.conversation, text(i))));
  socket.disconnect();
  return pair;
}

for (const mode of Object.keys(MODES)) {
  describe(`a join with since_seq over ${mode}`, () => {
    test('is answered with what was said since, and goes on with events', async () => {
      const { alice, bob, conversation } = await newHistory(5);
      const socket = await connect(server, bob, mode);
      const heard = inbox(socket, 'new_message');
      const { success, data } = await resume(socket, conversation, 2);
      assert.equal(success, true);
      assert.deepEqual(Object.keys(data), ['conversation_id', 'head_seq', 'messages', 'has_more']);
      assert.deepEqual([data.conversation_id, data.head_seq, data.has_more], [conversation, 5, false]);
      assert.equal(await unreadCount(server, bob), 5, 'a join reads nothing');
      assert.deepEqual(data.messages, (await history(server, bob, conversation)).slice(2));
      await say(server, alice, conversation, 'live');
      assert.deepEqual(seqs(await heard.count(1)), [6]);
      socket.disconnect();
    });
  });
}

describe('a join', () => {
  test('without since_seq is answered as ever', async () => {
    const { bob, conversation } = await newHistory(1);
    const socket = await connect(server, bob);
    for (const options of [undefined, null, {}, 7, 'x', [3], { since: 1 }, { since_seq: null }]) {
      const ack = await ask(socket, 'join_conversation', conversation, options);
      assert.deepEqual(ack, { success: true, data: { conversation_id: conversation } });
    }
    socket.disconnect();
  });

  test('of the whole, of nothing new, and of what is not there yet', async () => {
    const { bob, conversation } = await newHistory(3);
    const socket = await connect(server, bob);
    const ack = async (since) => (await resume(socket, conversation, since)).data;
    assert.deepEqual(seqs((await ack(0)).messages), [1, 2, 3]);
    for (const since of [3, 4, Number.MAX_SAFE_INTEGER]) {
      assert.deepEqual(await ack(since), { conversation_id: conversation, head_seq: 3, messages: [], has_more: false });
    }
    socket.disconnect();
  });

  test('of a conversation without a message', async () => {
    const { bob, conversation } = await newPair(server);
    const socket = await connect(server, bob);
    const { data } = await resume(socket, conversation, 0);
    assert.deepEqual(data, { conversation_id: conversation, head_seq: 0, messages: [], has_more: false });
    socket.disconnect();
  });

  test('from a seq that is none is refused, and joins nothing', async () => {
    const { alice, bob, conversation } = await newPair(server);
    const socket = await connect(server, bob);
    const heard = inbox(socket, 'new_message');
    for (const seq of [-1, 1.5, '1', {}, [], true]) {
      const ack = await resume(socket, conversation, seq);
      assertFailure(ack, 'INVALID_ARGUMENT', 'since_seq must be a whole number, 0 or more');
    }
    await say(server, alice, conversation, 'unheard');
    await join(socket, conversation);
    await say(server, alice, conversation, 'heard');
    assert.deepEqual(seqs(await heard.count(1)), [2]);
    socket.disconnect();
  });

  test('of a stranger is refused and shows nothing', async () => {
    const { conversation } = await newHistory(2);
    const socket = await connect(server, await newUser(server));
    for (const where of [conversation, newId(), 'x']) {
      assertFailure(await resume(socket, where, 0), 'NOT_FOUND', 'Conversation not found');
    }
    socket.disconnect();
  });

  test('with much to resume has a bounded answer, and says that there is more', async () => {
    const { bob, conversation } = await newHistory(250, (i) => `${i} ${'x'.repeat(i > 200 ? 1_900 : 10)}`);
    const socket = await connect(server, bob);
    const short = (await resume(socket, conversation, 0)).data;
    assert.ok(short.messages.length > 10 && short.messages.length <= 100);
    assert.deepEqual(seqs(short.messages), range(1, short.messages.length));
    assert.deepEqual([short.has_more, short.head_seq], [true, 250]);
    const long = (await resume(socket, conversation, 200)).data;
    assert.deepEqual(seqs(long.messages), range(201, 200 + long.messages.length));
    assert.ok(long.messages.length < 50 && long.has_more);
    assert.ok(JSON.stringify(long).length < 20 * 1024);
    const last = (await resume(socket, conversation, 249)).data;
    assert.deepEqual([seqs(last.messages), last.has_more], [[250], false]);
    socket.disconnect();
  });

  test('passes over what was deleted', async () => {
    const { bob, conversation } = await newHistory(4);
    const [, second, , fourth] = await history(server, bob, conversation);
    for (const { _id } of [second, fourth]) await markDeleted(server, _id);
    const socket = await connect(server, bob);
    const { data } = await resume(socket, conversation, 0);
    assert.deepEqual([seqs(data.messages), data.head_seq, data.has_more], [[1, 3], 4, false]);
    socket.disconnect();
  });

  test('of many conversations in one payload leaves the connection open', async () => {
    const { bob, conversation } = await newHistory(100, (i) => `${i} ${'é'.repeat(1_900)}`);
    const socket = await connect(server, bob, 'polling');
    const acks = await Promise.all(range(1, 250).map(() => resume(socket, conversation, 0)));
    for (const ack of acks) assert.equal(ack.success, true);
    assert.ok(socket.connected);
    socket.disconnect();
  });
});

for (const mode of Object.keys(MODES)) {
  test(`over ${mode}: who joins again where they are hears after the answer only what is newer`, async () => {
    const { alice, bob, conversation } = await newPair(server);
    const sender = await connect(server, alice);
    const socket = await connect(server, bob, mode);
    await join(socket, conversation);
    const heard = [];
    let head = 0;
    socket.on('new_message', ({ seq }) => heard.push({ seq, head }));
    let streaming = true;
    const stream = (async () => {
      for (const _ of range(1, 15)) await Promise.all(range(1, 20).map(() => send(sender, conversation, 'more')));
      streaming = false;
    })();
    while (streaming) {
      await new Promise((done) => {
        // A plain function, because a promise settles only after all that came in the same read.
        socket.emit('join_conversation', conversation, { since_seq: head }, ({ data }) => {
          head = data.head_seq;
          done();
        });
      });
    }
    await stream;
    await eventually(() => heard.length === 300, () => `${heard.length}`);
    assert.deepEqual(seqs(heard), range(1, 300));
    assert.deepEqual(heard.filter(({ seq, head: before }) => seq <= before), []);
    for (const each of [sender, socket]) each.disconnect();
  });
}

test('history and events have no gap and no repeat while messages stream in', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const senders = await Promise.all([connect(server, alice), connect(server, bob, 'polling')]);
  let streaming = true;
  const stream = Promise.all(senders.map(async (socket) => {
    while (streaming) await Promise.all(range(1, 5).map(() => send(socket, conversation, 'more')));
  }));
  await Promise.all(range(1, 40).map(async (i) => {
    const mode = Object.keys(MODES)[i % 3];
    let since = 0;
    const seen = [];
    for (const round of range(1, 5)) {
      const socket = await connect(server, i % 2 ? alice : bob, mode);
      const order = [];
      socket.on('new_message', ({ seq }) => order.push(seq));
      socket.emit('join_conversation', conversation, { since_seq: since }, ({ data }) => {
        order.push(...seqs(data.messages), ...(data.has_more ? ['more'] : []));
        if (data.has_more) order.push(data.head_seq);
      });
      await eventually(() => order.length >= 10 * round, 'messages', { every: 5 });
      socket.disconnect();
      const from = order.indexOf('more');
      const parts = from < 0 ? [order] : [order.slice(0, from), order.slice(from + 1)];
      for (const part of parts) {
        if (part.length > 0) assert.deepEqual(part, range(part[0], part.at(-1)), `client ${i}, round ${round}`);
      }
      assert.equal(order[0], since + 1);
      since = from < 0 ? order.at(-1) : order[from - 1];
      seen.push(...(from < 0 ? order : order.slice(0, from)));
    }
    assert.deepEqual(seen, range(1, seen.length), `client ${i}`);
  }));
  streaming = false;
  await stream;
  for (const socket of senders) socket.disconnect();
});

describe('REST', () => {
  test('after_seq and before_seq walk the whole, in order, and say whether there is more', async () => {
    const { alice, conversation } = await newHistory(25);
    const page = async (query) => {
      const { status, body } = await get(alice, conversation, query);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body), ['success', 'data', 'has_more', 'head_seq']);
      return [seqs(body.data), body.has_more, body.head_seq];
    };
    assert.deepEqual(await page('after_seq=0&limit=10'), [range(1, 10), true, 25]);
    assert.deepEqual(await page('after_seq=10&limit=10'), [range(11, 20), true, 25]);
    assert.deepEqual(await page('after_seq=20&limit=10'), [range(21, 25), false, 25]);
    assert.deepEqual(await page('after_seq=15&limit=10'), [range(16, 25), false, 25]);
    assert.deepEqual(await page('after_seq=25'), [[], false, 25]);
    assert.deepEqual(await page('before_seq=26&limit=10'), [range(16, 25), true, 25]);
    assert.deepEqual(await page('before_seq=16&limit=10&page=7'), [range(6, 15), true, 25]);
    assert.deepEqual(await page('before_seq=6&limit=5'), [range(1, 5), false, 25]);
    assert.deepEqual(await page('before_seq=1'), [[], false, 25]);
    assert.deepEqual(await page('before_seq=0'), [[], false, 25]);
    assert.deepEqual(await page(`after_seq=${Number.MAX_SAFE_INTEGER}`), [[], false, 25]);
  });

  test('what is no seq is refused', async () => {
    const { alice, conversation } = await newPair(server);
    for (const bad of ['', '-1', '1.5', 'x', '1e3', '99999999999999999999']) {
      for (const name of ['after_seq', 'before_seq']) {
        const reply = await get(alice, conversation, `${name}=${bad}`);
        refused(reply, 400, 'INVALID_ARGUMENT', 'after_seq and before_seq must be whole numbers, 0 or more');
      }
    }
    refused(await get(alice, conversation, 'after_seq=1&before_seq=3'), 400, 'INVALID_ARGUMENT', /not both/);
    refused(await get(await newUser(server), conversation, 'after_seq=0'), 404, 'NOT_FOUND');
  });

  test('reads, as a page does', async () => {
    const { bob, conversation } = await newHistory(3);
    await get(bob, conversation, 'after_seq=2');
    assert.equal(await unreadCount(server, bob), 0);
  });
});

test('the documented way shows every message once and in order, over lost connections', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const sender = await connect(server, bob);
  const socket = client(server, { auth: { token: alice.token }, reconnection: true, reconnectionDelay: 20 });
  await connected(socket);
  const shown = [];
  follow(socket, { url: server.url, token: alice.token, conversation, show: ({ seq }) => shown.push(seq) });
  for (const round of range(1, 6)) {
    await Promise.all(range(1, 60).map((i) => send(sender, conversation, `${round} ${i} ${'x'.repeat(500)}`)));
    // A client whose engine is closed while it opens stays away for good, whatever the server.
    await eventually(() => socket.connected, 'connection', { every: 5 });
    socket.io.engine.close();
  }
  await eventually(() => shown.length >= 360, () => `${shown.length} of 360 shown`);
  assert.deepEqual(shown, range(1, 360));
  socket.disconnect();
  sender.disconnect();
});
