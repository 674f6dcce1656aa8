// The guide for apps, docs/guide.md: what it says to a shell does what it says, typed into one shell step by step.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { storedCount } from './support/database.js';
import { call } from './support/rest.js';
import { makeDataDir, removeDataDir, startServer } from './support/server.js';
import { range, seqs } from './support/shapes.js';
import { Shell } from './support/shell.js';
import { snippetsIn } from './support/snippet.js';
import { mint } from './support/tokens.js';
import { newPair, say, unreadCount } from './support/world.js';

const dir = makeDataDir();
// Twenty calls at once.
const env = { RATE_REST: '2' };
let server = await startServer({ dir, env });
const { alice, bob, conversation } = await newPair(server);
const shell = new Shell();
after(async () => {
  await shell.close();
  await server.stop();
  await removeDataDir(dir);
});

const steps = snippetsIn('guide.md', 'sh');
let done = 0;
/** Types the next step in; what it printed, where it printed JSON as that. */
async function step() {
  const { lines, status } = await shell.run(steps[done]);
  done += 1;
  return { status, answers: lines.map((line) => JSON.parse(line)) };
}

test('a shell with a token is told how much there is to read', async () => {
  await shell.set('URL', server.url);
  await shell.set('TOKEN', alice.token);
  assert.deepEqual((await step()).answers, [{ success: true, unread_count: 0 }]);
});

test('conversations are listed and opened, and read in pages that mark nothing', async () => {
  for (const n of range(1, 3)) await say(server, bob, conversation, `${n}`);
  await shell.set('RECIPIENT', bob.id);
  await shell.set('CONVERSATION', conversation);
  await shell.set('OLDEST_SEQ', 3);
  const [list, opened, newest, older] = (await step()).answers;
  assert.deepEqual(list.data.map(({ _id }) => _id), [conversation]);
  assert.equal(opened.data._id, conversation);
  assert.deepEqual([seqs(newest.data), seqs(older.data)], [[1, 2, 3], [1, 2]]);
  assert.equal(await unreadCount(server, alice), 3);
});

test('a message is sent under a name', async () => {
  const [sent] = (await step()).answers;
  assert.equal(sent.data.seq, 4);
  assert.equal(await storedCount(server, conversation), 4);
});

test('a GET of messages marks all of them', async () => {
  const [page] = (await step()).answers;
  assert.equal(page.data.length, 1);
  assert.equal(await unreadCount(server, alice), 0);
});

test('what came since a message is fetched', async () => {
  await shell.set('LAST_SEQ', 2);
  const [page] = (await step()).answers;
  assert.deepEqual([seqs(page.data), page.has_more, page.head_seq], [[3, 4], false, 4]);
});

test('what is refused for its rate is sent again when it may be, and stored once', async () => {
  const path = `/api/chat/conversations/${conversation}/messages?mark_read=false`;
  while ((await call(server, 'GET', path, { token: alice.token })).status !== 429);
  const { status, answers } = await step();
  assert.equal(status, 0);
  assert.deepEqual(answers.map(({ data }) => [data.seq, data.duplicate]), [[4, true]]);
  assert.equal(await storedCount(server, conversation), 4);
});

test('a token that does not hold is told by its status, and a restart of the server is waited for', async () => {
  await shell.set('TOKEN', mint(alice.id, { ttl: -1 }));
  const refused = await shell.run(steps[done]);
  assert.equal(refused.lines[0], '401');
  assert.notEqual(refused.status, 0);
  assert.equal(await storedCount(server, conversation), 4);
  await shell.set('TOKEN', alice.token);
  const { port } = server;
  await server.stop();
  const typed = shell.run(steps[done]);
  server = await startServer({ dir, env, port });
  const { lines, status } = await typed;
  assert.equal(status, 0);
  assert.equal(JSON.parse(lines.at(-1)).data.seq, 5);
  assert.equal(await storedCount(server, conversation), 5);
  done += 1;
});

test('every step was typed', () => {
  assert.equal(done, steps.length);
});
