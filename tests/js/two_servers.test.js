// Two servers on one database: they store and number together, and what one has stored the other hands on.
import { after, afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { join as joinPath } from 'node:path';
import { ask, closeClients, connect, inbox, send } from './support/clients.js';
import { storedCount, waitingForLocks, withDatabase } from './support/database.js';
import { call, succeeded } from './support/rest.js';
import { makeDataDir, removeDataDir, serverForFile, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { eventually } from './support/wait.js';
import { history, newPair, unreadCount } from './support/world.js';

const server = await serverForFile();
const dir = makeDataDir();
const host = encodeURIComponent(joinPath(server.dir, 'socket'));
const other = await startServer({ dir, env: { DATABASE_URL: `postgres://horsetrust@/horsetrust?host=${host}` } });
after(async () => {
  closeClients();
  await other.stop();
  await removeDataDir(dir);
});
afterEach(() => closeClients());

/** Holds the conversation's row while `work` runs; it is told how to wait for so many that wait for the row. */
async function whileLocked(conversation, work) {
  await withDatabase(server, async (database) => {
    await database.query('BEGIN');
    await database.query(`SELECT FROM conversations WHERE id = decode($1, 'hex') FOR UPDATE`, [conversation]);
    const wait = (count) =>
      eventually(async () => (await waitingForLocks(database)).length >= count, `${count} that wait`, { every: 5 });
    await work(wait);
    await database.query('COMMIT');
  });
}

test('a message that is sent to both is stored once', async () => {
  const { alice, conversation } = await newPair(server);
  const path = `/api/chat/conversations/${conversation}/messages`;
  const replies = await Promise.all(range(1, 200).map((i) => {
    const name = `name-${Math.ceil(i / 4)}`;
    const body = { text: name, client_msg_id: name };
    return call(i % 2 ? server : other, 'POST', path, { token: alice.token, body });
  }));
  const messages = replies.map((reply) => succeeded(reply, 201));
  assert.equal(messages.filter(({ duplicate }) => !duplicate).length, 50);
  assert.equal(await storedCount(server, conversation), 50);
  assert.deepEqual(seqs(await history(server, alice, conversation, '?limit=100')), range(1, 50));
});

for (const upTo of [1, 100]) {
  test(`a mark up to ${upTo} that waits while the other server stores is no refusal, and counts what is there`, async () => {
    const { alice, bob, conversation } = await newPair(server);
    const [sender, reader] = [await connect(other, alice), await connect(server, bob)];
    await send(sender, conversation, 'first');
    let sent;
    let marked;
    await whileLocked(conversation, async (wait) => {
      sent = send(sender, conversation, 'second');
      await wait(1);
      marked = ask(reader, 'mark_read', { conversation_id: conversation, up_to_seq: upTo });
      await wait(2);
    });
    assert.equal((await sent).seq, 2);
    assert.deepEqual(await marked, { success: true });
    assert.equal(await unreadCount(server, bob), upTo === 1 ? 1 : 0);
    const stored = await history(server, alice, conversation, '?after_seq=0&mark_read=false');
    assert.deepEqual(stored.map(({ is_read: read }) => read), [true, upTo > 1]);
    assert.equal((await send(sender, conversation, 'third')).seq, 3);
  });
}

test('whoever joins gets what the other server stored, while a message of this one is under way', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const [here, there] = [await connect(server, alice), await connect(other, alice)];
  await send(here, conversation, 'here');
  for (const n of range(2, 11)) await send(there, conversation, `${n}`);
  const reader = await connect(server, bob);
  const heard = inbox(reader, 'new_message');
  let sent;
  let joined;
  await whileLocked(conversation, async (wait) => {
    sent = send(here, conversation, 'under way');
    await wait(1);
    joined = ask(reader, 'join_conversation', conversation, { since_seq: 5 });
    const { data } = await joined;
    assert.deepEqual([seqs(data.messages), data.head_seq, data.has_more], [range(6, 11), 11, false]);
  });
  assert.equal((await sent).seq, 12);
  assert.deepEqual(seqs(await heard.count(1)), [12]);
});

test('marks and reads go on while the other server sends', async () => {
  const { alice, bob, conversation } = await newPair(server);
  const [sender, reader] = [await connect(other, alice), await connect(server, bob)];
  let sending = true;
  const sends = Promise.all(range(1, 3).map(async () => {
    for (let n = 0; n < 60; n += 1) await send(sender, conversation, `${n}`);
  })).then(() => {
    sending = false;
  });
  let asked = 0;
  while (sending) {
    const { success } = await ask(reader, 'mark_read', { conversation_id: conversation, up_to_seq: 1_000 });
    assert.ok(success);
    await history(server, bob, conversation);
    asked += 1;
  }
  await sends;
  assert.ok(asked > 0);
  await history(server, bob, conversation);
  assert.equal(await unreadCount(server, bob), 0);
});
