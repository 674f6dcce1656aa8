// The user's conversations: who with, what was said last, how much of it is unread. What is unread only the server counts; what
// happens tells when to ask it again.

/** @import { Schemas } from '../../docs/api/chat.js' */
/** @import { Connection } from './connection.js' */

const RETRY_MS = 3_000;
/** So long after an answer the next question waits, however much happens. */
const PAUSE_MS = 1_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Event: `change`. `state`: `loading`, `ready` or `failed`. */
export class Conversations extends EventTarget {
  state = 'loading';
  #items = new Map();
  #api;
  #me;
  /** Over when the server may be asked again. */
  #asked = Promise.resolve();
  #asking = false;
  /** The load that has not begun yet. */
  #next = null;
  #retry;
  #attended;

  /** `attended()`: the conversation that the user is looking at, whose messages are read as they come. */
  constructor({ api, connection, me, attended }) {
    super();
    this.#api = api;
    this.#me = me;
    this.#attended = attended;
    this.#follow(connection.socket);
    for (const name of ['session', 'recovered']) connection.addEventListener(name, () => this.load());
  }

  /** The last changed first. */
  get all() {
    return [...this.#items.values()].sort((one, other) => (one.changedAt < other.changedAt ? 1 : -1));
  }

  get totalUnread() {
    return this.all.reduce((sum, { unread }) => sum + unread, 0);
  }

  get(id) {
    return this.#items.get(id);
  }

  /** Ready when what is there now has been fetched, or could not be. However often it is called, one load waits. */
  load() {
    this.#next ??= this.#asked.then(() => {
      this.#next = null;
      const fetched = this.#fetch();
      this.#asked = fetched.then(() => pause(PAUSE_MS));
      return fetched;
    });
    return this.#next;
  }

  /** The conversation with a user, which is among these then. */
  async begin(user) {
    const { _id: id } = await this.#api.begin(user);
    await this.load();
    return id;
  }

  async #fetch() {
    clearTimeout(this.#retry);
    this.#asking = true;
    try {
      const list = await this.#api.conversations();
      this.#items = new Map(list.map((conversation) => [conversation._id, this.#item(conversation)]));
      this.state = 'ready';
    } catch (error) {
      this.state = this.#items.size ? 'ready' : 'failed';
      this.#retry = setTimeout(() => this.load(), error.retryAfterMs ?? RETRY_MS);
    }
    this.#asking = false;
    this.#changed();
  }

  /** @param {Schemas['ListedConversation']} conversation */
  #item({ _id: id, participants, last_message: last, head_seq: headSeq, unread_count: unread, updated_at: changedAt }) {
    const item = {
      id,
      me: participants.find((user) => user._id === this.#me),
      other: participants.find((user) => user._id !== this.#me),
      last: last && this.#shown(last),
      headSeq,
      changedAt,
      unread: this.#attended() === id ? 0 : unread,
    };
    const known = this.#items.get(id);
    if (!(known?.headSeq > headSeq)) return item;
    // The answer was on its way when a later message came.
    return { ...item, last: known.last, headSeq: known.headSeq, changedAt: known.changedAt };
  }

  /** @param {Schemas['LastMessage']} message */
  #shown({ seq, text, sender_id: sender, sent_at: sentAt, is_read: read }) {
    return { seq, text, sentAt, read, mine: sender === this.#me };
  }

  /** @param {Connection['socket']} socket */
  #follow(socket) {
    // Neither says what is unread and last now.
    socket.on('message_notification', () => this.load());
    socket.on('message_deleted', () => this.load());
    socket.on('new_message', (message) => this.store(message));
    socket.on('unread_update', ({ conversation_id: id, unread_count: unread }) => {
      if (this.#attended() === id) return this.#change(id, (item) => (item.unread = 0));
      this.#change(id, (item) => (item.unread = unread));
      // The list may have counted later than this.
      return this.load();
    });
    socket.on('message_read', ({ conversation_id: id, reader_id: reader, up_to_seq: seq }) => {
      if (reader === this.#me) return;
      this.#change(id, ({ last }) => last && (last.read ||= last.seq <= seq));
    });
  }

  /**
   * A message that is stored now: the last one, if no later one has come before.
   * @param {Schemas['Message']} message
   */
  store({ conversation_id: id, sender_id: sender, ...message }) {
    this.#change(id, (item) => {
      if (message.seq <= item.headSeq) return;
      const last = this.#shown({ ...message, sender_id: sender._id });
      Object.assign(item, { last, headSeq: last.seq, changedAt: last.sentAt });
    });
  }

  #change(id, change) {
    const item = this.#items.get(id);
    // Somebody has begun a new one; or an answer is on its way that may not have this.
    if (!item || this.#asking) this.load();
    if (!item) return;
    change(item);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
