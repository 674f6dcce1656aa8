// Rooms, and the way of each message of those that are watched: accepted, committed, delivered to whom, when.

import { byId, element } from './dom.js';
import { id, rowButton, search, tableRow } from './search.js';

/** Ways that are shown. */
const SHOWN = 50;
const STEPS = { wait: 'Waits for a batch', commit: 'Is committed', announce: 'Is encoded', deliver: 'Is delivered' };

const ms = (micros) => `${(micros / 1000).toFixed(2)} ms`;

export function showRooms(feed) {
  const watched = new Set();

  const watch = async (conversation) => {
    try {
      await feed.call('watch', { conversation_id: conversation });
      watched.add(conversation.toLowerCase());
      byId('ways-none').textContent = 'Nothing was sent there yet.';
    } catch (error) {
      byId('ways-none').textContent = error.message;
      byId('ways-none').hidden = false;
    }
    chips();
  };

  const unwatch = async (conversation) => {
    watched.delete(conversation);
    chips();
    await feed.call('unwatch', { conversation_id: conversation }).catch(() => {});
  };

  const chips = () => byId('watched').replaceChildren(...[...watched].map((conversation) => {
    const end = rowButton('Stop', `Stop watching ${conversation}`, () => unwatch(conversation));
    return element('li', {}, id(conversation), ' ', end);
  }));

  search(feed, 'rooms', 'conversation_id', (room) => tableRow(
    id(room.conversation_id),
    `${room.sessions.length}`,
    `${room.in_flight}`,
    `${room.head_seq ?? '–'}`,
    rowButton('Watch', `Watch ${room.conversation_id}`, () => watch(room.conversation_id)),
  ));
  byId('watch-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    await watch(byId('watch').value);
    byId('watch').value = '';
  });
  feed.addEventListener('connect', () => [...watched].forEach(watch));
  feed.addEventListener('way', ({ detail: way }) => {
    byId('ways-none').hidden = true;
    byId('ways').prepend(element('li', {}, described(way)));
    while (byId('ways').childElementCount > SHOWN) byId('ways').lastElementChild.remove();
  });
}

function described(way) {
  const outcome = way.refused ? `refused: ${way.refused}` : way.duplicate ? 'sent before' : `seq ${way.seq}`;
  const at = new Date(way.began_ms).toISOString().slice(11, 23);
  const summary = element('summary', {}, `${at} · ${outcome} · ${ms(way.took_us)} · `, id(way.message ?? way.conversation));
  const from = element('p', { className: 'muted' }, 'From ', id(way.sender), ' in ', id(way.conversation));
  const steps = way.steps.map((step) => {
    const bar = element('span', { className: 'bar' });
    bar.style.marginInlineStart = `${(100 * step.at_us) / Math.max(way.took_us, 1)}%`;
    bar.style.width = `${Math.max((100 * step.took_us) / Math.max(way.took_us, 1), 1)}%`;
    const track = element('td', { className: 'track', ariaHidden: 'true' }, bar);
    const name = step.rows > 1 ? `${STEPS.commit}, with ${step.rows - 1} others` : (STEPS[step.step] ?? step.step);
    const to = (step.deliveries ?? []).map(({ event, session, queued }) =>
      element('div', {}, `${event} to `, id(session), queued === 'yes' ? '' : ` (${queued})`));
    const row = tableRow(element('span', {}, name, ...to), ms(step.at_us), ms(step.took_us));
    row.append(track);
    return row;
  });
  const head = ['Step', 'After', 'Takes', ''].map((text) => element('th', { scope: 'col', textContent: text }));
  head[3].append(element('span', { className: 'visually-hidden', textContent: 'Drawn' }));
  const table = element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...steps));
  return element('details', {}, summary, from, element('div', { className: 'table', tabIndex: 0, role: 'group', ariaLabel: 'Steps' }, table));
}
