/**
 * Clients of the torture: each does at random what its kind does, through a network that fails, and writes down what it is
 * told and sees. The documented snippets run as they stand in the documentation.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { io } from 'socket.io-client';

/** Longer than the server lets anybody wait for an outcome that is not known. */
const ANSWER_MS = 45_000;
/** Less than that, and more than an answer takes when nothing fails. */
const SOON_MS = 5_000;
const IN_FLIGHT = 3;
const RETRY_MS = 100;
const PAUSE_MS = 120;
/** How often something is deleted, of the times that it could be. */
const DELETED = 0.3;

const QUICK = { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 400, timeout: 5_000 };

class Wanderer {
  goesOn = true;
  #loops = [];

  constructor({ url, person, conversation, transports, name, history, random, recover }) {
    Object.assign(this, { url, person, conversation, name, history, random, recover, newest: 0, acks: 0, connection: 0 });
    const auth = { token: person.token, ...(recover && { recover: true }) };
    this.socket = io(url, { ...QUICK, transports, auth });
    this.socket.on('message_read', (read) => history.sawRead(name, this.socket.id, read));
    this.socket.on('message_deleted', (deleted) => history.sawDeleted(name, this.session, deleted));
  }

  /** Which of its connections this is. */
  get session() {
    return this.socket.id;
  }

  /** Does something again and again, after a pause, as long as it goes on. */
  repeat(act) {
    const loop = async () => {
      while (this.goesOn) {
        await act();
        await sleep(PAUSE_MS * 2 * this.random());
      }
    };
    this.#loops.push(loop());
  }

  async finish() {
    this.goesOn = false;
    await Promise.all(this.#loops);
  }

  close() {
    this.goesOn = false;
    this.socket.disconnect();
  }

  saw(message, connection) {
    this.history.saw(this.name, connection, message);
    this.newest = message.seq;
  }

  /** Marks by socket what it has seen, or some of it. */
  async markRead() {
    const seq = Math.ceil(this.newest * (this.random() < 0.7 ? 1 : this.random()));
    if (seq === 0 || !this.socket.connected) return;
    const mark = { conversation_id: this.conversation, up_to_seq: seq };
    const ack = await this.ask('mark_read', mark);
    if (ack && !ack.success) this.history.wasRefused(ack.code);
    if (ack?.success) this.history.marks.push({ conversation: this.conversation, reader: this.person.id, seq });
  }

  /** Reads by REST: with the page everything up to then is read. */
  async fetchPage() {
    const seq = this.newest;
    const answer = await this.rest('GET', `/api/chat/conversations/${this.conversation}/messages`);
    if (answer?.success === false) this.history.wasRefused(answer.code);
    if (answer?.success) this.history.marks.push({ conversation: this.conversation, reader: this.person.id, seq });
  }

  /** The answer; nothing where none came, which is noted where the connection goes on and answers something else. */
  async ask(event, ...values) {
    const { engine } = this.socket.io;
    try {
      return await this.socket.timeout(ANSWER_MS).emitWithAck(event, ...values);
    } catch {
      const goesOn = () => this.socket.connected && this.socket.io.engine === engine;
      if (!goesOn()) return null;
      const answer = await this.socket.timeout(SOON_MS).emitWithAck('leave_conversation', 'none').catch(() => null);
      if (answer && goesOn()) this.history.unanswered.push({ client: this.name, event });
      return null;
    }
  }

  /** The answer; nothing where none came. */
  async rest(method, route, body) {
    try {
      const reply = await fetch(this.url + route, {
        method,
        headers: { authorization: `Bearer ${this.person.token}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return await reply.json();
    } catch {
      return null;
    }
  }

  /** One of the random things that no rule is about, but that everything has to bear. */
  async fidget() {
    const acts = [
      () => this.socket.emit('typing', this.conversation),
      () => this.socket.emit('stop_typing', this.conversation),
      () => this.rest('GET', '/api/chat/conversations'),
      () => this.rest('GET', '/api/chat/unread-count'),
      () => this.socket.io.engine?.close(),
    ];
    await acts[Math.floor(this.random() * acts.length)]();
  }
}

/** Follows by seq and sends exactly once, both as documented: it has every message, once and in order, for all its life. */
export class Follower extends Wanderer {
  constructor({ snippets, ...options }) {
    super(options);
    const { url, person, conversation } = options;
    const show = (message) => this.saw(message, 'all its life');
    snippets.follow(this.socket, { url, token: person.token, conversation, show });
    this.repeat(() => this.#send(snippets.sendOnce));
    this.repeat(() => this.fidget());
    this.repeat(() => (this.random() < 0.5 ? this.markRead() : this.fetchPage()));
  }

  async #send(sendOnce) {
    const attempt = this.history.attempt(this.conversation, this.person.id, 'once', this.name);
    const message = { conversation: this.conversation, text: attempt.text, clientMsgId: randomUUID() };
    for (;;) {
      try {
        const stored = await sendOnce(this.socket, { url: this.url, token: this.person.token, ...message });
        this.history.acked(attempt, stored);
        this.acks += 1;
        return;
      } catch {
        // To the end, whether it goes on or not: only then it is known that it is stored once.
        await sleep(RETRY_MS);
      }
    }
  }
}

/** Recovers its session where it can, and joins anew where it cannot: what it sees of one session has no gap. */
export class Recoverer extends Wanderer {
  recoveries = 0;
  #session = 0;
  #joined = 0;
  /** Messages of its own. */
  #acked = [];

  constructor(options) {
    super({ ...options, recover: true });
    this.socket.on('connect', () => this.#begin());
    this.socket.on('new_message', (message) => this.saw(message, this.#session));
    this.repeat(() => this.#sendSome());
    this.repeat(() => this.fidget());
    this.repeat(() => this.markRead());
    this.repeat(() => this.#deleteOne());
  }

  get joined() {
    return this.socket.connected && this.#joined === this.#session;
  }

  get session() {
    return this.#session;
  }

  async #begin() {
    if (this.socket.recovered) this.recoveries += 1;
    else this.#session += 1;
    const session = this.#session;
    while (this.socket.connected && this.#session === session && this.#joined !== session) {
      const ack = await this.ask('join_conversation', this.conversation);
      if (ack && !ack.success) this.history.wasRefused(ack.code);
      if (ack?.success && this.#session === session) {
        this.#joined = session;
        this.history.joined(this.name, session, this.conversation);
      } else {
        await sleep(RETRY_MS);
      }
    }
  }

  /** All at once. */
  async #sendSome() {
    if (!this.socket.connected) return;
    const some = 1 + Math.floor(IN_FLIGHT * this.random());
    await Promise.all(Array.from({ length: some }, () => this.#send()));
  }

  async #send() {
    const lane = `${this.name} ${this.socket.id} ${this.recoveries}`;
    const attempt = this.history.attempt(this.conversation, this.person.id, 'socket', lane);
    const ack = await this.ask('send_message', { conversation_id: this.conversation, text: attempt.text });
    if (ack?.success) {
      this.history.acked(attempt, ack.data);
      this.acks += 1;
      this.#acked.push(ack.data._id);
    } else if (ack) {
      this.history.refused(attempt, ack.code);
    }
  }

  /** To the end, whether it goes on or not: only then everybody is told of it. */
  async #deleteOne() {
    if (this.#acked.length === 0 || this.random() > DELETED) return;
    const [id] = this.#acked.splice(Math.floor(this.#acked.length * this.random()), 1);
    const deletion = this.history.deletion(this.conversation, this.person.id, id);
    for (;;) {
      const answer = await this.rest('DELETE', `/api/chat/messages/${id}`);
      if (answer?.success) {
        deletion.settledAt = this.history.tick();
        return;
      }
      if (answer) this.history.wasRefused(answer.code);
      await sleep(RETRY_MS);
    }
  }
}

/** Is in no conversation, tries all of them, and hears nothing. */
export class Stranger extends Wanderer {
  refusals = 0;

  constructor({ conversations, ...options }) {
    super({ ...options, conversation: null, recover: true });
    this.socket.onAny((event) => {
      if (event !== 'server_draining') this.history.overheard.push({ client: this.name, event });
    });
    this.repeat(() => this.#try(conversations[Math.floor(this.random() * conversations.length)]));
  }

  async #try(conversation) {
    if (!this.socket.connected) return;
    const attempts = [
      ['join_conversation', conversation],
      ['join_conversation', conversation, { since_seq: 0 }],
      ['typing', conversation],
      ['send_message', { conversation_id: conversation, text: 'from a stranger' }],
      ['mark_read', { conversation_id: conversation, up_to_seq: 1 }],
    ];
    const attempt = attempts[Math.floor(this.random() * attempts.length)];
    const ack = await this.ask(...attempt);
    if (ack?.success) this.history.overheard.push({ client: this.name, event: `success of ${attempt[0]}` });
    if (ack) this.refusals += 1;
  }
}
