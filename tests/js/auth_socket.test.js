// Who may connect by Socket.IO (contract, section 1).
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, ask, client, connect, connected, join, refusal, send } from './support/clients.js';
import { RawWebSocket } from './support/raw.js';
import { serverForFile } from './support/server.js';
import { REFUSED_TOKENS, mint } from './support/tokens.js';
import { newPair } from './support/world.js';

const server = await serverForFile();

const NO_TOKEN = 'Authentication error: no token';
const INVALID_TOKEN = 'Authentication error: invalid token';

let alice;
let conversation;
before(async () => {
  ({ alice, conversation } = await newPair(server));
});

const reason = async (options) => (await refusal(client(server, options))).message;

for (const mode of Object.keys(MODES)) {
  describe(`over ${mode}`, () => {
    test('a good token connects', async () => {
      const socket = await connect(server, alice, mode);
      assert.match(socket.id, /\S/);
      await join(socket, conversation);
      socket.disconnect();
    });

    test('no token does not', async () => {
      assert.equal(await reason({ mode }), NO_TOKEN);
      assert.equal(await reason({ mode, auth: {} }), NO_TOKEN);
      assert.equal(await reason({ mode, auth: { Token: alice.token } }), NO_TOKEN);
    });

    test('a token in the query or in a header counts for nothing', async () => {
      assert.equal(await reason({ mode, query: { token: alice.token } }), NO_TOKEN);
      const extraHeaders = { authorization: `Bearer ${alice.token}`, token: alice.token };
      assert.equal(await reason({ mode, extraHeaders }), NO_TOKEN);
      const both = { mode, auth: { token: 'garbage' }, query: { token: alice.token }, extraHeaders };
      assert.equal(await reason(both), INVALID_TOKEN);
    });

    test('a bad token is told apart from none', async () => {
      assert.equal(await reason({ mode, auth: { token: 'garbage' } }), INVALID_TOKEN);
      assert.equal(await reason({ mode, auth: { token: mint(alice.id, { ttl: -1 }) } }), INVALID_TOKEN);
      assert.equal(await reason({ mode, auth: { token: `Bearer ${alice.token}` } }), INVALID_TOKEN);
    });

    test('another namespace does not exist', async () => {
      const auth = { token: alice.token };
      assert.equal(await reason({ mode, auth, path: '/admin' }), 'Invalid namespace');
      assert.equal(await reason({ mode, path: '/chat' }), 'Invalid namespace');
    });

    test('a refused client connects with a better token', async () => {
      const socket = client(server, { mode, auth: { token: 'garbage' } });
      assert.equal((await refusal(socket)).message, INVALID_TOKEN);
      socket.auth = { token: alice.token };
      socket.connect();
      await connected(socket);
      await join(socket, conversation);
      socket.disconnect();
    });
  });
}

describe('a token is refused that is', () => {
  for (const [name, token] of REFUSED_TOKENS) {
    test(name, async () => {
      assert.equal(await reason({ auth: { token: token(alice.id) } }), INVALID_TOKEN);
    });
  }
});

describe('a token is refused that is no text:', () => {
  for (const token of [null, 0, 42, true, false, '', [], {}, [['a']], { token: 'x' }]) {
    test(JSON.stringify(token), async () => {
      assert.match(await reason({ auth: { token } }), /^Authentication error: (no|invalid) token$/);
    });
  }
});

test('a refused namespace leaves the connection of the other one alone', async () => {
  const socket = await connect(server, alice);
  const other = socket.io.socket('/admin', { auth: { token: alice.token } });
  assert.equal((await refusal(other.connect())).message, 'Invalid namespace');
  await join(socket, conversation);
  assert.ok(socket.connected);
  socket.disconnect();
});

test('a refused connection cannot act', async () => {
  const raw = await RawWebSocket.open(server);
  raw.send('40{"token":"garbage"}');
  const reply = await raw.frames.find((frame) => frame.startsWith('4'));
  assert.match(reply, /^44\{/);
  assert.equal(JSON.parse(reply.slice(2)).message, INVALID_TOKEN);
  // Nobody is connected here, so this is answered by nothing or by the end of the connection; the next one is a fence.
  raw.send(`421${JSON.stringify(['join_conversation', conversation])}`);
  raw.send(`40${JSON.stringify({ token: alice.token })}`);
  await raw.answer((frame) => frame.startsWith('40'));
  assert.ok(!raw.frames.all.some((frame) => frame.startsWith('431') && frame.includes('"success":true')));
  raw.drop();
});

test('messages are by the user of the token, whatever the client claims', async () => {
  const { alice: carol, bob: dave, conversation: theirs } = await newPair(server);
  const socket = await connect(server, carol);
  const claim = { conversation_id: theirs, text: 'who am I?', sender_id: dave.id, userId: dave.id };
  const ack = await ask(socket, 'send_message', claim);
  assert.equal(ack.data.sender_id._id, carol.id);
  assert.equal((await send(socket, theirs, 'again')).sender_id._id, carol.id);
  socket.disconnect();
});
