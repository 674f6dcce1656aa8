// The chat without Socket.IO, as its documentation has it.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { MODES, closeClients, connect, inbox, join, send } from './support/clients.js';
import { serverForFile } from './support/server.js';
import { snippets } from './support/snippet.js';
import { eventually, within } from './support/wait.js';
import { newPair } from './support/world.js';

const server = await serverForFile();
const { openChat } = await snippets('plain-websocket.md');

/** The chat as Alice has it, with what she was told. */
async function opened(token) {
  const told = [];
  const chat = openChat(server.url, token, (event, data) => told.push({ event, data }));
  await chat.opened;
  return { chat, told, of: (event) => told.filter((one) => one.event === event).map((one) => one.data) };
}

test('a client is told why it is closed while it still sends', async () => {
  const { alice } = await newPair(server);
  for (const bytes of [1_500_000, 20_000_000]) {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/chat/ws`, { headers: { authorization: `Bearer ${alice.token}` } });
    const closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve([code, `${reason}`])));
    socket.on('error', () => {});
    await once(socket, 'open');
    socket.send('x'.repeat(bytes));
    assert.deepEqual(await within(closed, 'its end'), [1009, 'too large']);
  }
});

describe('the documented client', () => {
  for (const mode of Object.keys(MODES)) {
    test(`talks with a stock client over ${mode}`, async (t) => {
      t.after(closeClients);
      const { alice, bob, conversation } = await newPair(server);
      const { chat, of } = await opened(alice.token);
      const socket = await connect(server, bob, mode);
      await join(socket, conversation);
      const heard = inbox(socket, 'new_message');
      const joined = await chat.call('join_conversation', conversation);
      assert.deepEqual(joined, { success: true, data: { conversation_id: conversation } });
      const { data: first } = await chat.call('send_message', { conversation_id: conversation, text: 'from a device' });
      assert.deepEqual(await heard.count(1), [first]);
      const second = await send(socket, conversation, 'from an app');
      await eventually(() => of('new_message').length > 1, 'both messages');
      assert.deepEqual(of('new_message'), [first, second]);
      const { data: again } = await chat.call('join_conversation', [conversation, { since_seq: 1 }]);
      assert.deepEqual([again.messages, again.has_more], [[second], false]);
      chat.close();
      await eventually(() => of('closed').length > 0, 'the end');
      assert.equal(of('closed')[0].code, 1000);
    });
  }

  test('is told why it is refused, and why it is closed', async () => {
    const { alice } = await newPair(server);
    const refused = openChat(server.url, 'nonsense', () => {});
    await assert.rejects(refused.opened, { message: 'Authentication error: invalid token', code: 'UNAUTHENTICATED' });
    const { chat, of } = await opened(alice.token);
    assert.equal((await chat.call('typing', 'x')).code, 'NOT_FOUND');
    await assert.rejects(chat.call('typing', 'x'.repeat(1_000_000)), { message: 'closed: 1009 too large' });
    assert.deepEqual(of('closed'), [{ code: 1009, reason: 'too large' }]);
    await assert.rejects(chat.call('typing', 'x'), { message: 'not connected' });
  });
});
