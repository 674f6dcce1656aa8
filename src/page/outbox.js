// Messages on their way. Each has an id of its own before the first attempt and keeps it for all of them, so that it is
// stored once: by socket, by REST where no answer comes, again when the connection is back, and after a reload.

import { Refusal } from './api.js';

/** @import { Schemas } from '../../docs/api/chat.js' */
/** @import { Api } from './api.js' */
/** @import { Connection } from './connection.js' */
/** @typedef {{ id: string, conversation: string, text: string, afterSeq: number, sentAt: string, state: string, error?: string }} Item */

const PAUSE_MS = { first: 500, longest: 8_000 };
/** What the server says of a message that can be stored later, after signing in again where the token has ended. */
const PASSING = ['OVERLOADED', 'RATE_LIMITED', 'INTERNAL', 'UNAUTHENTICATED'];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Works without HTTPS, too, unlike `crypto.randomUUID`. */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Events: `change` when an item has come, gone or got another `state` (`sending`, `waiting`, `failed`); `stored` with
 * the message in `detail` when one is there for good.
 */
export class Outbox extends EventTarget {
  /** @type {Item[]} */
  #items;
  /** @type {Api} */
  #api;
  /** @type {Connection} */
  #connection;
  #key;
  #busy = new Set();
  #closed = false;

  constructor({ api, connection, me }) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.#key = `outbox ${me}`;
    this.#items = JSON.parse(sessionStorage.getItem(this.#key) ?? '[]');
    for (const conversation of new Set(this.#items.map((item) => item.conversation))) this.#deliver(conversation);
  }

  /** For whoever signs out: from now on nothing is sent or kept, whatever answers still come. */
  close() {
    this.#closed = true;
  }

  /** What is on its way to a conversation, in order. */
  of(conversation) {
    return this.#items.filter((item) => item.conversation === conversation);
  }

  /** `afterSeq`: the newest message that its writer has seen. */
  add(conversation, text, afterSeq) {
    const sentAt = new Date().toISOString();
    this.#items.push({ id: newId(), conversation, text, afterSeq, sentAt, state: 'sending' });
    this.#changed();
    this.#deliver(conversation);
  }

  retry(item) {
    this.#become(item, 'sending');
    this.#deliver(item.conversation);
  }

  discard(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.#changed();
  }

  /** One after the other, so that they are stored in the order written. */
  async #deliver(conversation) {
    if (this.#busy.has(conversation)) return;
    this.#busy.add(conversation);
    const next = () => !this.#closed && this.of(conversation).find((one) => one.state !== 'failed');
    for (let item; (item = next()); ) await this.#store(item);
    this.#busy.delete(conversation);
  }

  async #store(item) {
    for (let wait = PAUSE_MS.first; !this.#closed; wait = Math.min(wait * 2, PAUSE_MS.longest)) {
      try {
        const message = await this.#attempt(item);
        this.#items = this.#items.filter((other) => other !== item);
        this.dispatchEvent(new CustomEvent('stored', { detail: message }));
        return this.#changed();
      } catch (error) {
        if (error instanceof Refusal && !PASSING.includes(error.code)) {
          item.error = error.message;
          return this.#become(item, 'failed');
        }
        this.#become(item, 'waiting');
        const over = new AbortController();
        await Promise.race([pause(error.retryAfterMs ?? wait), this.#whenConnected(error, over.signal)]);
        over.abort();
      }
    }
  }

  async #attempt(item) {
    if (this.#connection.connected) {
      const message = { conversation_id: item.conversation, text: item.text, client_msg_id: item.id };
      try {
        return await this.#connection.ask('send_message', message);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        // No answer in time, or the connection is gone: it may be stored, or not.
      }
    }
    if (this.#closed) throw new Error('signed out');
    const stored = await this.#api.send(item.conversation, item.text, item.id);
    return { ...stored, sender_id: { _id: stored.sender_id } };
  }

  /** Ready when the connection comes back; never where the server has said to wait. */
  #whenConnected(error, signal) {
    return new Promise((resolve) => {
      if (error.retryAfterMs || this.#connection.connected) return;
      for (const name of ['session', 'recovered']) this.#connection.addEventListener(name, resolve, { signal });
    });
  }

  #become(item, state) {
    item.state = state;
    this.#changed();
  }

  #changed() {
    if (this.#closed) return;
    sessionStorage.setItem(this.#key, JSON.stringify(this.#items));
    this.dispatchEvent(new Event('change'));
  }
}
