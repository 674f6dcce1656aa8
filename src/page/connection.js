// The connection to the server: one Socket.IO session that outlives lost networks, restarts of the server and tokens.

import { Refusal } from './api.js';
import { io } from './vendor/socket.io.esm.min.js';

/** @import { Socket } from 'socket.io-client' */
/** @import { Calls, ClientToServerEvents, ServerToClientEvents } from '../../docs/api/chat.js' */

const RECONNECT_MS = { delay: 500, longest: 5_000, randomness: 0.5 };

/**
 * Events: `change` when `state` is another, `session` when a new session has begun, so that rooms must be joined again,
 * `recovered` when the session before goes on, `ended` when there is no token that holds any more.
 *
 * `state`: `connecting`, `connected`, `reconnecting`, or `offline` where the device itself has no network.
 */
export class Connection extends EventTarget {
  state = 'connecting';
  #tokens;

  constructor(tokens) {
    super();
    this.#tokens = tokens;
    const { delay, longest, randomness } = RECONNECT_MS;
    /** @type {Socket<ServerToClientEvents, ClientToServerEvents>} */
    this.socket = io({
      auth: (send) => this.#authenticate(send),
      autoConnect: false,
      reconnectionDelay: delay,
      reconnectionDelayMax: longest,
      randomizationFactor: randomness,
    });
    this.#follow();
    this.#comeBackWhenTold();
    this.#outliveTokens();
  }

  open() {
    this.#become(navigator.onLine ? 'connecting' : 'offline');
    this.socket.connect();
  }

  /** Ends the session: it is not kept for a return. */
  close() {
    this.socket.disconnect();
  }

  get connected() {
    return this.socket.connected;
  }

  /**
   * Sends an event and waits for its answer. Rejects where none comes, and where the server refuses.
   * @template {keyof Calls} Event
   * @param {Event} event
   * @param {Calls[Event]['arguments']} args
   * @returns {Promise<Calls[Event]['data']>}
   */
  async ask(event, ...args) {
    /** @type {Socket} */
    const socket = this.socket;
    const answer = await socket.timeout(5_000).emitWithAck(event, ...args);
    if (!answer.success) throw new Refusal(answer);
    return answer.data;
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('change'));
  }

  async #authenticate(send) {
    try {
      const token = await this.#tokens();
      send(token ? { token, recover: true } : {});
    } catch {
      // Not known: a connection that is lost is tried again, after a pause.
      this.socket.io.engine.close();
    }
  }

  #follow() {
    const lost = () => this.#become(navigator.onLine ? 'reconnecting' : 'offline');
    this.socket.on('connect', () => {
      this.#become('connected');
      this.dispatchEvent(new Event(this.socket.recovered ? 'recovered' : 'session'));
    });
    this.socket.on('disconnect', lost);
    this.socket.io.on('reconnect_attempt', () => !this.connected && lost());
    this.socket.on('connect_error', (error) => {
      if (error.data?.code === 'UNAUTHENTICATED') this.dispatchEvent(new Event('ended'));
      // After a refusal by the server, unlike after a lost network, the client does not try again by itself.
      else if (!this.socket.active) setTimeout(() => this.socket.connect(), RECONNECT_MS.longest);
    });
    for (const name of ['online', 'offline']) addEventListener(name, () => !this.connected && lost());
  }

  /** Not in the same moment as everybody else. */
  #comeBackWhenTold() {
    const manager = this.socket.io;
    const wait = (delay, longest, randomness) => {
      manager.reconnectionDelay(delay);
      manager.reconnectionDelayMax(longest);
      manager.randomizationFactor(randomness);
    };
    const { delay, longest, randomness } = RECONNECT_MS;
    this.socket.on('server_draining', ({ reconnect_after_ms: told }) => wait(told, Math.max(told, longest), 0));
    this.socket.on('connect', () => wait(delay, longest, randomness));
  }

  #outliveTokens() {
    this.socket.on('token_expiring', async () => {
      const token = await this.#tokens().catch(() => null);
      if (token) this.socket.emit('refresh_token', { token });
    });
  }
}
