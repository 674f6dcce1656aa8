// Health, unknown routes, wrong methods, and requests that are hardly HTTP (contract, section 2).
import { connect as tcp } from 'node:net';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { RawWebSocket, refusedUpgrade } from './support/raw.js';
import { call, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { within } from './support/wait.js';
import { newPair } from './support/world.js';

const server = await serverForFile();

let alice;
let conversation;
before(async () => {
  ({ alice, conversation } = await newPair(server));
});

describe('health', () => {
  for (const path of ['/health', '/health/db']) {
    test(`${path} is well, and asks for no token`, async () => {
      succeeded(await call(server, 'GET', path));
      succeeded(await call(server, 'GET', path, { token: 'garbage' }));
    });
  }

  test('/health/ws answers each text with the same text', async () => {
    const raw = new RawWebSocket(`${server.webSocketUrl}/health/ws`);
    await within(once(raw.socket, 'open'), 'open WebSocket');
    const sent = ['ping', '🐴', 'x'.repeat(100)];
    for (const text of sent) raw.send(text);
    assert.deepEqual(await raw.frames.count(3), sent);
    raw.socket.close();
    await raw.ended();
  });
});

describe('a route that does not exist', () => {
  const paths = ['/', '/api', '/api/chat', '/api/chat/', '/api/chat/nothing', '/health/nothing', '/favicon.ico', '/%00',
    '/api/chat/conversations/x/y/messages', '/🐴'];
  for (const path of paths) {
    test(path, async () => {
      for (const token of [undefined, alice.token]) {
        for (const method of ['GET', 'POST']) {
          const reply = await call(server, method, path, { token });
          assert.equal(reply.status, 404, reply.text);
          const { code, ...base } = reply.body;
          assert.deepEqual(base, { success: false, message: 'Route not found' });
          assert.equal(code, 'NOT_FOUND');
        }
      }
    });
  }
});

describe('a wrong method', () => {
  const wrong = [
    ['/health', ['POST', 'DELETE']],
    ['/health/db', ['POST', 'PUT']],
    ['/api/chat/unread-count', ['POST', 'DELETE']],
    ['/api/chat/conversations', ['PUT', 'DELETE', 'PATCH']],
    ['/api/chat/conversations/:id/messages', ['PUT', 'DELETE', 'PATCH']],
  ];
  for (const [route, methods] of wrong) {
    test(`on ${route}`, async () => {
      for (const method of methods) {
        const reply = await call(server, method, route.replace(':id', conversation), { token: alice.token });
        assert.ok([404, 405].includes(reply.status), `${method}: ${reply.status}`);
        assert.equal(reply.body?.success, false, reply.text);
        assert.equal(typeof reply.body.message, 'string');
      }
    });
  }
});

describe('WebSocket upgrades where there is nothing to upgrade to are refused', () => {
  const paths = [
    '/', '/health', '/api/chat/conversations', '/nothing', '/socket.io/', '/socket.iox/?EIO=4&transport=websocket',
  ];
  for (const path of paths) {
    test(path, async () => {
      const answer = await refusedUpgrade(server, path);
      assert.ok(answer === 'closed' || (answer >= 200 && answer < 500), String(answer));
      succeeded(await call(server, 'GET', '/health'));
    });
  }
});

/** Sends bytes as they are; everything that comes back until the server or the limit ends it. */
async function exchange(bytes) {
  const socket = tcp(server.port, '127.0.0.1');
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // An error is followed by `close`, which is what is waited for.
  socket.on('error', () => {});
  socket.end(bytes);
  await within(new Promise((done) => socket.once('close', done)), 'end of the connection');
  return Buffer.concat(chunks).toString('latin1');
}

describe('what is hardly HTTP harms nobody', () => {
  const requests = [
    ['not HTTP', 'hello\r\n\r\n'],
    ['bytes', Buffer.from([0, 1, 2, 0xff, 0xfe, 13, 10, 13, 10])],
    ['no path', 'GET  HTTP/1.1\r\n\r\n'],
    ['another version', 'GET /health HTTP/9.9\r\nHost: x\r\n\r\n'],
    ['a header without a colon', 'GET /health HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n'],
    ['two lengths', 'POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a negative length', 'POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
    ['a body cut off', 'POST /api/chat/conversations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{'],
    ['a half header', 'GET /health HT'],
    ['a very long header', `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(300_000)}\r\n\r\n`],
  ];
  for (const [name, bytes] of requests) {
    test(name, async () => {
      const answer = await exchange(bytes);
      assert.ok(answer === '' || /^HTTP\/1\.[01] [245]\d\d /.test(answer), answer.slice(0, 100));
      assert.doesNotMatch(answer, /^HTTP\/1\.[01] 500 /);
      succeeded(await call(server, 'GET', '/health'));
    });
  }
});
