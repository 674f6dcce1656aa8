// Lists that are searched: a form, how many were found, and a table of the first of them, which is kept fresh.

import { announce, byId, element } from './dom.js';
import { keepFresh, renew, tell } from './live.js';

/** What an id may begin with. */
const BEGINS = /^[0-9a-f]{0,24}$/iu;

/** An id, as it is shown. */
export const id = (text) => element('span', { className: 'id', textContent: text ?? '–' });

/** A row of a table. */
export const tableRow = (...cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell)));

/** Takes a row away; who was there is still at its table. */
function drop(row) {
  if (row.contains(document.activeElement)) row.closest('.table').focus();
  row.remove();
}

/** Asks for `what` when the form is sent, and again while somebody looks; `row` makes a row of one, which `key` names. */
export function search(feed, what, key, row) {
  const [list, told, field] = [byId(what), byId(`${what}-count`), byId(`${what}-find`)];
  const heads = [...list.closest('table').tHead.rows[0].cells].map((head) => head.textContent);
  let begins = '';

  const labelled = (one) => {
    const made = row(one);
    made.dataset.key = one[key];
    for (const [at, cell] of [...made.cells].entries()) cell.dataset.label = heads[at];
    return made;
  };
  /** Rows that stay keep their place. */
  const show = (found) => {
    const rows = new Map(found.map((one) => [one[key], labelled(one)]));
    for (const old of [...list.rows]) {
      const now = rows.get(old.dataset.key);
      rows.delete(old.dataset.key);
      if (now) renew(old, [...now.cells]);
      else drop(old);
    }
    list.append(...rows.values());
  };
  const find = async () => {
    const { count, [what]: found } = await feed.call(what, { begins });
    const some = found.length < count ? `, ${found.length} of them here` : '';
    const hint = count === 0 && !BEGINS.test(begins) ? '. Only ids are searched: 24 digits, 0–9 and a–f.' : '';
    tell(told, `${count} found${some}${hint}`);
    show(found);
  };
  const refresh = () => find().catch(() => {});

  byId(`${what}-form`).addEventListener('submit', async (event) => {
    event.preventDefault();
    begins = field.value.trim();
    await find().catch((error) => tell(told, error.message));
    announce(told.textContent);
  });
  feed.addEventListener('connect', refresh);
  keepFresh(feed, () => document.querySelector('dialog[open]') || refresh());
}

/** A button with a short word, and a longer one for who cannot see beside what it stands. */
export function rowButton(word, meaning, act) {
  const button = element('button', { type: 'button', textContent: word, ariaLabel: meaning });
  button.addEventListener('click', act);
  return button;
}
