// The open conversation on the screen: where it is scrolled to, what of it has been seen, and who types.

import { announce, byId, element, icon, paintAvatar } from './dom.js';
import { MessageRows, entriesOf } from './message_rows.js';

/** So near to the end counts as at the end, in CSS pixels. */
const NEAR_THE_END = 48;
/** So near to the beginning, older messages are fetched. */
const NEAR_THE_BEGINNING = 300;
const OLDER = {
  none: 'This is where the conversation begins.',
  more: '',
  loading: 'Loading older messages…',
  failed: 'Older messages could not be loaded.',
};

/** Shows one thread at a time. */
export class ThreadView {
  #box = byId('messages');
  #outbox;
  #me;
  #rows;
  #thread = null;
  #other = null;
  /** New ones come into view by themselves. */
  #following = true;
  #entries = [];

  /** `remove(message)`: the user wants to delete it. */
  constructor({ outbox, me, remove }) {
    this.#outbox = outbox;
    this.#me = me;
    this.#rows = new MessageRows(byId('rows'), {
      retry: (item) => outbox.retry(item),
      discard: (item) => outbox.discard(item),
      remove,
    });
    outbox.addEventListener('change', () => this.render());
    byId('latest').append(icon('back'));
    byId('back').append(icon('back'));
    byId('send').append(icon('send'));
    byId('latest').addEventListener('click', () => {
      this.toEnd();
      this.focus();
    });
    byId('thread-state').querySelector('button').addEventListener('click', () => this.#thread?.sync());
    byId('older').querySelector('button').addEventListener('click', () => {
      // The button goes.
      this.focus();
      this.#thread?.loadOlder();
    });
    this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // The keyboard of a phone, a turned phone, a longer draft: what was at the end stays there.
    new ResizeObserver(() => this.#following && this.toEnd()).observe(this.#box);
    for (const name of ['visibilitychange', 'focus']) addEventListener(name, () => this.#see(), { capture: true });
  }

  /** Whether the user is looking at the end of a conversation. */
  get attends() {
    return document.visibilityState === 'visible' && this.#following && this.#thread !== null;
  }

  open(thread, other) {
    this.#thread = thread;
    this.#other = other;
    this.#following = true;
    this.#rows.clear();
    paintAvatar(byId('thread-avatar'), other);
    byId('thread-title').textContent = other.full_name;
    this.showTyping(false);
    thread.addEventListener('change', () => this.render());
    thread.addEventListener('arrived', ({ detail }) => this.#arrived(detail));
    this.#show(true);
    this.render();
  }

  close() {
    this.#thread = null;
    this.#show(false);
  }

  #show(open) {
    byId('thread').hidden = !open;
    byId('nothing-open').hidden = open;
    document.body.dataset.pane = open ? 'thread' : 'list';
  }

  showTyping(whether) {
    byId('typing').replaceChildren(...(whether ? [`${this.#other.full_name} is typing`, dots()] : []));
  }

  /** Moves the keyboard to the messages. */
  focus() {
    this.#box.focus();
  }

  /** A message was written: it shall be seen. */
  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#following = true;
    byId('latest').hidden = true;
    this.#see();
  }

  render() {
    if (!this.#thread) return;
    const places = this.#following ? [] : this.#places();
    this.#entries = entriesOf({ thread: this.#thread, outbox: this.#outbox, me: this.#me });
    this.#rows.render(this.#entries, this.#other.full_name);
    this.#renderOlder();
    this.#renderState();
    if (this.#following) this.toEnd();
    else this.#keepPlace(places);
    this.#fill();
  }

  #renderOlder() {
    const { older, state } = this.#thread;
    const box = byId('older');
    box.querySelector('p').textContent = older === 'none' && state !== 'ready' ? '' : OLDER[older];
    box.querySelector('button').hidden = older !== 'failed';
    if (older === 'failed' && box.dataset.state !== older) announce(OLDER.failed);
    box.dataset.state = older;
  }

  /** Older messages are fetched until there are some above what is on the screen; after a failure only when asked for. */
  #fill() {
    if (this.#thread?.older === 'more' && this.#box.scrollTop < NEAR_THE_BEGINNING) this.#thread.loadOlder();
  }

  #renderState() {
    const { state, error } = this.#thread;
    const box = byId('thread-state');
    box.hidden = this.#entries.length > 0;
    const empty = 'No messages yet. Write the first one.';
    box.querySelector('p').textContent = { loading: 'Loading the messages…', failed: error, ready: empty }[state];
    box.querySelector('button').hidden = state !== 'failed';
  }

  /** The rows on the screen and below it, and where they are. */
  #places() {
    const top = this.#box.getBoundingClientRect().top;
    const places = [...byId('rows').children].map((row) => ({ row, rect: row.getBoundingClientRect() }));
    return places.filter(({ row, rect }) => row.dataset.seq && rect.bottom > top);
  }

  /** The first row that is still there shall stay where it was, when others come above it or go. */
  #keepPlace(places) {
    const place = places.find(({ row }) => row.isConnected);
    if (place) this.#box.scrollTop += place.row.getBoundingClientRect().top - place.rect.top;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
    if (this.#following) byId('latest').hidden = true;
    this.#fill();
    this.#see();
  }

  #arrived(message) {
    if (!this.#following) byId('latest').hidden = false;
    if (document.visibilityState === 'visible') announce(`${this.#other.full_name}: ${message.text}`);
  }

  /** What is on the screen, or above it, has been seen. */
  #see() {
    if (!this.#thread || document.visibilityState !== 'visible') return;
    const { bottom } = this.#box.getBoundingClientRect();
    const rows = [...byId('rows').children].reverse();
    const seen = rows.find((row) => row.dataset.seq && row.getBoundingClientRect().top < bottom);
    if (seen) this.#thread.see(Number(seen.dataset.seq));
  }
}

function dots() {
  const points = [1, 2, 3].map(() => element('span'));
  return element('span', { className: 'dots', ariaHidden: 'true' }, ...points);
}
