// The list of conversations.

import { addressOf, conversationOfAddress } from './address.js';
import { byId, count, element, icon, paintAvatar, shortTimeOf, spoken } from './dom.js';

/** Shows the conversations, and how many messages are unread, in the list and in the window's title. */
export class ListView {
  #conversations;
  #rows = new Map();
  #list = byId('conversations');

  constructor(conversations) {
    this.#conversations = conversations;
    conversations.addEventListener('change', () => this.render());
    addEventListener('hashchange', () => this.render());
    byId('list-state').querySelector('button').addEventListener('click', () => conversations.load());
  }

  /** Moves the keyboard to a conversation. */
  focus(id) {
    this.#rows.get(id)?.link.focus();
  }

  render() {
    const { all, state, totalUnread } = this.#conversations;
    const focused = /** @type {HTMLElement} */ (document.activeElement);
    for (const [id, { row }] of this.#rows) {
      if (this.#conversations.get(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    all.forEach((conversation, index) => {
      const { row } = this.#row(conversation);
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
    // A row that moves loses it.
    if (this.#list.contains(focused)) focused.focus();
    this.#list.setAttribute('aria-busy', String(state === 'loading'));
    this.#renderState(state, all.length);
    const badge = byId('unread-total');
    badge.hidden = totalUnread === 0;
    badge.replaceChildren(count(totalUnread), spoken(' unread messages'));
    document.title = `${totalUnread ? `(${count(totalUnread)}) ` : ''}Horsetrust Chat`;
  }

  #renderState(state, conversations) {
    const box = byId('list-state');
    box.hidden = state === 'ready' && conversations > 0;
    const texts = {
      loading: 'Loading the conversations…',
      failed: 'The conversations could not be loaded.',
      ready: 'No conversations yet. They appear here when somebody writes.',
    };
    box.querySelector('p').textContent = texts[state];
    box.querySelector('button').hidden = state !== 'failed';
  }

  #row(conversation) {
    const made = this.#rows.get(conversation.id) ?? this.#newRow(conversation);
    const { other, last, unread, id } = conversation;
    paintAvatar(made.avatar, other);
    made.name.textContent = other.full_name;
    made.time.textContent = last ? shortTimeOf(last.sentAt) : '';
    made.time.dateTime = last?.sentAt ?? '';
    made.last.replaceChildren(...this.#preview(last));
    made.badge.hidden = unread === 0;
    made.badge.replaceChildren(count(unread), spoken(unread === 1 ? ' unread message' : ' unread messages'));
    made.link.classList.toggle('unread', unread > 0);
    if (id === conversationOfAddress()) made.link.setAttribute('aria-current', 'true');
    else made.link.removeAttribute('aria-current');
    return made;
  }

  #preview(last) {
    if (!last) return ['No messages yet'];
    if (!last.mine) return [last.text];
    const state = last.read ? 'read' : 'sent';
    const tick = element('span', { className: 'tick' }, icon(state), spoken(last.read ? 'Read. ' : 'Sent. '));
    tick.dataset.state = state;
    return [tick, spoken('You: '), last.text];
  }

  #newRow({ id }) {
    const parts = {
      avatar: element('span', { className: 'avatar', ariaHidden: 'true' }),
      name: element('span', { className: 'name' }),
      time: element('time', { className: 'time' }),
      last: element('span', { className: 'last' }),
      badge: element('span', { className: 'badge' }),
    };
    const head = element('span', { className: 'line' }, parts.name, ' ', parts.time);
    const foot = element('span', { className: 'line' }, parts.last, ' ', parts.badge);
    const link = element('a', { href: addressOf(id) }, parts.avatar, element('span', { className: 'lines' }, head, foot));
    const row = element('li', {}, link);
    this.#rows.set(id, { ...parts, link, row });
    return this.#rows.get(id);
  }
}
