// Where a message is written.

import { announce, byId } from './dom.js';

/** Of the server: Unicode code points. */
const LONGEST = 2000;
/** From here on it is told how many are left. */
const NEAR_THE_END = 1800;

/**
 * Calls `send(text)`, `pressed()` at every change, and `stopped()` when the text has gone. Keeps a draft for each
 * conversation.
 */
export class Composer {
  #text = byId('text');
  #drafts = new Map();
  #conversation = null;
  #handlers;

  constructor(handlers) {
    this.#handlers = handlers;
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener('input', () => this.#changed());
    this.#text.addEventListener('keydown', (event) => {
      // While letters are being composed, as in Japanese, Enter chooses among them.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
  }

  open(conversation, name) {
    this.#drafts.set(this.#conversation, this.#text.value);
    this.#conversation = conversation;
    this.#text.value = this.#drafts.get(conversation) ?? '';
    byId('text-label').textContent = `Message to ${name}`;
    this.#measure();
  }

  focus() {
    this.#text.focus();
  }

  #submit() {
    const text = this.#text.value;
    if (text.trim() === '') return;
    if ([...text].length > LONGEST) return void announce('The message is too long.');
    this.#text.value = '';
    this.#measure();
    this.#handlers.stopped();
    this.#handlers.send(text);
    this.#text.focus();
  }

  #changed() {
    this.#measure();
    if (this.#text.value === '') this.#handlers.stopped();
    else this.#handlers.pressed();
  }

  #measure() {
    const { length } = [...this.#text.value];
    const left = LONGEST - length;
    byId('text-count').textContent = length < NEAR_THE_END ? '' : left >= 0 ? `${left} left` : `${-left} too many`;
    this.#text.setAttribute('aria-invalid', String(length > LONGEST));
    byId('send').disabled = length > LONGEST;
    // As high as its text, up to what the style allows.
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
