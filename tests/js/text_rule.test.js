// The text rule, the same on both transports (contract, section 2).
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, connect, inbox, join } from './support/clients.js';
import { query, storedCount } from './support/database.js';
import { assertFailure, call, rawJson, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { seqs } from './support/shapes.js';
import { KEPT, PREVIEWS, REFUSED } from './support/texts.js';
import { conversations, history, newPair, say } from './support/world.js';

const server = await serverForFile();

let alice;
let bob;
let conversation;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
});

const post = (options) =>
  call(server, 'POST', `/api/chat/conversations/${conversation}/messages`, { token: alice.token, ...options });

/** The bytes Postgres holds for a message. */
async function storedBytes(id) {
  const sql = `SELECT convert_to(text, 'UTF8') AS bytes FROM messages WHERE id = decode($1, 'hex')`;
  return (await query(server, sql, [id]))[0].bytes;
}

/** After a refusal that followed `last`: nothing was stored, and nothing sent before a good message that follows. */
async function assertNoTrace(listener, last) {
  assert.equal(await storedCount(server, conversation), last.seq);
  const fence = await say(server, alice, conversation, 'fence');
  await listener.find(({ _id }) => _id === fence._id);
  assert.deepEqual(seqs(listener.all.filter(({ seq }) => seq >= last.seq)), [last.seq, last.seq + 1]);
}

describe('by REST', () => {
  for (const [name, text] of KEPT) {
    test(`${name}: kept to the byte`, async () => {
      const posted = succeeded(await post({ body: { text } }), 201);
      assert.equal(posted.text, text);
      assert.deepEqual(await storedBytes(posted._id), Buffer.from(text));
      const [last] = await history(server, alice, conversation, '?limit=1');
      assert.equal(last.text, text);
      const [listed] = await conversations(server, alice);
      assert.equal(listed.last_message.text, text);
    });
  }

  for (const [name, text] of REFUSED) {
    test(`${name}: refused, nothing stored, nothing sent`, async () => {
      const socket = await connect(server, bob);
      await join(socket, conversation);
      const listener = inbox(socket, 'new_message');
      const last = await say(server, alice, conversation, 'the last before');
      refused(await post({ body: { text } }), 400, 'INVALID_ARGUMENT');
      await assertNoTrace(listener, last);
      socket.disconnect();
    });
  }

  test('escapes are read as what they stand for', async () => {
    const posted = succeeded(await post(rawJson('{"text":"\\u0041\\ud83d\\udc34\\/\\u00E9"}')), 201);
    assert.equal(posted.text, 'A🐴/é');
    refused(await post(rawJson('{"text":"\\u0000"}')), 400, 'INVALID_ARGUMENT');
    refused(await post(rawJson('{"text":"\\ud83d"}')), 400, 'INVALID_ARGUMENT');
    refused(await post(rawJson('{"text":"\\ud83dx"}')), 400, 'INVALID_ARGUMENT');
  });
});

for (const mode of Object.keys(MODES)) {
  describe(`by Socket.IO over ${mode}`, () => {
    let socket;
    let listener;
    before(async () => {
      socket = await connect(server, alice, mode);
      await join(socket, conversation);
      listener = inbox(socket, 'new_message');
    });

    for (const [name, text] of KEPT) {
      test(`${name}: kept to the byte`, async () => {
        const ack = await ask(socket, 'send_message', { conversation_id: conversation, text });
        assert.equal(ack.success, true, ack.message);
        assert.equal(ack.data.text, text);
        const heard = await listener.find(({ _id }) => _id === ack.data._id);
        assert.equal(heard.text, text);
        assert.deepEqual(await storedBytes(ack.data._id), Buffer.from(text));
      });
    }

    for (const [name, text] of REFUSED) {
      test(`${name}: refused, nothing stored, nothing sent`, async () => {
        const last = await say(server, alice, conversation, 'the last before');
        const ack = await ask(socket, 'send_message', { conversation_id: conversation, text });
        assertFailure(ack, 'INVALID_ARGUMENT');
        await assertNoTrace(listener, last);
        assert.ok(socket.connected);
      });
    }
  });
}

describe('the preview of a notification is the first 60 code points:', () => {
  let socket;
  let notes;
  before(async () => {
    socket = await connect(server, bob);
    notes = inbox(socket, 'message_notification');
  });
  for (const [name, text, preview] of PREVIEWS) {
    test(name, async () => {
      const before = notes.all.length;
      await say(server, alice, conversation, text);
      const note = (await notes.count(before + 1)).at(-1);
      assert.deepEqual(note, { conversation_id: conversation, sender: alice.id, preview });
    });
  }
});
