import { setTimeout as sleep } from 'node:timers/promises';

import { io } from 'socket.io-client';

/** How long an answer may take before its outcome counts as unknown; longer than the longest outage. */
const ANSWER_MS = 50_000;
const IN_FLIGHT = 3;
/** Between two sends: enough load for a kill to hit something, and room for the clients on the same machine. */
const PAUSE_MS = 40;
const RETRY_MS = 50;

/** A stock Socket.IO client that joins its conversation on every connection and sends, several in flight. */
export class SocketClient {
  #socket;
  #history;
  #connection = 0;
  #joined = 0;
  #sending = true;
  #loops = new Set();

  constructor({ url, person, conversation, transports, name, history }) {
    Object.assign(this, { name, conversation, user: person.id, acks: 0, sights: 0, newest: 0 });
    this.#history = history;
    this.#socket = io(url, {
      auth: { token: person.token },
      transports,
      forceNew: true,
      reconnectionDelay: RETRY_MS,
      reconnectionDelayMax: 8 * RETRY_MS,
    });
    this.#socket.on('connect', () => this.#begin());
    this.#socket.on('new_message', (message) => this.#see(message));
  }

  get transport() {
    return this.#socket.io.engine?.transport.name;
  }

  get joined() {
    return this.#isCurrent(this.#joined);
  }

  /** No further sends; those under way settle. */
  async finish() {
    this.#sending = false;
    while (this.#loops.size > 0) await Promise.all(this.#loops);
  }

  close() {
    this.#sending = false;
    this.#socket.disconnect();
  }

  #isCurrent(connection) {
    return this.#socket.connected && connection === this.#connection;
  }

  #see(message) {
    this.#history.saw(this.name, this.#connection, message);
    this.sights += 1;
    this.newest = message.seq;
  }

  async #begin() {
    this.#connection += 1;
    const connection = this.#connection;
    while (this.#isCurrent(connection) && !(await this.#join())) await sleep(RETRY_MS);
    if (!this.#isCurrent(connection)) return;
    this.#joined = connection;
    for (let loop = 0; loop < IN_FLIGHT; loop += 1) {
      const sending = this.#sendAll(connection);
      this.#loops.add(sending);
      sending.finally(() => this.#loops.delete(sending));
    }
  }

  /** False where Postgres is away, or the connection went meanwhile. */
  async #join() {
    try {
      const ack = await this.#socket.timeout(ANSWER_MS).emitWithAck('join_conversation', this.conversation);
      return ack.success;
    } catch {
      return false;
    }
  }

  async #sendAll(connection) {
    while (this.#sending && this.#isCurrent(connection)) {
      await this.#send(connection);
      await sleep(PAUSE_MS * 2 * Math.random());
    }
  }

  #send(connection) {
    const lane = `${this.name} #${connection}`;
    const attempt = this.#history.attempt(this.conversation, this.user, 'socket', lane);
    const payload = { conversation_id: this.conversation, text: attempt.text };
    return new Promise((settle) => {
      // The callback and not a promise: acks are to be noted in the order in which they arrive.
      this.#socket.timeout(ANSWER_MS).emit('send_message', payload, (lost, ack) => {
        if (!lost && ack.success) {
          this.#history.acked(attempt, ack.data);
          this.acks += 1;
        } else if (!lost) {
          this.#history.refused(attempt, ack.code);
        }
        settle();
      });
    });
  }
}

/**
 * Sends by the REST fallback, one request at a time. One that `persists` names its messages and sends each again until it is
 * told that it is stored.
 */
export class RestClient {
  #history;
  #sending = true;
  #loop;
  #persists;

  constructor({ url, person, conversation, name, history, persists = false }) {
    Object.assign(this, { name, conversation, user: person.id, token: person.token, url, acks: 0, repeats: 0 });
    this.#history = history;
    this.#persists = persists;
    this.#loop = this.#sendAll();
  }

  async finish() {
    this.#sending = false;
    await this.#loop;
  }

  close() {
    this.#sending = false;
    this.#persists = false;
  }

  async #sendAll() {
    while (this.#sending) {
      const attempt = this.#history.attempt(this.conversation, this.user, 'rest', this.name);
      let answered = await this.#send(attempt);
      while (this.#persists && attempt.outcome !== 'acked') {
        await sleep(RETRY_MS);
        answered = await this.#send(attempt);
      }
      await sleep(answered ? PAUSE_MS * 2 * Math.random() : RETRY_MS);
    }
  }

  /** False where no answer came. */
  async #send(attempt) {
    const name = this.#persists ? { client_msg_id: `${this.name}-${attempt.sentAt}`.replaceAll(' ', '-') } : {};
    try {
      const reply = await fetch(`${this.url}/api/chat/conversations/${this.conversation}/messages`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ text: attempt.text, ...name }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const answer = await reply.json();
      if (reply.status === 201) {
        this.#history.acked(attempt, answer.data);
        this.acks += 1;
        if (answer.data.duplicate) this.repeats += 1;
      } else if (answer.success === false) {
        this.#history.refused(attempt, answer.code ?? `HTTP ${reply.status}`);
      }
      return true;
    } catch {
      // The connection broke or nothing came in time: the attempt stays unknown.
      return false;
    }
  }
}
