// Who may call the REST routes (contract, section 1).
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { call, refused, succeeded } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { REFUSED_TOKENS, forge, mint, now } from './support/tokens.js';
import { adminToken, newId, newPair } from './support/world.js';

const server = await serverForFile();

let alice;
let bob;
let conversation;
before(async () => {
  ({ alice, bob, conversation } = await newPair(server));
});

const list = (options) => call(server, 'GET', '/api/chat/conversations', options);
const withHeader = (authorization) => list({ headers: { authorization } });

describe('every route of the chat asks for a token', () => {
  const routes = [
    ['GET', '/conversations', 200],
    ['POST', '/conversations', 200, () => ({ recipient_id: bob.id })],
    ['GET', '/conversations/:id/messages', 200],
    ['POST', '/conversations/:id/messages', 201, () => ({ text: 'hello' })],
    ['GET', '/unread-count', 200],
  ];
  for (const [method, route, success, body] of routes) {
    test(`${method} ${route}`, async () => {
      const path = `/api/chat${route.replace(':id', conversation)}`;
      const send = (token) => call(server, method, path, { token, body: body?.() });
      refused(await send(undefined), 401, 'UNAUTHENTICATED', 'No token provided');
      refused(await send('garbage'), 401, 'UNAUTHENTICATED', 'Invalid or expired token');
      refused(await send(mint(alice.id, { ttl: -1 })), 401, 'UNAUTHENTICATED', 'Invalid or expired token');
      succeeded(await send(alice.token), success);
    });
  }
});

describe('a header that is not Bearer counts as no token', () => {
  for (const scheme of ['Basic', 'Token', 'JWT', 'Bear']) {
    test(scheme, async () => {
      refused(await withHeader(`${scheme} ${alice.token}`), 401, 'UNAUTHENTICATED', 'No token provided');
    });
  }

  test('a scheme has no case', async () => {
    for (const scheme of ['bearer', 'BEARER']) succeeded(await withHeader(`${scheme} ${alice.token}`));
  });

  test('the bare token, and the bare word', async () => {
    refused(await withHeader(alice.token), 401, 'UNAUTHENTICATED', 'No token provided');
    refused(await withHeader('Bearer'), 401, 'UNAUTHENTICATED');
    succeeded(await withHeader(`Bearer ${alice.token}`));
  });
});

describe('a token is refused that is', () => {
  for (const [name, token] of REFUSED_TOKENS) {
    test(name, async () => {
      const reply = await list({ token: token(alice.id) });
      refused(reply, 401, 'UNAUTHENTICATED', 'Invalid or expired token');
    });
  }
});

describe('a token is taken that', () => {
  const taken = [
    ['is about to expire', (id) => mint(id, { ttl: 30 })],
    ['has claims nobody knows', (id) => mint(id, { email: 'alice@example.org', nested: { a: [1] } })],
    ['is of an admin', (id) => mint(id, { role: 'admin' })],
    ['became valid a second ago', (id) => mint(id, { nbf: now() - 1 })],
    ['has no typ in its header', (id) => forge({ alg: 'HS256' }, { userId: id, role: 'seller', exp: now() + 60 })],
  ];
  for (const [name, token] of taken) {
    test(name, async () => succeeded(await list({ token: token(alice.id) })));
  }
});

test('a token is taken from the header and from nowhere else', async () => {
  const elsewhere = await call(server, 'GET', `/api/chat/conversations?token=${alice.token}`, {
    headers: { 'x-access-token': alice.token, cookie: `token=${alice.token}` },
  });
  refused(elsewhere, 401, 'UNAUTHENTICATED', 'No token provided');
});

test('header bytes outside ASCII are refused, not fatal', async () => {
  refused(await withHeader('Bearer \u00e9\u00ff'), 401, 'UNAUTHENTICATED');
  succeeded(await list({ token: alice.token }));
});

describe('the admin routes are for admins', () => {
  const put = (id, token, body = { full_name: 'New Name' }) =>
    call(server, 'PUT', `/api/chat/users/${id}`, { token, body });

  test('users are put by an admin only', async () => {
    const id = newId();
    refused(await put(id, undefined), 401, 'UNAUTHENTICATED', 'No token provided');
    assert.equal((await put(id, alice.token)).status, 403);
    assert.equal((await put(id, mint(id, { role: 'ADMIN' }))).body?.success, false, 'the role is compared exactly');
    const data = succeeded(await put(id, adminToken()));
    assert.deepEqual(data, { _id: id, full_name: 'New Name', profile_picture_url: null });
  });

  test('a malformed user id is refused', async () => {
    for (const id of ['abc', newId().slice(1), `${newId().slice(1)}g`]) {
      refused(await put(id, adminToken()), 400, 'INVALID_ARGUMENT');
    }
  });

  test('figures are for an admin only', async () => {
    const figures = (token) => call(server, 'GET', '/api/chat/admin/stats', { token });
    refused(await figures(undefined), 401, 'UNAUTHENTICATED', 'No token provided');
    assert.equal((await figures(alice.token)).status, 403);
    const data = succeeded(await figures(adminToken()));
    for (const name of ['connections', 'sessions', 'rooms', 'hub_members']) {
      assert.equal(typeof data[name], 'number', name);
    }
  });
});
