// GET and POST /api/chat/conversations (contract, section 2).
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { markDeleted, query } from './support/database.js';
import { call, rawJson, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { assertConversation, profile, range } from './support/shapes.js';
import {
  conversations,
  history,
  malformedIds,
  newConversation,
  newId,
  newPair,
  newUser,
  say,
  unreadCount,
} from './support/world.js';

const server = await serverForFile();

const create = (user, options) => call(server, 'POST', '/api/chat/conversations', { token: user.token, ...options });
const twoUsers = () => Promise.all([newUser(server), newUser(server, { picture: null })]);

describe('making a conversation', () => {
  test('answers it with two plain ids', async () => {
    const [alice, bob] = await twoUsers();
    const data = succeeded(await create(alice, { body: { recipient_id: bob.id } }));
    assertConversation(data);
    assert.deepEqual([...data.participants].sort(), [alice.id, bob.id].sort());
    assert.equal(data.last_message, null);
  });

  test('keeps the horse', async () => {
    const [alice, bob] = await twoUsers();
    const horse = newId();
    const data = succeeded(await create(alice, { body: { recipient_id: bob.id, horse_id: horse } }));
    assertConversation(data, { horse });
  });

  test('a second time answers the first one, to either of the two', async () => {
    const [alice, bob] = await twoUsers();
    const made = succeeded(await create(alice, { body: { recipient_id: bob.id } }));
    await say(server, bob, made._id, 'hello');
    for (const [caller, other] of [[alice, bob], [bob, alice]]) {
      const found = succeeded(await create(caller, { body: { recipient_id: other.id } }));
      assert.equal(found._id, made._id);
      assert.equal(found.created_at, made.created_at);
      assert.equal(found.last_message.text, 'hello');
      assert.deepEqual([...found.participants].sort(), [alice.id, bob.id].sort());
    }
  });

  test('about the same horse answers the same, about another horse makes another', async () => {
    const [alice, bob] = await twoUsers();
    const [thunder, lightning] = [newId(), newId()];
    const first = await newConversation(server, alice, bob, thunder);
    assert.equal(await newConversation(server, alice, bob, thunder), first);
    assert.equal(await newConversation(server, bob, alice, thunder), first);
    const second = await newConversation(server, alice, bob, lightning);
    assert.notEqual(second, first);
    assert.equal(await newConversation(server, bob, alice, lightning), second);
  });

  test('without a horse answers the one these two have', async () => {
    const [alice, bob] = await twoUsers();
    const about = await newConversation(server, alice, bob, newId());
    assert.equal(await newConversation(server, alice, bob), about);
    assert.equal(await newConversation(server, bob, alice), about);
  });

  test('about a horse makes one beside that without', async () => {
    const [alice, bob] = await twoUsers();
    const plain = await newConversation(server, alice, bob);
    const about = await newConversation(server, alice, bob, newId());
    assert.notEqual(about, plain);
    assert.ok([plain, about].includes(await newConversation(server, alice, bob)));
  });

  test('with one user says nothing about another', async () => {
    const [alice, bob] = await twoUsers();
    const carol = await newUser(server);
    assert.notEqual(await newConversation(server, alice, bob), await newConversation(server, alice, carol));
  });
});

describe('calls at the same time make one', () => {
  const both = (alice, bob) => range(1, 20).map((n) => (n % 2 ? [alice, bob] : [bob, alice]));
  for (const [name, horse] of [['without a horse', undefined], ['about one horse', newId()]]) {
    test(name, async () => {
      const [alice, bob] = await twoUsers();
      const made = await Promise.all(both(alice, bob).map(([from, to]) => newConversation(server, from, to, horse)));
      assert.equal(new Set(made).size, 1);
      const sql = `SELECT count(*)::int AS n FROM conversations
        WHERE decode($1, 'hex') IN (creator_id, recipient_id) AND decode($2, 'hex') IN (creator_id, recipient_id)`;
      assert.deepEqual(await query(server, sql, [alice.id, bob.id]), [{ n: 1 }]);
    });
  }
});

describe('making a conversation is refused', () => {
  test('with oneself', async () => {
    const [alice] = await twoUsers();
    const reply = await create(alice, { body: { recipient_id: alice.id } });
    refused(reply, 400, 'INVALID_ARGUMENT', 'Cannot message yourself');
    assert.deepEqual(await conversations(server, alice), []);
  });

  test('with somebody unknown', async () => {
    const [alice] = await twoUsers();
    refused(await create(alice, { body: { recipient_id: newId() } }), 404, 'NOT_FOUND', 'Recipient not found');
    const body = { recipient_id: newId(), horse_id: newId() };
    refused(await create(alice, { body }), 404, 'NOT_FOUND', 'Recipient not found');
  });

  test('with a malformed recipient', async () => {
    const [alice, bob] = await twoUsers();
    for (const recipient_id of ['', ...malformedIds(bob.id)]) {
      const reply = await create(alice, { body: { recipient_id } });
      refused(reply, 400, 'INVALID_ARGUMENT', 'Invalid recipient ID');
    }
    refused(await create(alice, { body: {} }), 400, 'INVALID_ARGUMENT', 'Invalid recipient ID');
    for (const recipient_id of [null, 1, true, [bob.id], { _id: bob.id }]) {
      refused(await create(alice, { body: { recipient_id } }), 400, 'INVALID_ARGUMENT');
    }
    succeeded(await create(alice, { body: { recipient_id: bob.id } }));
  });

  test('about a malformed horse', async () => {
    const [alice, bob] = await twoUsers();
    for (const horse_id of malformedIds(bob.id)) {
      const reply = await create(alice, { body: { recipient_id: bob.id, horse_id } });
      refused(reply, 400, 'INVALID_ARGUMENT', 'Invalid horse ID');
    }
    for (const horse_id of [1, true, [newId()], { _id: newId() }]) {
      refused(await create(alice, { body: { recipient_id: bob.id, horse_id } }), 400, 'INVALID_ARGUMENT');
    }
    assert.deepEqual(await conversations(server, alice), []);
    succeeded(await create(alice, { body: { recipient_id: bob.id, horse_id: newId() } }));
  });

  test('with a body that is no JSON object', async () => {
    const [alice] = await twoUsers();
    for (const raw of ['', 'recipient_id=1', '{"recipient_id":', '[]', '"x"', 'null', '7']) {
      refused(await create(alice, rawJson(raw)), 400, 'INVALID_ARGUMENT');
    }
    refused(await create(alice, rawJson('{}'.padEnd(64 * 1024 + 1))), 413, 'TOO_LARGE');
  });
});

describe('the list of conversations', () => {
  test('is empty for who has none', async () => {
    assert.deepEqual(await conversations(server, await newUser(server)), []);
  });

  test('shows each to the field, participants populated', async () => {
    const [alice, bob] = await twoUsers();
    const horse = newId();
    const made = await newConversation(server, alice, bob, horse);
    for (const user of [alice, bob]) {
      const [shown, ...others] = await conversations(server, user);
      assert.deepEqual(others, []);
      assertConversation(shown, { horse });
      assert.equal(shown._id, made);
      assert.equal(shown.last_message, null);
      const byId = (a, b) => a._id.localeCompare(b._id);
      assert.deepEqual([...shown.participants].sort(byId), [profile(alice), profile(bob)].sort(byId));
    }
  });

  test('has the newest update first', async () => {
    const [alice, bob] = await twoUsers();
    const [carol, dave] = await twoUsers();
    const made = [];
    for (const other of [bob, carol, dave]) made.push(await newConversation(server, alice, other));
    const order = async () => (await conversations(server, alice)).map(({ _id }) => _id);
    assert.deepEqual(await order(), [made[2], made[1], made[0]]);
    await say(server, alice, made[0], 'up');
    assert.deepEqual(await order(), [made[0], made[2], made[1]]);
    await say(server, carol, made[1], 'up as well');
    assert.deepEqual(await order(), [made[1], made[0], made[2]]);
    const updates = (await conversations(server, alice)).map(({ updated_at }) => updated_at);
    assert.deepEqual(updates, [...updates].sort().reverse());
  });

  test('is not of others', async () => {
    const [alice, bob] = await twoUsers();
    const carol = await newUser(server);
    await newConversation(server, alice, bob);
    assert.deepEqual(await conversations(server, carol), []);
    assert.equal((await conversations(server, bob)).length, 1);
  });

  test('shows the last message that is not deleted', async () => {
    const [alice, bob] = await twoUsers();
    const conversation = await newConversation(server, alice, bob);
    const first = await say(server, alice, conversation, 'first');
    const second = await say(server, bob, conversation, 'second');
    const shown = async () => (await conversations(server, alice))[0].last_message;
    assert.equal((await shown()).text, 'second');
    await markDeleted(server, second._id);
    assert.equal((await shown()).text, 'first');
    await markDeleted(server, first._id);
    assert.equal(await shown(), null);
  });

  test('shows the whole last text, of the longest and strangest as well', async () => {
    const [alice, bob] = await twoUsers();
    const conversation = await newConversation(server, alice, bob);
    const text = '🐴'.repeat(2000);
    await say(server, alice, conversation, text);
    assert.equal((await conversations(server, bob))[0].last_message.text, text);
  });
});

describe('how much is unread, and which message is the newest', () => {
  const shown = async (user, id) => (await conversations(server, user)).find(({ _id }) => _id === id);
  const state = async (user, id) => {
    const { unread_count, head_seq, last_message } = await shown(user, id);
    return [unread_count, head_seq, last_message?.seq];
  };

  test('is told for each conversation, to each of the two', async () => {
    const [alice, bob] = await twoUsers();
    const carol = await newUser(server);
    // One that she has begun, and one that somebody else has.
    const [own, others] = [await newConversation(server, alice, bob), await newConversation(server, carol, alice)];
    assert.deepEqual(await state(alice, own), [0, 0, undefined]);
    for (const text of ['1', '2', '3']) await say(server, bob, own, text);
    await say(server, alice, own, '4');
    for (const text of ['1', '2']) await say(server, carol, others, text);
    assert.deepEqual(await state(alice, own), [3, 4, 4]);
    assert.deepEqual(await state(alice, others), [2, 2, 2]);
    assert.deepEqual(await state(bob, own), [1, 4, 4]);
    assert.deepEqual(await state(carol, others), [0, 2, 2]);
    assert.equal(await unreadCount(server, alice), 5);
  });

  test('follows what is read and what is deleted', async () => {
    const { alice, bob, conversation } = await newPair(server);
    for (const text of ['1', '2']) await say(server, bob, conversation, text);
    const { _id: last } = await say(server, bob, conversation, '3');
    succeeded(await call(server, 'DELETE', `/api/chat/messages/${last}`, { token: bob.token }));
    assert.deepEqual(await state(alice, conversation), [2, 3, 2]);
    await history(server, alice, conversation);
    assert.deepEqual(await state(alice, conversation), [0, 3, 2]);
    await say(server, bob, conversation, '4');
    assert.deepEqual(await state(alice, conversation), [1, 4, 4]);
  });

  test('is told where a conversation is opened again, too', async () => {
    const { alice, bob, conversation } = await newPair(server);
    for (const text of ['1', '2']) await say(server, bob, conversation, text);
    for (const [caller, other, unread] of [[alice, bob, 2], [bob, alice, 0]]) {
      const found = succeeded(await create(caller, { body: { recipient_id: other.id } }));
      assert.deepEqual([found.unread_count, found.head_seq, found.last_message.seq], [unread, 2, 2]);
    }
  });
});
