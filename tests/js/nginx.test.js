// Behind nginx, with the configuration that docs/deploy has: each way to connect gets through, and limits count the clients.
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { ask, client, closeClients, connected, inbox, join, MODES, send, upgraded } from './support/clients.js';
import { fetchStatus, startNginx } from './support/nginx.js';
import { startServer } from './support/server.js';
import { newPair } from './support/world.js';
import { within } from './support/wait.js';

const server = await startServer({ env: { TRUSTED_PROXIES: '127.0.0.1', CONNECTIONS_PER_ADDRESS: '8' } });
const nginx = await startNginx(server);
after(async () => {
  closeClients();
  await nginx?.stop();
  await server.stop();
});

async function connect(user, mode) {
  const socket = client(nginx, { auth: { token: user.token }, mode, rejectUnauthorized: false });
  await connected(socket);
  if (mode === 'upgrade') await upgraded(socket);
  return socket;
}

describe('behind nginx', { skip: nginx === null && 'there is no nginx, and it could not be fetched' }, () => {
  for (const mode of Object.keys(MODES)) {
    test(`messages come and go by ${mode}`, async () => {
      const { alice, bob, conversation } = await newPair(server);
      const [one, other] = [await connect(alice, mode), await connect(bob, mode)];
      const heard = inbox(other, 'new_message');
      await join(other, conversation);
      const text = 'é🐎'.repeat(900);
      for (let turn = 0; turn < 3; turn += 1) {
        const { _id } = await send(one, conversation, text);
        const message = await heard.find((one) => one._id === _id);
        assert.equal(message.text, text);
      }
      one.disconnect();
      other.disconnect();
    });
  }

  test('a plain WebSocket gets through', async () => {
    const { alice } = await newPair(server);
    const headers = { authorization: `Bearer ${alice.token}` };
    const url = `${nginx.url.replace(/^http/, 'ws')}/api/chat/ws`;
    const socket = new WebSocket(url, { headers, rejectUnauthorized: false });
    const [connected] = await within(once(socket, 'message'), 'the session');
    assert.equal(JSON.parse(connected).event, 'connect');
    socket.send(JSON.stringify({ event: 'typing', data: 'x', id: 7 }));
    const [answer] = await within(once(socket, 'message'), 'the answer');
    assert.equal(JSON.parse(answer).id, 7);
    socket.close();
  });

  test('a payload as large as one may be gets through, and one that is larger does not', async () => {
    const { alice } = await newPair(server);
    const socket = await connect(alice, 'polling');
    const padding = 'x'.repeat(990_000);
    assert.equal((await ask(socket, 'no_such_event', padding)).success, false);
    const ended = new Promise((done) => socket.once('disconnect', done));
    socket.emit('no_such_event', padding + padding);
    await within(ended, 'end of the connection');
  });

  test('limits count each client, not the proxy', async () => {
    const handshake = (localAddress) => fetchStatus(nginx.port, '/socket.io/?EIO=4&transport=polling', { localAddress });
    for (let place = 0; place < 8; place += 1) assert.equal(await handshake('127.0.0.2'), 200);
    assert.equal(await handshake('127.0.0.2'), 429);
    assert.equal(await handshake('127.0.0.3'), 200);
  });

  test('what is for those who watch the server is not there', async () => {
    assert.equal(await fetchStatus(nginx.port, '/metrics'), 404);
    for (const path of ['/api/chat/admin/stats', '/admin']) assert.equal(await fetchStatus(nginx.port, path), 404);
    assert.equal(await fetchStatus(nginx.port, '/api/chat/unread-count'), 401);
  });

  test('clients hear that the server stops', async () => {
    const { alice } = await newPair(server);
    const socket = await connect(alice, 'websocket');
    const told = inbox(socket, 'server_draining');
    server.signal('SIGTERM');
    const [{ reconnect_after_ms: wait }] = await told.count(1);
    assert.ok(wait > 0);
    assert.deepEqual(await within(server.exited, 'end of the server', 30_000), { code: 0, signal: null });
  });
});
