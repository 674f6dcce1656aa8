// The user's conversations: who with, what was said last, how much of it is unread.

import { MANY } from './dom.js';

const RETRY_MS = 3_000;

/** Event: `change`. `state`: `loading`, `ready` or `failed`. */
export class Conversations extends EventTarget {
  state = 'loading';
  #items = new Map();
  #api;
  #me;
  /** The load under way. */
  #loading = null;
  /** Something has happened since the load under way began, which its answer may have or not. */
  #stale = false;
  #retry;
  #attended;

  /** `attended()`: the conversation that the user is looking at, whose messages are read as they come. */
  constructor({ api, connection, me, attended }) {
    super();
    this.#api = api;
    this.#me = me;
    this.#attended = attended;
    this.#follow(connection.socket);
    connection.addEventListener('session', () => this.load());
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

  /** Ready when what is there now has been fetched, or could not be. */
  load() {
    this.#stale = true;
    return (this.#loading ??= this.#run());
  }

  async #run() {
    try {
      while (this.#stale) {
        this.#stale = false;
        this.#items = await this.#fetched();
      }
      this.state = 'ready';
    } catch (error) {
      this.state = this.#items.size ? 'ready' : 'failed';
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.load(), error.retryAfterMs ?? RETRY_MS);
    }
    this.#loading = null;
    this.#changed();
  }

  async #fetched() {
    const [list, unread] = await Promise.all([this.#api.conversations(), this.#api.unreadCount()]);
    const items = list.map((conversation) => this.#item(conversation));
    // The list does not say how much is unread: counted in one conversation after the other, until all are found.
    for (let left = unread, index = 0; left > 0 && index < items.length; index += 1) {
      const { data } = await this.#api.before(items[index].id, { limit: MANY });
      items[index].unread = data.filter((message) => message.sender_id._id !== this.#me && !message.is_read).length;
      left -= items[index].unread;
    }
    return new Map(items.map((item) => [item.id, item]));
  }

  #item({ _id: id, participants, last_message: last, updated_at: changedAt }) {
    const other = participants.find((user) => user._id !== this.#me) ?? participants[0];
    const shown = last && { text: last.text, mine: last.sender_id === this.#me, sentAt: last.sent_at, read: last.is_read };
    return { id, other, me: participants.find((user) => user._id === this.#me), last: shown, changedAt, unread: 0 };
  }

  #follow(socket) {
    socket.on('message_notification', ({ conversation_id: id, preview }) => {
      this.#said(id, { text: preview, mine: false, sentAt: new Date().toISOString(), read: false });
      this.#with(id, (item) => (item.unread += this.#attended() === id ? 0 : 1));
    });
    socket.on('new_message', (message) => this.store(message));
    socket.on('unread_update', ({ conversation_id: id, unread_count: unread }) => {
      this.#with(id, (item) => (item.unread = unread));
    });
    socket.on('message_read', ({ conversation_id: id, reader_id: reader }) => {
      if (reader !== this.#me) this.#with(id, (item) => item.last && (item.last.read = true));
    });
    // What is the last one now is for the server to say.
    socket.on('message_deleted', () => this.load());
  }

  /** A message that is stored now. */
  store({ conversation_id: id, text, sender_id: sender, sent_at: sentAt, is_read: read }) {
    this.#said(id, { text, mine: sender._id === this.#me, sentAt, read });
  }

  #said(id, last) {
    this.#with(id, (item) => {
      item.last = last;
      item.changedAt = last.sentAt;
    });
  }

  #with(id, change) {
    if (this.#loading) this.#stale = true;
    const item = this.#items.get(id);
    // Somebody has begun a new one.
    if (!item) return this.load();
    change(item);
    return this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
