// The end of typing, and leaving a conversation (contract, section 5).
import { afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { MODES, ask, client, closeClients, connect, connected, inbox, join, send } from './support/clients.js';
import { assertFailure } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { eventually } from './support/wait.js';
import { malformedIds, newConversation, newId, newPair, newUser, say, stats } from './support/world.js';

const server = await serverForFile();
const { listen, typist, watchTyping } = await snippets('typing.md');
afterEach(() => closeClients());

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Bob in the room, what he sees of who types, and Alice outside of it. */
async function watched(mode, options) {
  const pair = await newPair(server);
  const bob = await connect(server, pair.bob, mode);
  const alice = client(server, { auth: { token: pair.alice.token, ...options }, mode });
  await connected(alice);
  await join(bob, pair.conversation);
  const began = inbox(bob, 'user_typing');
  const ended = inbox(bob, 'user_stop_typing');
  const payload = { userId: pair.alice.id, conversation_id: pair.conversation };
  return { ...pair, sockets: { alice, bob }, began, ended, payload };
}

describe('typing ends', () => {
  test('by itself, 6 s after it was last said, once', async () => {
    const { conversation, sockets, began, ended, payload } = await watched('websocket');
    await ask(sockets.alice, 'typing', conversation);
    await pause(1_500);
    const last = Date.now();
    await ask(sockets.alice, 'typing', conversation);
    assert.deepEqual(await ended.count(1), [payload]);
    const silence = Date.now() - last;
    assert.ok(silence > 5_900, `after ${silence} ms`);
    assert.deepEqual(began.all, [payload, payload]);
    await pause(1_500);
    assert.equal(ended.all.length, 1);
  });

  test('when it is said, and not once more later', async () => {
    const { conversation, sockets, ended, payload } = await watched('websocket');
    await ask(sockets.alice, 'typing', conversation);
    await ask(sockets.alice, 'stop_typing', conversation);
    await ended.count(1);
    await pause(7_000);
    assert.deepEqual(ended.all, [payload]);
  });

  for (const mode of Object.keys(MODES)) {
    for (const options of [{}, { recover: true }]) {
      test(`when the connection does, over ${mode} ${JSON.stringify(options)}`, async () => {
        const { conversation, sockets, ended, payload } = await watched(mode, options);
        await ask(sockets.alice, 'typing', conversation);
        const began = Date.now();
        sockets.alice.io.engine.close();
        assert.deepEqual(await ended.count(1), [payload]);
        assert.ok(Date.now() - began < 5_000, 'long before it would end by itself');
      });
    }
  }

  test('of one socket does not end that of another', async () => {
    const { alice, conversation, sockets, began, ended } = await watched('websocket');
    const second = await connect(server, alice);
    await ask(sockets.alice, 'typing', conversation);
    await ask(second, 'typing', conversation);
    await began.count(2);
    second.disconnect();
    await ended.count(1);
    await pause(200);
    assert.equal(ended.all.length, 1);
    await ended.count(2);
  });

  test('in all conversations at once', async () => {
    const { alice, bob, conversation, sockets, ended } = await watched('websocket');
    const others = await Promise.all(range(1, 3).map(() => newConversation(server, alice, bob, newId())));
    const all = [conversation, ...others];
    for (const id of others) await join(sockets.bob, id);
    for (const id of all) await ask(sockets.alice, 'typing', id);
    sockets.alice.disconnect();
    const where = (await ended.count(4)).map((end) => end.conversation_id);
    assert.deepEqual(where.sort(), all.sort());
  });

  test('as the documented client shows it', async () => {
    const { alice, conversation, sockets } = await watched('websocket');
    const shown = [];
    watchTyping(sockets.bob, (where, who, types) => shown.push([where === conversation, who === alice.id, types]));
    const keys = typist(sockets.alice, conversation);
    const seen = (changes) => eventually(() => shown.length === changes, () => `${changes}: ${JSON.stringify(shown)}`);
    for (let i = 0; i < 5; i += 1) keys.pressed();
    await seen(1);
    keys.stopped();
    await seen(2);
    keys.pressed();
    await seen(3);
    sockets.alice.disconnect();
    await seen(4);
    assert.deepEqual(shown, [true, false, true, false].map((types) => [true, true, types]));
  });
});

test('the documented client shows nobody whose end it missed', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const socket = new EventEmitter();
  const shown = [];
  watchTyping(socket, (...change) => shown.push(change));
  const [ana, ben] = ['ana', 'ben'].map((userId) => ({ userId, conversation_id: 'c' }));
  socket.emit('user_typing', ana);
  context.mock.timers.tick(5_000);
  socket.emit('user_typing', ana);
  context.mock.timers.tick(6_999);
  assert.deepEqual(shown.splice(0), [['c', 'ana', true], ['c', 'ana', true]]);
  context.mock.timers.tick(1);
  assert.deepEqual(shown.splice(0), [['c', 'ana', false]]);
  for (const typist of [ana, ben]) socket.emit('user_typing', typist);
  socket.emit('disconnect');
  assert.deepEqual(shown.splice(2), [['c', 'ana', false], ['c', 'ben', false]]);
  socket.emit('user_stop_typing', ben);
  context.mock.timers.tick(10_000);
  assert.equal(shown.length, 2, 'each end is shown once');
});

describe('leave_conversation', () => {
  for (const mode of Object.keys(MODES)) {
    test(`over ${mode}: nothing of the room comes after its acknowledgement`, async () => {
      const { alice, conversation, sockets } = await watched(mode);
      const heard = inbox(sockets.bob, 'new_message');
      const notified = inbox(sockets.bob, 'message_notification');
      for (const round of range(1, 40)) {
        await join(sockets.bob, conversation);
        const said = Promise.all(range(1, 5).map((n) => send(sockets.alice, conversation, `${round} ${n}`)));
        // A plain function, because a promise settles only after all that came in the same read. Also of a second one, though
        // the first is under way behind a join, in a room that is busy.
        sockets.bob.emit('leave_conversation', conversation);
        sockets.alice.emit('join_conversation', conversation, { since_seq: 0 });
        sockets.bob.emit('join_conversation', conversation);
        const acks = await Promise.all([1, 2].map(() => new Promise((done) => {
          sockets.bob.emit('leave_conversation', conversation, (ack) => done({ ...ack, heard: heard.all.length }));
        })));
        await said;
        await say(server, alice, conversation, 'unheard');
        await notified.count(round * 6);
        assert.deepEqual(acks[1], { success: true, heard: heard.all.length }, 'nothing after the acknowledgement');
        assert.deepEqual(acks[0], acks[1]);
      }
      assert.deepEqual(seqs(heard.all), [...new Set(seqs(heard.all))].sort((a, b) => a - b));
    });
  }

  test('as the documented client does it', async () => {
    const { alice, conversation, sockets } = await watched('websocket');
    const shown = [];
    const before = (await stats(server)).hub_members;
    const leave = listen(sockets.bob, conversation, ({ text }) => shown.push(text));
    await say(server, alice, conversation, 'before');
    await eventually(() => shown.length === 1, 'heard');
    sockets.bob.disconnect().connect();
    await eventually(() => sockets.bob.connected, 'another connection');
    await eventually(async () => (await stats(server)).hub_members === before, 'back in the room');
    await say(server, alice, conversation, 'after');
    await eventually(() => shown.length === 2, 'heard again');
    sockets.bob.disconnect();
    leave();
    sockets.bob.connect();
    await eventually(() => sockets.bob.connected, 'a third connection');
    await eventually(async () => (await stats(server)).hub_members === before - 1, 'not in the room any more');
    await say(server, alice, conversation, 'unheard');
    assert.deepEqual(shown, ['before', 'after']);
  });

  test('and joining go by their order, however fast', async () => {
    const { alice, conversation, sockets } = await watched('websocket');
    const heard = inbox(sockets.bob, 'new_message');
    const before = (await stats(server)).hub_members;
    for (const last of ['leave_conversation', 'join_conversation']) {
      const acks = range(1, 20).flatMap(() => [
        ask(sockets.bob, last === 'join_conversation' ? 'leave_conversation' : 'join_conversation', conversation),
        ask(sockets.bob, last, conversation),
      ]);
      assert.ok((await Promise.all(acks)).every((ack) => ack.success));
      await say(server, alice, conversation, last);
      await eventually(async () => (await stats(server)).hub_members === before - Number(last === 'leave_conversation'), last);
    }
    assert.deepEqual((await heard.count(1)).map(({ text }) => text), ['join_conversation']);
  });

  test('of what was not joined is no error, and of what is none is refused', async () => {
    const { conversation, sockets } = await watched('websocket');
    const stranger = await connect(server, await newUser(server));
    for (const socket of [sockets.alice, stranger]) {
      assert.deepEqual(await ask(socket, 'leave_conversation', conversation), { success: true });
    }
    for (const id of [...malformedIds(conversation), 7, null]) {
      assertFailure(await ask(stranger, 'leave_conversation', id), 'NOT_FOUND', 'Conversation not found');
    }
  });

  test('ends the typing of who leaves', async () => {
    const { conversation, sockets, ended, payload } = await watched('websocket');
    await join(sockets.alice, conversation);
    await ask(sockets.alice, 'typing', conversation);
    await ask(sockets.alice, 'leave_conversation', conversation);
    assert.deepEqual(await ended.count(1), [payload]);
  });
});
