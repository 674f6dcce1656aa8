// Tokens: those the server has to take, and every kind it has to refuse.
import { createHmac, generateKeyPairSync } from 'node:crypto';
import jwt from 'jsonwebtoken';

export const SECRET = 'the-black-box-tests-share-this-secret-with-the-server';

export const now = () => Math.floor(Date.now() / 1000);

/** A token as the platform issues it. */
export function mint(userId, { role = 'seller', ttl = 3600, secret = SECRET, algorithm = 'HS256', ...claims } = {}) {
  return jwt.sign({ userId, role, exp: now() + ttl, ...claims }, secret, { algorithm });
}

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token no library would sign: any header, any payload, HMAC-SHA-256 under `secret`, or no signature for `null`. */
export function forge(header, payload, secret = SECRET) {
  const signed = `${part(header)}.${part(payload)}`;
  const signature = secret === null ? '' : createHmac('sha256', secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

const HS256 = { alg: 'HS256', typ: 'JWT' };
const claims = (userId) => ({ userId, role: 'seller', iat: now(), exp: now() + 3600 });

const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

/** The payload says another user than the one the signature was made for. */
function tampered(userId) {
  const [header, , signature] = mint(userId).split('.');
  return [header, part(claims('f'.repeat(24))), signature].join('.');
}

/**
 * Every refused kind as [name, userId => token]. Made at the moment of use, because some of them turn on the clock.
 */
export const REFUSED_TOKENS = [
  ['garbage', () => 'garbage'],
  ['three empty parts', () => '..'],
  ['two parts of three', (id) => mint(id).split('.').slice(0, 2).join('.')],
  ['one character too many', (id) => `${mint(id)}A`],
  ['a payload that is not JSON', () => forge(HS256, 'not json')],
  ['a payload that is an array', () => forge(HS256, [1, 2])],
  ['a tampered payload', tampered],
  ['signed with another secret', (id) => mint(id, { secret: `${SECRET}!` })],
  ['expired by one second', (id) => mint(id, { ttl: -1 })],
  ['expiring this very second', (id) => mint(id, { ttl: 0 })],
  ['expired long ago', (id) => mint(id, { ttl: -1_000_000 })],
  ['not valid yet', (id) => mint(id, { nbf: now() + 60 })],
  ['without an expiry', (id) => forge(HS256, { userId: id, role: 'seller', iat: now() })],
  ['with an expiry that is text', (id) => forge(HS256, { ...claims(id), exp: String(now() + 3600) })],
  ['HS384 under the same secret', (id) => mint(id, { algorithm: 'HS384' })],
  ['HS512 under the same secret', (id) => mint(id, { algorithm: 'HS512' })],
  ['RS256', (id) => mint(id, { algorithm: 'RS256', secret: rsa.privateKey })],
  ['HS256 with a public key as the secret', (id) => forge(HS256, claims(id), rsa.publicKey)],
  ['an empty secret', (id) => forge(HS256, claims(id), '')],
  ['alg none, unsigned', (id) => forge({ alg: 'none', typ: 'JWT' }, claims(id), null)],
  ['alg nOnE, unsigned', (id) => forge({ alg: 'nOnE', typ: 'JWT' }, claims(id), null)],
  ['alg none, yet signed', (id) => forge({ alg: 'none', typ: 'JWT' }, claims(id))],
  ['alg HS256, unsigned', (id) => forge(HS256, claims(id), null)],
  ['no alg at all', (id) => forge({ typ: 'JWT' }, claims(id))],
  ['without userId', () => mint(undefined)],
  ['userId null', () => mint(null)],
  ['userId empty', () => mint('')],
  ['userId a number', () => mint(123456789012)],
  ['userId an object', (id) => mint({ $oid: id })],
  ['userId an array', (id) => mint([id])],
  ['userId of 23 characters', (id) => mint(id.slice(1))],
  ['userId of 25 characters', (id) => mint(`${id}0`)],
  ['userId not hexadecimal', (id) => mint(`${id.slice(1)}g`)],
  ['userId with a blank around it', (id) => mint(` ${id.slice(2)} `)],
];
