// Cross-origin rules of REST and of the Socket.IO handshake (contract, section 2).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MODES, client, connected, join, refusal } from './support/clients.js';
import { RawPolling, RawWebSocket, connectPacket, refusedUpgrade } from './support/raw.js';
import { call, refused, succeeded } from './support/rest.js';
import { serverForFile, startServer } from './support/server.js';
import { newPair } from './support/world.js';

const LISTED = ['https://app.horsetrust.example', 'http://localhost:5173'];
const UNLISTED = [
  'https://evil.example', 'http://app.horsetrust.example', 'https://app.horsetrust.example:8443', 'null',
  'https://app.horsetrust.example.evil.example', 'https://xapp.horsetrust.example', 'http://localhost:5174',
  'https://app.horsetrust.exampl', 'http://localhost',
];
const ALLOW = 'access-control-allow-origin';
const CREDENTIALS = 'access-control-allow-credentials';

const server = await serverForFile({ env: { CORS_ORIGINS: LISTED.join(',') } });

let alice;
let conversation;
before(async () => {
  ({ alice, conversation } = await newPair(server));
});

const list = (origin, token = alice.token) =>
  call(server, 'GET', '/api/chat/conversations', { token, headers: origin === undefined ? {} : { origin } });

const preflight = (origin, path = '/api/chat/conversations', method = 'POST') =>
  call(server, 'OPTIONS', path, {
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  });

describe('REST', () => {
  for (const origin of LISTED) {
    test(`${origin} is listed: allowed, with credentials`, async () => {
      const reply = await list(origin);
      succeeded(reply);
      assert.equal(reply.headers.get(ALLOW), origin);
      assert.equal(reply.headers.get(CREDENTIALS), 'true');
    });

    test(`${origin} can read refusals as well`, async () => {
      const foreign = '/api/chat/conversations/x/messages';
      const refusals = [
        [await list(origin, 'garbage'), 401],
        [await call(server, 'GET', '/nothing', { headers: { origin } }), 404],
        [await call(server, 'GET', foreign, { token: alice.token, headers: { origin } }), 404],
      ];
      for (const [reply, status] of refusals) {
        refused(reply, status);
        assert.equal(reply.headers.get(ALLOW), origin);
      }
    });

    test(`${origin} passes its preflight`, async () => {
      for (const path of ['/api/chat/conversations', `/api/chat/conversations/${conversation}/messages`]) {
        const reply = await preflight(origin, path);
        assert.ok(reply.status === 200 || reply.status === 204, reply.text);
        assert.equal(reply.headers.get(ALLOW), origin);
        assert.equal(reply.headers.get(CREDENTIALS), 'true');
        assert.match(reply.headers.get('access-control-allow-methods'), /POST/);
        const allowed = reply.headers.get('access-control-allow-headers').toLowerCase();
        assert.match(allowed, /authorization/);
        assert.match(allowed, /content-type/);
        assert.match(allowed, /idempotency-key/);
      }
    });
  }

  for (const origin of UNLISTED) {
    test(`${origin} is not listed: no allow header, and no error`, async () => {
      const reply = await list(origin);
      succeeded(reply);
      assert.equal(reply.headers.get(ALLOW), null);
      const before = await preflight(origin);
      assert.equal(before.headers.get(ALLOW), null);
      assert.ok(before.status < 500);
    });
  }

  test('without an origin there is nothing to allow', async () => {
    const reply = await list(undefined);
    succeeded(reply);
    assert.equal(reply.headers.get(ALLOW), null);
  });
});

describe('the Socket.IO handshake', () => {
  for (const mode of Object.keys(MODES)) {
    for (const origin of [LISTED[0], undefined]) {
      test(`over ${mode} is open to ${origin ?? 'a client without an origin'}`, async () => {
        const extraHeaders = origin === undefined ? {} : { origin };
        const socket = client(server, { auth: { token: alice.token }, mode, extraHeaders });
        await connected(socket);
        await join(socket, conversation);
        socket.disconnect();
      });
    }

    for (const origin of UNLISTED) {
      test(`over ${mode} is closed to ${origin}`, async () => {
        const error = await refusal(client(server, { auth: { token: alice.token }, mode, extraHeaders: { origin } }));
        assert.equal(error.type, 'TransportError');
      });
    }
  }

  test('refuses with a status that is the caller’s fault', async () => {
    const origin = UNLISTED[0];
    const url = `${server.url}/socket.io/?EIO=4&transport=polling`;
    const reply = await fetch(url, { headers: { origin } });
    assert.ok(reply.status >= 400 && reply.status < 500, String(reply.status));
    assert.equal(reply.headers.get(ALLOW), null);
    assert.doesNotMatch(await reply.text(), /"sid"/);
    const upgrade = await refusedUpgrade(server, '/socket.io/?EIO=4&transport=websocket', { origin });
    assert.ok(upgrade >= 400 && upgrade < 500, String(upgrade));
  });

  test('and every later request allow the listed origin, with credentials', async () => {
    const origin = LISTED[1];
    const raw = await RawPolling.open(server, { origin });
    const posted = await raw.post(connectPacket(alice));
    const polled = await raw.get();
    assert.match(await polled.text(), /^40\{/);
    for (const reply of [posted, polled]) {
      assert.equal(reply.headers.get(ALLOW), origin);
      assert.equal(reply.headers.get(CREDENTIALS), 'true');
    }
    const before = await preflight(origin, '/socket.io/?EIO=4&transport=polling');
    assert.ok(before.status === 200 || before.status === 204, before.text);
    assert.equal(before.headers.get(ALLOW), origin);
  });

  test('guards a session against requests from another origin', async () => {
    const raw = await RawPolling.open(server, { origin: LISTED[0] });
    raw.headers = { origin: UNLISTED[0] };
    const posted = await raw.post(connectPacket(alice));
    assert.equal(posted.headers.get(ALLOW), null);
    const { sid } = raw.handshake;
    const query = `/socket.io/?EIO=4&transport=websocket&sid=${sid}`;
    const upgrade = await refusedUpgrade(server, query, { origin: UNLISTED[0] });
    assert.ok(upgrade === 'closed' || (upgrade >= 400 && upgrade < 500), String(upgrade));
  });
});

describe('with the origin *', () => {
  let open;
  before(async () => {
    open = await startServer({ env: { CORS_ORIGINS: '*' } });
  });
  after(() => open?.stop());

  test('every origin is allowed, without credentials', async () => {
    const reply = await call(open, 'GET', '/health', { headers: { origin: 'https://anybody.example' } });
    succeeded(reply);
    assert.equal(reply.headers.get(ALLOW), '*');
    assert.equal(reply.headers.get(CREDENTIALS), null);
  });

  test('every origin may open a socket', async () => {
    const raw = await RawPolling.open(open, { origin: 'https://anybody.example' });
    assert.match(raw.handshake.sid, /\S/);
    const socket = await RawWebSocket.open(open, { origin: 'https://anybody.example' });
    socket.drop();
  });
});
