// Calls by REST, with a token that holds.

/** @import { Schemas, paths } from '../../docs/api/chat.js' */
/** @typedef {paths['/api/chat/conversations/{id}/messages']['get']['responses'][200]['content']['application/json']} Page */

const ANSWER_MS = 10_000;
/** A token that ends within this time is not used any more: more than the minute before which the server warns. */
const TOKEN_MARGIN_MS = 90_000;
/** Messages to be fetched at once. */
const PAGE = { before: 40, after: 100 };
/** Before the newest message there can be. */
const END = Number.MAX_SAFE_INTEGER;

/**
 * What a token says of itself. The server checks it, the page only reads it.
 * @returns {{ userId?: string, exp?: number }}
 */
export function claimsOf(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0))));
  } catch {
    return {};
  }
}

/** @returns {Promise<any>} */
async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(ANSWER_MS) });
  const reply = await answer.json();
  if (!reply.success) throw new Refusal(reply);
  return reply;
}

/** What the server has refused, by REST or by socket; without an answer there is no such thing. */
export class Refusal extends Error {
  /** @param {Schemas['Failure']} failure */
  constructor({ message, code, retry_after_ms: retryAfterMs }) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What to say of a call that has failed. */
export const reasonOf = (error) => (error instanceof Refusal ? `${error.message}.` : 'The server does not answer.');

/**
 * The demo's users, each with a token for a few minutes.
 * @returns {Promise<(Schemas['Profile'] & { token: string })[]>}
 */
export const demoUsers = async () => (await call('/demo/users')).data;

/** A demo user's tokens: another one whenever the last is about to end. */
export function demoTokens(userId) {
  let token;
  return async () => {
    const ends = (claimsOf(token ?? '').exp ?? 0) * 1000;
    if (Date.now() + TOKEN_MARGIN_MS < ends) return token;
    token = (await demoUsers()).find((user) => user._id === userId)?.token ?? null;
    return token;
  };
}

/** The calls of one user. */
export class Api {
  #tokens;

  constructor(tokens) {
    this.#tokens = tokens;
  }

  async #call(path, options = {}) {
    const headers = { ...options.headers, authorization: `Bearer ${await this.#tokens()}` };
    return call(`/api/chat/${path}`, { ...options, headers });
  }

  /** @returns {Promise<Schemas['ListedConversation'][]>} */
  async conversations() {
    return (await this.#call('conversations')).data;
  }

  /**
   * The last messages before a number. Marks nothing as read: that is done for what has been on the screen.
   * @returns {Promise<Page>}
   */
  before(conversation, seq = END) {
    return this.#call(`conversations/${conversation}/messages?before_seq=${seq}&limit=${PAGE.before}&mark_read=false`);
  }

  /**
   * The first messages behind a number.
   * @returns {Promise<Page>}
   */
  after(conversation, seq) {
    return this.#call(`conversations/${conversation}/messages?after_seq=${seq}&limit=${PAGE.after}&mark_read=false`);
  }

  /**
   * Stores a message once, however often it is called with this id.
   * @returns {Promise<Schemas['SentMessage']>}
   */
  async send(conversation, text, clientMsgId) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': clientMsgId };
    const body = JSON.stringify({ text });
    return (await this.#call(`conversations/${conversation}/messages`, { method: 'POST', headers, body })).data;
  }

  /**
   * The conversation with a user, made where there is none.
   * @returns {Promise<Schemas['Conversation']>}
   */
  async begin(user) {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ recipient_id: user });
    return (await this.#call('conversations', { method: 'POST', headers, body })).data;
  }

  /** Deletes a message of this user's. */
  async remove(message) {
    await this.#call(`messages/${message}`, { method: 'DELETE' });
  }
}
