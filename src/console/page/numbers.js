// What the server tells each second, as numbers and as charts that move.

import { byId, element } from './dom.js';
import { tell } from './live.js';
import uPlot from './vendor/uPlot.esm.js';

/** How far back the charts go, in seconds. */
const SHOWN = 300;
const WHOLE = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 3 });
const MINUTE = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const SECOND = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

const NUMBERS = [
  ['Messages a second', ({ rate }) => FINE.format(rate)],
  ['Commit p50', ({ p50 }) => milliseconds(p50)],
  ['Commit p99', ({ p99 }) => milliseconds(p99)],
  ['Sessions', ({ gauges }) => WHOLE.format(gauges.sessions)],
  ['WebSocket', ({ transports }) => WHOLE.format(transports.websocket)],
  ['Polling', ({ transports }) => WHOLE.format(transports.polling)],
  ['Plain WebSocket', ({ transports }) => WHOLE.format(transports.plain_websocket)],
  ['Waiting to recover', ({ gauges }) => WHOLE.format(gauges.lost_sessions)],
  ['Rooms', ({ gauges }) => WHOLE.format(gauges.rooms)],
  ['Messages in flight', ({ gauges }) => WHOLE.format(gauges.messages_in_flight)],
  ['Rows before Postgres', ({ rows_waiting: rows }) => WHOLE.format(rows)],
  ['Messages since the start', ({ gauges }) => WHOLE.format(gauges.messages_committed)],
];

const milliseconds = (value) => (value === null ? '–' : `≤ ${FINE.format(value)} ms`);

/** The bound of the bucket in which the share of all lies; null where there is none. */
function quantile(counts, bounds, share) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [place, count] of counts.entries()) {
    seen += count;
    if (count > 0 && seen >= share * all) return bounds[place];
  }
  return null;
}

function chart(place, labels) {
  const style = getComputedStyle(document.documentElement);
  const [text, line, accent, warn] = ['--muted', '--line', '--accent', '--warn'].map((name) => style.getPropertyValue(name));
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const options = {
    width: place.clientWidth || 400,
    height: 180,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_, __, newest) => [newest - SHOWN, newest] },
      y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] },
    },
    axes: [{ ...axis, size: 30, incrs: [60, 120], values: (_, times) => times.map((at) => MINUTE.format(at * 1000)) }, axis],
    series: [{}, ...labels.map((label, at) => ({ label, stroke: at ? warn : accent, width: 2, spanGaps: false, points: { show: true, size: 4 } }))],
  };
  const plot = new uPlot(options, [[], ...labels.map(() => [])], place);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 180 })).observe(place);
  return plot;
}

/** Shows what a feed tells. */
export function showNumbers(feed) {
  const rate = chart(byId('rate-chart'), ['messages']);
  const latency = chart(byId('latency-chart'), ['p50', 'p99']);
  const history = [];
  let bounds = [];
  let before;
  feed.addEventListener('connect', ({ detail }) => {
    bounds = detail.bounds_ms;
    before = undefined;
  });
  feed.addEventListener('state', () => {
    if (feed.isConnected || history.length === 0) return;
    document.body.classList.add('stale');
    tell(byId('now-title'), `As it was at ${SECOND.format(history.at(-1).at * 1000)}`);
    tell(byId('warnings'), '');
  });
  feed.addEventListener('stats', ({ detail: stats }) => {
    document.body.classList.remove('stale');
    tell(byId('now-title'), 'Now');
    const now = Date.now() / 1000;
    const counts = stats.messages.map((count, place) => count - (before?.messages[place] ?? count));
    const took = before ? now - before.at : 1;
    const committed = stats.gauges.messages_committed - (before?.committed ?? stats.gauges.messages_committed);
    before = { at: now, messages: stats.messages, committed: stats.gauges.messages_committed };
    const point = { at: now, rate: committed / took, p50: quantile(counts, bounds, 0.5), p99: quantile(counts, bounds, 0.99) };
    history.push(point);
    while (history[0].at < now - SHOWN) history.shift();
    const column = (name) => history.map((one) => one[name]);
    rate.setData([column('at'), column('rate')]);
    latency.setData([column('at'), column('p50'), column('p99')]);
    const shown = NUMBERS.flatMap(([name, value]) => [
      element('dt', { textContent: name }),
      element('dd', { textContent: value({ ...stats, ...point }) }),
    ]);
    byId('numbers').replaceChildren(...pairs(shown));
    const counted = [...Object.entries(stats.refusals), ...Object.entries(stats.closed)].filter(([, count]) => count > 0);
    const listed = counted.flatMap(([name, count]) => [
      element('dt', { textContent: name }),
      element('dd', { textContent: WHOLE.format(count) }),
    ]);
    byId('refusals').replaceChildren(...pairs(listed));
    byId('postgres').classList.toggle('bad', !stats.postgres_up);
    tell(byId('postgres'), `Postgres: ${stats.postgres_up ? 'answers' : 'does not answer'}`);
    const warnings = stats.risks.map((risk) => `Postgres may lose what was committed: ${risk}.`);
    if (stats.draining) warnings.unshift('The server is stopping.');
    tell(byId('warnings'), warnings.join(' '));
  });
}

/** Terms and their values, two by two. */
function pairs(parts) {
  const together = [];
  for (let at = 0; at < parts.length; at += 2) together.push(element('div', {}, parts[at], parts[at + 1]));
  return together;
}
