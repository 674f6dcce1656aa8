// The open conversation: its messages by number, each once, whatever way they come.

/** @import { Schemas, ServerToClientEvents } from '../../docs/api/chat.js' */
/** @import { Api, Page } from './api.js' */
/** @import { Connection } from './connection.js' */

const RETRY_MS = 1_500;
const GONE = 'This conversation is not there, or not yours.';
const NOT_LOADED = 'The messages could not be loaded.';

/** Events: `change`; `arrived` with a new message of the other participant in `detail`. */
export class Thread extends EventTarget {
  /** `loading`, `ready` or `failed`, and then why. */
  state = 'loading';
  error = '';
  /** Whether there are messages before the first: `none`, `more`, `loading`, or `failed` where they could not be loaded. */
  older = 'none';
  /** The other participant has read so far. */
  readByOther = 0;
  /** @type {Map<number, Schemas['Message']>} */
  #messages = new Map();
  #deleted = new Set();
  /** @type {Api} */
  #api;
  /** @type {Connection} */
  #connection;
  #me;
  /** Without a gap so far. */
  #lastSeq = 0;
  /** Events carry on where the history ends. */
  #caughtUp = false;
  #attempt = 0;
  #seen = 0;
  #told = 0;
  #closing = new AbortController();

  constructor({ id, api, connection, me }) {
    super();
    this.id = id;
    this.#api = api;
    this.#connection = connection;
    this.#me = me;
    this.#follow();
    this.sync();
  }

  /** In the order of the conversation. */
  get messages() {
    return [...this.#messages.values()].sort((one, other) => one.seq - other.seq);
  }

  get newest() {
    return Math.max(0, ...this.#messages.keys());
  }

  close() {
    this.#closing.abort();
    this.#attempt += 1;
    if (this.#connection.connected) this.#connection.socket.emit('leave_conversation', this.id);
  }

  /** Joins, and fetches what is not here yet. */
  async sync() {
    const mine = ++this.#attempt;
    this.#caughtUp = false;
    try {
      const joins = this.#connection.connected;
      if (joins) await this.#join(mine);
      const page = await this.#api.before(this.id);
      if (mine !== this.#attempt) return;
      // What came by itself so far says nothing of what lies before it.
      if (this.#lastSeq === 0) this.older = page.has_more ? 'more' : 'none';
      this.#reconcile(page);
      // Without a connection nothing was joined: the next one begins anew, recovered or not.
      this.#caughtUp = joins;
      this.#become('ready');
      this.#tellSeen();
    } catch (error) {
      if (mine !== this.#attempt) return;
      const gone = error.code === 'NOT_FOUND';
      this.#become(this.#messages.size ? 'ready' : 'failed', gone ? GONE : NOT_LOADED);
      // Without a connection the next session begins anew.
      if (!gone && this.#connection.connected) setTimeout(() => mine === this.#attempt && this.sync(), RETRY_MS);
    }
  }

  async #join(mine) {
    if (this.#lastSeq === 0) return void (await this.#connection.ask('join_conversation', this.id));
    const joined = await this.#connection.ask('join_conversation', this.id, { since_seq: this.#lastSeq });
    /** @type {Pick<Page, 'data' | 'has_more'>} */
    let page = { data: joined.messages, has_more: joined.has_more };
    for (;;) {
      if (mine !== this.#attempt) return;
      this.#take(page.data, true);
      if (!page.has_more || page.data.length === 0) return;
      page = await this.#api.after(this.id, page.data.at(-1).seq);
    }
  }

  /**
   * The newest page says what of it was read or deleted while nobody listened.
   * @param {Page} page
   */
  #reconcile({ data, head_seq: head }) {
    const first = data[0]?.seq ?? head + 1;
    const there = new Set(data.map((message) => message.seq));
    for (const seq of this.#messages.keys()) {
      if (seq >= first && seq <= head && !there.has(seq)) this.#messages.delete(seq);
    }
    this.#take(data, true);
    this.#lastSeq = Math.max(this.#lastSeq, head);
  }

  /** A page of older ones. */
  async loadOlder() {
    if (this.state !== 'ready' || !['more', 'failed'].includes(this.older)) return;
    this.#becomeOlder('loading');
    let older = 'failed';
    try {
      const page = await this.#api.before(this.id, Math.min(this.#lastSeq + 1, ...this.#messages.keys()));
      this.#take(page.data, true);
      older = page.has_more ? 'more' : 'none';
    } catch {
      // Told by the state.
    }
    this.#becomeOlder(older);
  }

  #becomeOlder(older) {
    this.older = older;
    this.#changed();
  }

  /** Deletes a message of this user's. */
  async remove({ _id: id, seq }) {
    await this.#api.remove(id);
    this.#forget(seq);
  }

  #forget(seq) {
    this.#deleted.add(seq);
    if (this.#messages.delete(seq)) this.#changed();
  }

  /**
   * A message of this user's that is stored now.
   * @param {Schemas['Message']} message
   */
  store(message) {
    // By REST it may lie behind others that a lost connection has not brought.
    if (message.conversation_id === this.id) this.#take([message], false);
  }

  /** Has been on the screen so far: told once for all that is new. */
  see(seq) {
    if (seq <= this.#seen) return;
    this.#seen = seq;
    this.#tellSeen();
  }

  #tellSeen() {
    const unread = [...this.#messages.values()].filter(
      ({ seq, sender_id: sender, is_read: read }) => sender._id !== this.#me && !read && seq > this.#told && seq <= this.#seen,
    );
    if (unread.length === 0 || !this.#connection.connected) return;
    const before = this.#told;
    this.#told = this.#seen;
    this.#connection.ask('mark_read', { conversation_id: this.id, up_to_seq: this.#seen }).catch(() => {
      this.#told = before;
      setTimeout(() => !this.#closing.signal.aborted && this.#tellSeen(), RETRY_MS);
    });
  }

  /** @param {Schemas['Message'][]} messages */
  #take(messages, withoutGap) {
    for (const message of messages) {
      // A page that was read before it was deleted.
      if (this.#deleted.has(message.seq)) continue;
      this.#messages.set(message.seq, message);
      if (withoutGap) this.#lastSeq = Math.max(this.#lastSeq, message.seq);
      if (message.sender_id._id === this.#me && message.is_read) this.readByOther = Math.max(this.readByOther, message.seq);
    }
    if (messages.length) this.#changed();
  }

  #follow() {
    const { signal } = this.#closing;
    /** @type {any} With an event that is not known here, as with all. */
    const socket = this.#connection.socket;
    /**
     * @template {'new_message' | 'message_read' | 'message_deleted'} Event
     * @param {Event} event
     * @param {(payload: Parameters<ServerToClientEvents[Event]>[0]) => void} handle
     */
    const on = (event, handle) => {
      const mine = (payload) => payload.conversation_id === this.id && handle(payload);
      socket.on(event, mine);
      signal.addEventListener('abort', () => socket.off(event, mine));
    };
    on('new_message', (message) => {
      const known = this.#messages.has(message.seq);
      this.#take([message], this.#caughtUp);
      if (!known && message.sender_id._id !== this.#me) this.dispatchEvent(new CustomEvent('arrived', { detail: message }));
    });
    on('message_read', ({ reader_id: reader, up_to_seq: seq }) => {
      if (reader === this.#me) return;
      this.readByOther = Math.max(this.readByOther, seq);
      this.#changed();
    });
    on('message_deleted', ({ seq }) => this.#forget(seq));
    this.#connection.addEventListener('session', () => this.sync(), { signal });
    for (const name of ['session', 'recovered']) {
      this.#connection.addEventListener(name, () => this.older === 'failed' && this.#becomeOlder('more'), { signal });
    }
    // What was asked for before the connection was lost has got no answer.
    this.#connection.addEventListener('recovered', () => (this.#caughtUp ? this.#tellSeen() : this.sync()), { signal });
  }

  #become(state, error = '') {
    Object.assign(this, { state, error });
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
