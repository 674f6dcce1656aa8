// Lists that are searched: a form, how many were found, and a table of the first of them.

import { byId, element } from './dom.js';

/** An id, as it is shown. */
export const id = (text) => element('span', { className: 'id', textContent: text ?? '–' });

/** A row of a table. */
export const tableRow = (...cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell)));

/** Asks for `what` when the form is sent, and on each connect; `row` makes a row of one that was found. */
export function search(feed, what, row) {
  const find = async () => {
    const told = byId(`${what}-count`);
    try {
      const { count, [what]: found } = await feed.call(what, { begins: byId(`${what}-find`).value });
      told.textContent = `${count} found${found.length < count ? `, ${found.length} of them here` : ''}`;
      byId(what).replaceChildren(...found.map(row));
    } catch (error) {
      told.textContent = error.message;
    }
  };
  byId(`${what}-form`).addEventListener('submit', (event) => {
    event.preventDefault();
    find();
  });
  feed.addEventListener('connect', find);
  return find;
}

/** A button with a short word, and a longer one for who cannot see beside what it stands. */
export function rowButton(word, meaning, act) {
  const button = element('button', { type: 'button', textContent: word, ariaLabel: meaning });
  button.addEventListener('click', act);
  return button;
}
