// Deleting a message, after a question.

import { reasonOf } from './api.js';
import { announce, byId } from './dom.js';

/** The question, about one message at a time. */
export class Deletion {
  #dialog = byId('deletion');
  #error = this.#dialog.querySelector('.error');
  /** What is asked about. */
  #asked;

  constructor() {
    this.#dialog.querySelector('.cancel').addEventListener('click', () => this.#dialog.close());
    this.#dialog.querySelector('.danger').addEventListener('click', () => this.#confirmed());
  }

  /** `remove()` deletes the message with this text, or rejects; `removed()` is called when that is done. */
  ask({ text, remove, removed }) {
    this.#asked = { remove, removed };
    this.#error.textContent = '';
    byId('deletion-text').textContent = text;
    this.#dialog.showModal();
  }

  async #confirmed() {
    const asked = this.#asked;
    this.#error.textContent = '';
    try {
      await asked.remove();
    } catch (error) {
      if (asked === this.#asked) this.#error.textContent = reasonOf(error);
      return;
    }
    // It may be about another one by now.
    if (asked === this.#asked) this.#dialog.close();
    announce('The message is deleted.');
    asked.removed();
  }
}
