// The rows of the open conversation: what is stored, and below it what is on its way.

import { dayOf, element, icon, spoken, timeOf } from './dom.js';

/** Messages of one sender that are not farther apart are shown as one run. */
const RUN_MS = 5 * 60_000;
/** So many code points tell which message a button deletes. */
const SPOKEN = 40;

const STATES = {
  sending: 'Sending',
  waiting: 'Waiting for the connection',
  failed: 'Not sent',
  sent: 'Sent',
  read: 'Read',
};

/** All that is to be shown, in order, each with a key of its own. */
export function entriesOf({ thread, outbox, me }) {
  const stored = thread.messages.map((message) => {
    const { seq, text, sender_id: sender, sent_at: sentAt, is_read: read } = message;
    const mine = sender._id === me;
    const state = mine && (read || seq <= thread.readByOther ? 'read' : 'sent');
    return { key: `m${seq}`, seq, text, mine, sentAt, state, message };
  });
  // One that is stored already, and whose answer was lost, is shown as what is stored; the repeat tells which it is. Each
  // stored one stands for one of them.
  const own = stored.filter((one) => one.mine);
  const arrived = ({ text, afterSeq, state }) => {
    const at = state === 'failed' ? -1 : own.findIndex((one) => one.seq > afterSeq && one.text === text);
    if (at >= 0) own.splice(at, 1);
    return at >= 0;
  };
  const underWay = outbox.of(thread.id).filter((item) => !arrived(item));
  const pending = underWay.map((item) => ({ ...item, key: `p${item.id}`, mine: true, item }));
  const entries = [...stored, ...pending];
  return entries.flatMap((entry, index) => {
    const before = entries[index - 1];
    const day = dayOf(entry.sentAt);
    const newDay = !before || dayOf(before.sentAt) !== day;
    const starts = newDay || before.mine !== entry.mine || Date.parse(entry.sentAt) - Date.parse(before.sentAt) > RUN_MS;
    const row = { ...entry, starts };
    return newDay ? [{ key: `d${day}`, day }, row] : [row];
  });
}

/** Keeps a list's rows in step with its entries: each row is made once, and changed where it says something else. */
export class MessageRows {
  #list;
  #rows = new Map();
  #actions;

  /** `actions`: `retry(item)` and `discard(item)`, for what could not be sent; `remove(message)`, for one's own. */
  constructor(list, actions) {
    this.#list = list;
    this.#actions = actions;
    list.addEventListener('keydown', (event) => this.#moved(event));
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  render(entries, otherName) {
    const keys = new Set(entries.map((entry) => entry.key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let next = this.#list.firstElementChild;
    for (const entry of entries) {
      const row = this.#rows.get(entry.key) ?? this.#newRow(entry, otherName);
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
      if (!entry.day) this.#update(row, entry);
    }
    this.#rove();
  }

  get #deletes() {
    return [...this.#list.querySelectorAll('.delete')];
  }

  /** Tab stops at one button of all that delete, at first the newest message's; the arrows lead from one to the next. */
  #rove() {
    const buttons = this.#deletes;
    const stop = buttons.find((button) => button === document.activeElement) ?? buttons.at(-1);
    for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
  }

  #moved(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const buttons = this.#deletes;
    const at = buttons.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    buttons[at + step]?.focus();
    this.#rove();
  }

  #newRow(entry, otherName) {
    const row = entry.day
      ? element('li', { className: 'day' }, element('span', { className: 'pill', textContent: entry.day }))
      : this.#newMessage(entry, otherName);
    this.#rows.set(entry.key, row);
    return row;
  }

  #newMessage({ text, mine, sentAt, seq, message }, otherName) {
    const time = element('time', { dateTime: sentAt, textContent: timeOf(sentAt) });
    const foot = element('span', { className: 'foot' }, time, ...(mine ? [element('span', { className: 'tick' })] : []));
    // In a direction of its own, as Arabic and Hebrew run the other way.
    const body = element('p', { className: 'text', dir: 'auto', textContent: text });
    const bubble = element('div', { className: 'bubble' }, spoken(mine ? 'You: ' : `${otherName}: `), body, foot);
    const row = element('li', { className: mine ? 'message mine' : 'message' }, bubble);
    if (seq) row.dataset.seq = seq;
    if (mine && message) bubble.append(this.#deleteButton(message));
    return row;
  }

  #deleteButton(message) {
    const ariaLabel = `Delete: ${[...message.text].slice(0, SPOKEN).join('')}`;
    const button = element('button', { type: 'button', className: 'icon delete', ariaLabel }, icon('delete'));
    button.setAttribute('aria-haspopup', 'dialog');
    button.addEventListener('click', () => this.#actions.remove(message));
    return button;
  }

  #update(row, { starts, state, error, item }) {
    row.classList.toggle('starts', starts);
    if (!state || row.dataset.state === state) return;
    row.dataset.state = state;
    const tick = row.querySelector('.tick');
    tick.dataset.state = state;
    const waits = state === 'waiting' || state === 'failed';
    const text = state === 'failed' ? `${STATES.failed}: ${error}` : STATES[state];
    tick.replaceChildren(icon(state === 'waiting' ? 'sending' : state), waits ? text : spoken(text));
    row.querySelector('.actions')?.remove();
    if (state === 'failed') row.append(this.#remedies(item));
  }

  #remedies(item) {
    const button = (textContent, act) => {
      const made = element('button', { type: 'button', textContent });
      made.addEventListener('click', () => act(item));
      return made;
    };
    const { retry, discard } = this.#actions;
    return element('div', { className: 'actions' }, button('Try again', retry), button('Discard', discard));
  }
}
