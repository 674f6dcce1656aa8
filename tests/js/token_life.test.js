// The life of a token: expiry, refresh, rotation of keys, revocation (contract, section 5).
import { after, afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { MODES, ask, client, closeClients, connect, connected, disconnected, inbox, join, refusal, send } from './support/clients.js';
import { assertFailure, call, refused, succeeded } from './support/rest.js';
import { serverForFile, startServer } from './support/server.js';
import { TIMESTAMP } from './support/shapes.js';
import { snippets } from './support/snippet.js';
import { forge, mint, now } from './support/tokens.js';
import { eventually, within } from './support/wait.js';
import { adminToken, conversations, newId, newPair, newUser, say, stats } from './support/world.js';

const server = await serverForFile();
const { stayLoggedIn } = await snippets('tokens.md');
afterEach(() => closeClients());

const isoTime = (seconds) => new Date(seconds * 1000).toISOString();

async function shortLived(user, ttl, mode = 'websocket', auth = {}) {
  const exp = now() + ttl;
  const socket = client(server, { auth: { token: mint(user.id, { exp }), ...auth }, mode });
  const expiring = inbox(socket, 'token_expiring');
  const expired = inbox(socket, 'auth_expired');
  await connected(socket);
  return { socket, exp, expiring, expired };
}

describe('a session', () => {
  for (const mode of Object.keys(MODES)) {
    test(`over ${mode} ends with its token, and is warned of it once`, async () => {
      const user = await newUser(server);
      const { socket, exp, expiring, expired } = await shortLived(user, 8, mode);
      assert.deepEqual(await expiring.count(1), [{ expires_at: isoTime(exp) }]);
      const ack = await ask(socket, 'refresh_token', { token: mint(user.id, { exp }) });
      assert.deepEqual(ack, { success: true, data: { expires_at: isoTime(exp) } });
      const gone = disconnected(socket);
      assert.deepEqual(await expired.count(1), [{ expires_at: isoTime(exp) }]);
      await gone;
      assert.ok(Date.now() >= exp * 1000 && Date.now() < exp * 1000 + 5_000);
      assert.equal(expiring.all.length, 1);
    });
  }

  test('is warned one minute before, and not earlier', async () => {
    const { expiring, exp } = await shortLived(await newUser(server), 63);
    assert.deepEqual(await expiring.count(1), [{ expires_at: isoTime(exp) }]);
    const left = exp * 1000 - Date.now();
    assert.ok(left > 55_000 && left <= 60_000, `${left} ms before`);
  });

  test('goes on with another token of its user', async () => {
    const user = await newUser(server);
    const { socket, expired } = await shortLived(user, 8);
    const exp = now() + 13;
    const ack = await ask(socket, 'refresh_token', { token: mint(user.id, { exp }) });
    assert.deepEqual(ack, { success: true, data: { expires_at: isoTime(exp) } });
    await expired.count(1);
    assert.ok(Date.now() >= exp * 1000, 'not with the first one');
  });

  test('does not go on with another user’s token, or with one that does not hold', async () => {
    const user = await newUser(server);
    const { socket, expired, exp } = await shortLived(user, 8);
    const refresh = (token) => ask(socket, 'refresh_token', { token });
    assertFailure(await refresh(mint(newId())), 'UNAUTHENTICATED', "The token is another user's");
    for (const token of ['garbage', mint(user.id, { ttl: -1 }), mint(user.id, { secret: 'another' })]) {
      assertFailure(await refresh(token), 'UNAUTHENTICATED', 'Invalid or expired token');
    }
    for (const token of [undefined, null, 7, {}]) {
      assertFailure(await refresh(token), 'INVALID_ARGUMENT', 'token must be a string');
    }
    assertFailure(await ask(socket, 'refresh_token'), 'INVALID_ARGUMENT', 'the argument must be an object');
    assert.deepEqual(await expired.count(1), [{ expires_at: isoTime(exp) }]);
  });

  test('that outlives its connection is recovered with a new token', async () => {
    const pair = await newPair(server);
    const { socket, expired } = await shortLived(pair.bob, 8, 'websocket', { recover: true });
    socket.auth = { token: pair.bob.token, recover: true };
    const heard = inbox(socket, 'new_message');
    await join(socket, pair.conversation);
    const gone = disconnected(socket);
    await expired.count(1);
    await gone;
    await say(server, pair.alice, pair.conversation, 'meanwhile');
    const back = once(socket, 'connect');
    socket.connect();
    await within(back, 'connect');
    assert.equal(socket.recovered, true);
    assert.equal((await heard.count(1))[0].text, 'meanwhile');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.ok(socket.connected, 'the old token does not count any more');
  });

  test('as the documented client lives through several tokens', async () => {
    const user = await newUser(server);
    let fetched = 0;
    let isLoggedIn = true;
    const fetchToken = async () => {
      if (!isLoggedIn) return null;
      fetched += 1;
      return mint(user.id, { ttl: 10 });
    };
    const out = [];
    const options = { forceNew: true, transports: ['websocket'] };
    const socket = stayLoggedIn(server.url, fetchToken, (error) => out.push(error.message), options);
    try {
      await connected(socket);
      await eventually(() => fetched >= 4, 'several tokens');
      assert.ok(socket.connected);
      isLoggedIn = false;
      await eventually(() => out.length > 0, 'the end', { limit: 40_000 });
      assert.equal(out[0], 'Authentication error: no token');
    } finally {
      socket.disconnect();
    }
  });
});

test('the documented client is not logged out when it cannot ask for a token', async () => {
  const user = await newUser(server);
  let asked = 0;
  let isReachable = false;
  const fetchToken = async () => {
    asked += 1;
    if (!isReachable) throw new TypeError('fetch failed');
    return mint(user.id, { ttl: 8 });
  };
  const out = [];
  const options = { forceNew: true, transports: ['websocket'] };
  const socket = stayLoggedIn(server.url, fetchToken, (error) => out.push(error.message), options);
  const connects = inbox(socket, 'connect');
  try {
    await eventually(() => asked >= 2, 'another question before the first connection');
    isReachable = true;
    await connects.count(1);
    isReachable = false;
    const gone = disconnected(socket);
    const askedBefore = asked;
    await gone;
    await eventually(() => asked >= askedBefore + 2, 'more questions when the token has expired');
    isReachable = true;
    await connects.count(2);
    assert.deepEqual(out, []);
  } finally {
    socket.disconnect();
  }
});

describe('revocation', () => {
  const revoke = (id, token = adminToken(), at = server) =>
    call(at, 'POST', '/api/chat/admin/revoke', { token, body: { userId: id } });

  test('closes the user’s sessions at once, and refuses the tokens of before', async () => {
    const pair = await newPair(server);
    const old = { ...pair.bob };
    const sockets = [];
    for (const mode of Object.keys(MODES)) sockets.push(await connect(server, old, mode));
    const recoverable = client(server, { auth: { token: old.token, recover: true } });
    await connected(recoverable);
    const other = await connect(server, pair.alice);
    const gone = [...sockets, recoverable].map((socket) => disconnected(socket));
    const { userId, revoked_at: at } = succeeded(await revoke(old.id));
    assert.equal(userId, old.id);
    assert.match(at, TIMESTAMP);
    await Promise.all(gone);
    assert.ok(other.connected);
    const rest = await call(server, 'GET', '/api/chat/conversations', { token: old.token });
    refused(rest, 401, 'UNAUTHENTICATED', 'Invalid or expired token');
    const auth = { token: old.token };
    assert.equal((await refusal(client(server, { auth }))).message, 'Authentication error: invalid token');
    assertFailure(
      await ask(other, 'refresh_token', { token: old.token }),
      'UNAUTHENTICATED',
      'Invalid or expired token',
    );
    recoverable.auth = { token: mint(old.id, { iat: now() + 2 }), recover: true };
    const back = once(recoverable, 'connect');
    recoverable.connect();
    await within(back, 'connect');
    assert.equal(recoverable.recovered, false);
  });

  test('leaves a token of after it alone', async () => {
    const user = await newUser(server);
    succeeded(await revoke(user.id));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const token = mint(user.id);
    await connect(server, { token });
    assert.deepEqual(await conversations(server, { token }), []);
    const undated = forge({ alg: 'HS256', typ: 'JWT' }, { userId: user.id, exp: now() + 60 });
    assert.equal((await call(server, 'GET', '/api/chat/conversations', { token: undated })).status, 401);
  });

  test('ends a token of the same second, whatever its part of one', async () => {
    const user = await newUser(server);
    // So that both are in one.
    await new Promise((resolve) => setTimeout(resolve, 1_050 - (Date.now() % 1_000)));
    const claims = { userId: user.id, role: 'seller', iat: now() + 0.6, exp: now() + 600 };
    const token = forge({ alg: 'HS256', typ: 'JWT' }, claims);
    assert.deepEqual(await conversations(server, { token }), []);
    succeeded(await revoke(user.id));
    assert.equal((await call(server, 'GET', '/api/chat/conversations', { token })).status, 401);
  });

  test('is for admins, and for ids', async () => {
    const user = await newUser(server);
    refused(await revoke(user.id, user.token), 403, 'FORBIDDEN', 'Admin role required');
    for (const id of ['x', '', 7, null, undefined]) refused(await revoke(id), 400, 'INVALID_ARGUMENT', 'Invalid user ID');
    assert.deepEqual(await conversations(server, user), []);
  });

  test('while clients connect lets none through', async () => {
    const user = await newUser(server);
    const attempts = Array.from({ length: 60 }, (_, n) =>
      client(server, { auth: { token: user.token, recover: n % 2 === 0 } }));
    const lost = attempts.map((socket) =>
      within(Promise.race([once(socket, 'disconnect'), once(socket, 'connect_error')]), 'end'));
    await once(attempts[0], 'connect');
    succeeded(await revoke(user.id));
    await Promise.all(lost);
    assert.ok(attempts.every((socket) => !socket.connected));
  });

  test('holds after a restart', async () => {
    const own = await startServer();
    let next;
    try {
      const user = await newUser(own);
      succeeded(await revoke(user.id, adminToken(), own));
      await own.kill();
      next = await startServer({ dir: own.dir });
      assert.equal((await call(next, 'GET', '/api/chat/conversations', { token: user.token })).status, 401);
      assert.equal((await stats(next)).sessions, 0);
    } finally {
      await next?.stop();
      await own.stop();
    }
  });
});

describe('public keys', () => {
  const folder = mkdtempSync(path(tmpdir(), 'ht-keys-'));
  after(() => rmSync(folder, { recursive: true }));
  const file = (name, text) => {
    writeFileSync(path(folder, name), text);
    return path(folder, name);
  };
  const pair = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519', {}] };
  const newKey = (algorithm) => ({ algorithm, ...generateKeyPairSync(...pair[algorithm]) });
  const pem = (key) => key.publicKey.export({ type: 'spki', format: 'pem' });
  const jwk = (key, kid) => ({ ...key.publicKey.export({ format: 'jwk' }), kid, alg: key.algorithm, use: 'sig' });
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

  /** A token by a private key; the library that the others are made with knows no EdDSA. */
  function signed(key, userId, { kid, alg = key.algorithm } = {}) {
    const header = { alg, typ: 'JWT', ...(kid && { kid }) };
    const text = `${part(header)}.${part({ userId, role: 'admin', iat: now(), exp: now() + 600 })}`;
    const hash = key.algorithm === 'EdDSA' ? null : 'sha256';
    const signature = sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  const holds = async (at, token) => {
    const { status } = await call(at, 'GET', '/api/chat/conversations', { token });
    assert.ok([200, 401].includes(status));
    return status === 200;
  };

  test('of every kind hold, each for its own algorithm, beside a secret', async () => {
    const keys = Object.keys(pair).map(newKey);
    const files = keys.map((key) => file(`${key.algorithm}.pem`, pem(key)));
    const own = await startServer({ env: { JWT_KEYS: files.join(', ') } });
    try {
      const id = newId();
      for (const key of keys) {
        assert.ok(await holds(own, signed(key, id)), key.algorithm);
        assert.ok(await holds(own, signed(key, id, { kid: 'any' })), 'keys without a name take every name');
        assert.ok(!(await holds(own, signed(newKey(key.algorithm), id))), `another ${key.algorithm}`);
        for (const alg of ['none', 'HS256', ...Object.keys(pair).filter((other) => other !== key.algorithm)]) {
          assert.ok(!(await holds(own, signed(key, id, { alg }))), `${key.algorithm} as ${alg}`);
        }
        const forged = forge({ alg: 'HS256', typ: 'JWT' }, { userId: id, exp: now() + 60 }, pem(key));
        assert.ok(!(await holds(own, forged)), 'a public key is no secret');
      }
      assert.ok(await holds(own, mint(id)), 'the secret');
      const socket = client(own, { auth: { token: signed(keys[0], id) } });
      await connected(socket);
    } finally {
      await own.stop();
    }
  });

  test('of a set are told apart by their names, and replaced on SIGHUP without ending a session', async () => {
    const [old, young] = [newKey('ES256'), newKey('ES256')];
    const name = file('set.json', JSON.stringify({ keys: [jwk(old, 'old')] }));
    const own = await startServer({ env: { JWT_KEYS: name, JWT_SECRET: '' } });
    try {
      const admin = { id: newId(), token: signed(old, newId(), { kid: 'old' }) };
      const user = { id: newId(), token: signed(old, newId(), { kid: 'old' }) };
      assert.ok(await holds(own, signed(old, admin.id)), 'a token without a name');
      assert.ok(!(await holds(own, signed(old, admin.id, { kid: 'young' }))));
      assert.ok(!(await holds(own, mint(admin.id))), 'no secret is set');
      const socket = client(own, { auth: { token: user.token } });
      await connected(socket);
      const reload = async (text, says) => {
        const before = own.log.length;
        file('set.json', text);
        own.signal('SIGHUP');
        await eventually(() => own.log.slice(before).some((line) => line.includes(says)), says);
      };
      await reload(JSON.stringify({ keys: [jwk(old, 'old'), jwk(young, 'young')] }), 'keys as they are now');
      assert.ok(await holds(own, signed(young, user.id, { kid: 'young' })));
      assert.ok(await holds(own, user.token));
      assert.ok(!(await holds(own, signed(young, user.id, { kid: 'old' }))));
      for (const bad of ['', '{}', '{"keys":[]}', 'nonsense', JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] })]) {
        await reload(bad, 'same keys as before');
      }
      assert.ok(await holds(own, user.token));
      await reload(JSON.stringify({ keys: [jwk(young, 'young')] }), 'keys as they are now');
      assert.ok(!(await holds(own, user.token)));
      assert.equal((await ask(socket, 'leave_conversation', newId())).success, true, 'the session goes on');
      assert.equal((await refusal(client(own, { auth: { token: user.token } }))).message, 'Authentication error: invalid token');
    } finally {
      await own.stop();
    }
  });

  test('of a PEM file hold all, and one is added to it on SIGHUP', async () => {
    const [old, young] = [newKey('ES256'), newKey('EdDSA')];
    const name = file('rotated.pem', pem(old));
    const own = await startServer({ env: { JWT_KEYS: name, JWT_SECRET: '' } });
    try {
      const says = (keys, text) => own.log.some((line) => line.includes(`"keys":${keys}`) && line.includes(text));
      await eventually(() => says(1, 'tokens are checked with these keys'), () => own.log.join('\n'));
      const id = newId();
      assert.ok(!(await holds(own, signed(young, id))));
      file('rotated.pem', pem(old) + pem(young));
      own.signal('SIGHUP');
      await eventually(() => says(2, 'keys as they are now'), 'two keys');
      for (const key of [old, young]) assert.ok(await holds(own, signed(key, id)), key.algorithm);
    } finally {
      await own.stop();
    }
  });

  test('that cannot be read are named, and nothing starts', async () => {
    const bad = [
      [path(folder, 'missing.pem'), 'cannot read the keys in'],
      [file('bad.pem', 'nonsense'), 'neither a public key in PEM'],
      [file('private.pem', newKey('ES256').privateKey.export({ type: 'sec1', format: 'pem' })), 'has a private key'],
      [file('half.pem', `${pem(newKey('ES256'))}-----BEGIN PUBLIC KEY-----\n`), 'block 2 of its PEM is no public key'],
      [file('empty.json', '{"keys":[]}'), 'has no key for signatures'],
      [file('oct.json', JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'mine' }] })), 'the key mine is for none of'],
    ];
    for (const [name, says] of bad) {
      await assert.rejects(startServer({ env: { JWT_KEYS: name } }), (error) => {
        assert.ok(error.message.includes(says) && error.message.includes(name), error.message);
        return true;
      });
    }
  });
});
