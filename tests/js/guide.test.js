// The guide for apps, docs/guide.md: what it says in JavaScript does what it says, step by step.
import { after, afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeClients, connected, deaf, disconnected, inbox, send } from './support/clients.js';
import { storedCount } from './support/database.js';
import { Relay, closeRelays } from './support/relay.js';
import { makeDataDir, removeDataDir, serverForFile, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { fences, watchedSnippets, withProgram } from './support/snippet.js';
import { mint } from './support/tokens.js';
import { Inbox, eventually, within } from './support/wait.js';
import { newId, newPair, newUser, say, unreadCount } from './support/world.js';

// Fifty messages of a user at once.
const server = await serverForFile({ env: { RATE_SENDS: '5' } });
const guide = await watchedSnippets('guide.md');
const QUICK = { forceNew: true, transports: ['websocket'], reconnectionDelay: 20, reconnectionDelayMax: 50 };

const open = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.disconnect();
  closeClients();
  closeRelays();
});

/** The app of a user. */
const app = (user, at = server) => ({ url: at.url, token: async () => user.token });

function connecting(chat, loggedOut = assert.fail) {
  const socket = guide.connect(chat, loggedOut, QUICK);
  open.push(socket);
  return socket;
}

async function connect(chat) {
  const socket = connecting(chat);
  await connected(socket);
  return socket;
}

describe('a connection', () => {
  test('comes back with another token, also where none could be had for a while', async () => {
    const user = await newUser(server);
    let asked = 0;
    const token = async () => {
      asked += 1;
      if (asked === 1) throw new TypeError('fetch failed');
      return mint(user.id);
    };
    const socket = connecting({ url: server.url, token });
    const connects = inbox(socket, 'connect');
    await connects.count(1);
    socket.io.engine.close();
    await connects.count(2);
    assert.equal(socket.recovered, true);
    assert.ok(asked >= 3, `${asked}`);
  });

  test('that is refused is told, and so is a call', async () => {
    const chat = { url: server.url, token: async () => mint(newId(), { ttl: -1 }) };
    const out = new Inbox('refusal');
    connecting(chat, (error) => out.push(error.message));
    assert.deepEqual(await out.count(1), ['Authentication error: invalid token']);
    await assert.rejects(guide.rest(chat, 'GET', '/unread-count'), { code: 'UNAUTHENTICATED' });
    const { unread_count } = await guide.rest(app(await newUser(server)), 'GET', '/unread-count');
    assert.equal(unread_count, 0);
  });

  test('answers what is asked', async () => {
    const socket = await connect(app(await newUser(server)));
    assert.equal(await guide.ask(socket, 'leave_conversation', newId()), undefined);
    await assert.rejects(guide.ask(socket, 'join_conversation', newId()), { code: 'NOT_FOUND' });
  });
});

test('a conversation is opened once, and between its history and what happens nothing falls', async () => {
  const [alice, bob] = await Promise.all([newUser(server), newUser(server)]);
  const chat = app(alice);
  const { data: { _id: conversation } } = await guide.open(chat, bob.id);
  assert.equal((await guide.open(chat, bob.id)).data._id, conversation);
  const about = await guide.open(chat, bob.id, newId());
  assert.notEqual(about.data._id, conversation);
  for (const n of range(1, 40)) await say(server, bob, conversation, `${n}`);
  assert.deepEqual((await guide.list(chat)).data.map(({ _id }) => _id), [conversation, about.data._id]);
  assert.deepEqual(seqs((await guide.messages(chat, conversation)).data), range(11, 40));
  assert.deepEqual(seqs((await guide.messages(chat, conversation, 'before_seq=11')).data), range(1, 10));
  await say(server, bob, conversation, '41');
  const socket = await connect(chat);
  const heard = inbox(socket, 'new_message');
  assert.deepEqual(seqs((await guide.join(socket, conversation, 40)).messages), [41]);
  await say(server, bob, conversation, '42');
  assert.deepEqual(seqs(await heard.count(1)), [42]);
  assert.equal(await unreadCount(server, alice), 42, 'nothing was marked');
});

describe('a message', () => {
  test('whose answer is lost is stored once', async () => {
    const { alice, conversation } = await newPair(server);
    const chat = app(alice);
    const socket = await connect(chat);
    const stored = () => eventually(async () => (await storedCount(server, conversation)) === 1, 'a stored message');
    const message = await guide.send(chat, deaf(socket, stored), conversation, 'once', 'a');
    assert.deepEqual([message.seq, message.duplicate], [1, true]);
    assert.deepEqual(seqs((await guide.messages(chat, conversation)).data), [1]);
  });

  test('that the client sends by REST, and when it is back once more, is stored once', async () => {
    const { alice, conversation } = await newPair(server);
    const chat = app(alice);
    const socket = await connect(chat);
    socket.io.engine.close();
    const impatient = { timeout: () => socket.timeout(1) };
    const message = await guide.send(chat, impatient, conversation, 'once', 'a');
    assert.equal(message.seq, 1);
    await connected(socket);
    assert.equal((await guide.send(chat, socket, conversation, 'once', 'a')).duplicate, true);
    assert.equal(await storedCount(server, conversation), 1);
  });

  test('that is refused is not sent again', async () => {
    const { alice, conversation } = await newPair(server);
    const chat = app(alice);
    const socket = await connect(chat);
    await assert.rejects(guide.send(chat, socket, conversation, ' ', 'a'), { code: 'INVALID_ARGUMENT' });
    await guide.send(chat, socket, conversation, 'one', 'a');
    await assert.rejects(guide.send(chat, socket, conversation, 'another', 'a'), { code: 'IDEMPOTENCY_CONFLICT' });
    assert.equal(await storedCount(server, conversation), 1);
  });
});

test('others see who types and what was read, and readers what is left', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const [writer, reader] = [await connect(app(alice)), await connect(app(bob))];
  const show = (socket) => {
    const shown = { typing: new Inbox('typing'), read: new Inbox('read'), unread: new Inbox('unread') };
    const push = (name) => (...what) => shown[name].push(what);
    guide.watch(socket, { showTyping: push('typing'), showRead: push('read'), showUnread: push('unread') });
    return shown;
  };
  const [writers, readers] = [show(writer), show(reader)];
  for (const socket of [writer, reader]) await guide.join(socket, conversation, 0);
  guide.typing(reader, conversation, true);
  await writers.typing.count(1);
  guide.typing(reader, conversation, false);
  assert.deepEqual(await writers.typing.count(2), [[conversation, bob.id, true], [conversation, bob.id, false]]);
  await send(writer, conversation, 'one');
  await send(writer, conversation, 'two');
  await guide.markRead(reader, conversation, 1);
  assert.deepEqual(await writers.read.count(1), [[conversation, bob.id, 1]]);
  assert.deepEqual(await readers.unread.count(1), [[conversation, 1]]);
});

test('a user hears of messages in all conversations, and of deletions in those that are joined', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const socket = await connect(app(alice));
  const [notices, deleted] = [new Inbox('notice'), new Inbox('deletion')];
  guide.hear(socket, { notify: (...what) => notices.push(what), showDeleted: (...what) => deleted.push(what) });
  const { _id: id } = await say(server, bob, conversation, 'not joined');
  assert.deepEqual(await notices.count(1), [[conversation, bob.id, 'not joined']]);
  await guide.join(socket, conversation, 1);
  await guide.rest(app(bob), 'DELETE', `/messages/${id}`);
  assert.deepEqual(await deleted.count(1), [[conversation, 1]]);
});

test('each message is shown once and in order, whether the session came back or a new one began', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const relay = await Relay.to(server);
  const chat = app(alice, relay);
  const socket = await connect(chat);
  const shown = [];
  guide.follow(chat, socket, conversation, ({ seq }) => shown.push(seq), 0);
  const write = (n) => Promise.all(range(1, n).map((i) => say(server, bob, conversation, `${i}`)));
  const all = (n) => eventually(() => shown.length >= n, () => `${n} shown, ${shown.length} are`);
  await write(5);
  await all(5);
  const connects = new Inbox('connect');
  socket.on('connect', () => connects.push(socket.recovered));
  // More than 256 are not kept for a session.
  for (const [turn, missed] of [3, 300].entries()) {
    relay.down();
    await write(missed);
    relay.up();
    await connects.count(turn + 1);
    await write(1);
    await all([9, 310][turn]);
  }
  assert.deepEqual(shown, range(1, 310));
  assert.deepEqual(connects.all, [true, false]);
});

describe('what was refused, or not answered,', () => {
  test('is sent again when it may be, and stored once', async () => {
    const { alice, conversation } = await newPair(server);
    const chat = app(alice);
    const socket = await connect(chat);
    const refusals = [];
    const attempt = (n) => () =>
      guide.send(chat, socket, conversation, `${n}`, `${n}`).catch((error) => {
        refusals.push(error.code);
        throw error;
      });
    await Promise.all(range(1, 60).map((n) => guide.patiently(attempt(n), 100)));
    assert.deepEqual([...new Set(refusals)], ['RATE_LIMITED']);
    assert.equal(await storedCount(server, conversation), 60);
    const answers = [new Error('operation has timed out'), 'an answer'];
    const lossy = async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    assert.equal(await guide.patiently(lossy), 'an answer');
  });

  test('is given up where it cannot succeed', async () => {
    const { alice } = await newPair(server);
    const attempts = [];
    const attempt = () => {
      attempts.push(1);
      return guide.open(app(alice), alice.id);
    };
    await assert.rejects(guide.patiently(attempt), { code: 'INVALID_ARGUMENT' });
    assert.equal(attempts.length, 1);
  });
});

describe('a session', () => {
  test('outlives its tokens', async () => {
    const user = await newUser(server);
    let fetched = 0;
    const holding = (ttl) => ({
      url: server.url,
      token: async () => {
        fetched += 1;
        return mint(user.id, { ttl });
      },
    });
    const chat = holding(15);
    const [refreshing, lazy] = [connecting(chat), connecting(holding(5))];
    guide.outlive(chat, refreshing);
    const [ends, expiries, connects] = [inbox(refreshing, 'disconnect'), inbox(lazy, 'auth_expired'), inbox(lazy, 'connect')];
    await expiries.count(1);
    await connects.count(2);
    assert.equal(lazy.recovered, true);
    assert.ok(fetched >= 4, `${fetched}`);
    assert.deepEqual(ends.all, [], 'a token that is replaced in time ends nothing');
  });

  test('outlives a planned stop, and comes back when it was told to', async () => {
    const dir = makeDataDir();
    let own = await startServer({ dir });
    after(async () => {
      await own.stop();
      await removeDataDir(dir);
    });
    const { alice, bob, conversation } = await newPair(own);
    const relay = await Relay.to(own);
    const chat = app(alice, relay);
    const socket = connecting(chat);
    guide.outlive(chat, socket);
    await connected(socket);
    const shown = new Inbox('message');
    guide.follow(chat, socket, conversation, (message) => shown.push(message.text), 0);
    await say(own, bob, conversation, 'before it');
    await shown.count(1);
    const told = inbox(socket, 'server_draining');
    const gone = disconnected(socket);
    await own.stop();
    await within(gone, 'disconnect');
    assert.equal(socket.io.reconnectionDelay(), told.all[0].reconnect_after_ms);
    const back = inbox(socket, 'connect');
    own = await startServer({ dir });
    relay.target = own.port;
    await say(own, bob, conversation, 'after it');
    await back.count(1, 60_000);
    assert.equal(socket.recovered, true);
    assert.deepEqual(await shown.count(2), ['before it', 'after it']);
    assert.equal(socket.io.reconnectionDelay(), QUICK.reconnectionDelay, 'as before');
  });
});

describe('all together', () => {
  test('shows what was said and what is said, and says what it is told', async () => {
    const { alice, bob, conversation } = await newPair(server);
    await say(server, bob, conversation, 'before');
    const shown = new Inbox('message');
    const chat = await guide.start(app(alice), conversation, (message) => shown.push(message.text), assert.fail);
    await eventually(async () => (await chat.say('mine')).seq === 2, 'a message said');
    await say(server, bob, conversation, 'after');
    assert.deepEqual(await shown.count(3), ['before', 'mine', 'after']);
    chat.leave();
  });

  test('is a program for a terminal', () =>
    withProgram('guide.md', async (file) => {
      const { alice, bob, conversation } = await newPair(server);
      await say(server, bob, conversation, 'before');
      const env = { ...process.env, URL: server.url, TOKEN: alice.token };
      const program = spawn(process.execPath, [file, conversation], { env });
      let [printed, complained] = ['', ''];
      program.stdout.on('data', (text) => (printed += text));
      program.stderr.on('data', (text) => (complained += text));
      const shows = (lines) => eventually(() => printed === lines.join(''), `${lines}, not ${printed}${complained}`);
      const [one, two, three] = [`1 ${bob.full_name} before\n`, `2 ${alice.full_name} typed\n`, `3 ${bob.full_name} after\n`];
      await shows([one]);
      program.stdin.write(' \ntyped\n');
      await shows([one, two]);
      await say(server, bob, conversation, 'after');
      await shows([one, two, three]);
      const exit = once(program, 'exit');
      program.stdin.end();
      assert.deepEqual(await within(exit, 'its end'), [0, null]);
      assert.match(complained, /^text .*\n$/, 'the empty line was refused');
    }));
});

test('every snippet was run, here or by the tests of its language', () => {
  assert.deepEqual(guide.uncalled(), []);
  assert.deepEqual(new Set(fences('guide.md').map(({ language }) => language)), new Set(['js', 'python', 'sh']));
});
