// The connection to the server: what it tells each second, and calls that it answers. It comes back by itself.

import { whenStill } from './live.js';

const AGAIN_MS = [500, 1_000, 2_000, 5_000];

/**
 * Tells `state`, `connect`, `stats`, `way` as events with `detail`, `refused` where the token is not taken, and `acted` after
 * what the operator did.
 */
export class Feed extends EventTarget {
  #token;
  #socket;
  #waiting = new Map();
  #last = 0;
  #attempts = 0;
  #ended = false;
  /** Whether the server tells. */
  isConnected = false;

  constructor(token) {
    super();
    this.#token = token;
    this.#open();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #open() {
    const url = new URL('/api/chat/admin/ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#tell('state', this.#attempts ? 'Reconnecting…' : 'Connecting…');
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener('open', () => this.#say('connect', { token: this.#token }));
    socket.addEventListener('message', ({ data }) => whenStill(() => this.#heard(JSON.parse(data))));
    socket.addEventListener('close', ({ reason }) => whenStill(() => this.#closed(reason)));
  }

  #heard({ event, data, id }) {
    if (event === 'ack') {
      this.#waiting.get(id)?.(data);
      this.#waiting.delete(id);
    } else if (event === 'connect_error') {
      this.end();
      this.#tell('refused', data.message);
    } else {
      if (event === 'connect') {
        this.#attempts = 0;
        this.isConnected = true;
        this.#tell('state', 'Connected');
      }
      this.#tell(event, data);
    }
  }

  #closed(reason) {
    this.isConnected = false;
    const failure = { success: false, message: 'The connection is lost' };
    for (const answer of this.#waiting.values()) answer(failure);
    this.#waiting.clear();
    if (this.#ended) return;
    if (reason.startsWith('the token')) {
      this.end();
      this.#tell('refused', 'The token does not hold any more');
      return;
    }
    const pause = AGAIN_MS[Math.min(this.#attempts, AGAIN_MS.length - 1)];
    this.#attempts += 1;
    this.#tell('state', 'The server does not answer. Trying again…');
    setTimeout(() => this.#ended || this.#open(), pause * (0.5 + Math.random()));
  }

  #say(event, data, id) {
    this.#socket.send(JSON.stringify({ event, data, id }));
  }

  /** What the server answers; throws where it refuses, or is not there. */
  async call(event, data = {}) {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error('The connection is lost');
    this.#last += 1;
    const id = this.#last;
    this.#say(event, data, id);
    const answer = await new Promise((resolve) => this.#waiting.set(id, resolve));
    if (!answer.success) throw new Error(answer.message);
    return answer.data;
  }

  /** For good. */
  end() {
    this.#ended = true;
    this.#socket.close();
  }
}
