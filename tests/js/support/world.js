// Users and conversations for a test to play in, made the way the platform makes them: by REST.
import { randomBytes } from 'node:crypto';
import { call, succeeded } from './rest.js';
import { mint } from './tokens.js';

export const newId = () => randomBytes(12).toString('hex');

/** What looks like an id, and is none. */
export const malformedIds = (id) => ['x', id.slice(1), `${id}0`, `${id.slice(1)}g`, `${id} `, '🐴'.repeat(6)];

const ADMIN_TOKEN = mint('ad'.repeat(12), { role: 'admin' });

export const adminToken = () => ADMIN_TOKEN;

let people = 0;

/** A user known to the server, with a token. `picture: null` leaves the profile picture unset. */
export async function newUser(server, { picture } = {}) {
  const id = newId();
  people += 1;
  const body = { full_name: `Person ${people} Ünïcode` };
  if (picture !== null) body.profile_picture_url = picture ?? `https://cdn.example/${id}.jpg`;
  succeeded(await call(server, 'PUT', `/api/chat/users/${id}`, { token: adminToken(), body }));
  return { id, token: mint(id), profile_picture_url: null, ...body };
}

/** The id of the conversation of two users. */
export async function newConversation(server, from, to, horse) {
  const body = { recipient_id: to.id, ...(horse && { horse_id: horse }) };
  return succeeded(await call(server, 'POST', '/api/chat/conversations', { token: from.token, body }))._id;
}

/** Alice and Bob (who has no picture), and their conversation. */
export async function newPair(server) {
  const [alice, bob] = await Promise.all([newUser(server), newUser(server, { picture: null })]);
  return { alice, bob, conversation: await newConversation(server, alice, bob) };
}

/** Sends by REST; the stored message. */
export async function say(server, user, conversation, text) {
  const path = `/api/chat/conversations/${conversation}/messages`;
  return succeeded(await call(server, 'POST', path, { token: user.token, body: { text } }), 201);
}

/** Reads by REST, which marks what it covers as read. */
export async function history(server, user, conversation, query = '') {
  const path = `/api/chat/conversations/${conversation}/messages${query}`;
  return succeeded(await call(server, 'GET', path, { token: user.token }));
}

/** The whole conversation in order, by walking all its pages. */
export async function wholeHistory(server, user, conversation) {
  const pages = [];
  for (let page = 1; ; page += 1) {
    const messages = await history(server, user, conversation, `?limit=100&page=${page}`);
    if (messages.length === 0) return pages.reverse().flat();
    pages.push(messages);
  }
}

export async function unreadCount(server, user) {
  const reply = await call(server, 'GET', '/api/chat/unread-count', { token: user.token });
  succeeded(reply);
  return reply.body.unread_count;
}

export async function conversations(server, user) {
  return succeeded(await call(server, 'GET', '/api/chat/conversations', { token: user.token }));
}

export async function stats(server) {
  return succeeded(await call(server, 'GET', '/api/chat/admin/stats', { token: adminToken() }));
}
