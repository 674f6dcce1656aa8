// What the user is told of the connection.

import { byId } from './dom.js';

const TEXTS = { connecting: 'Connecting…', connected: 'Connected', reconnecting: 'Reconnecting…', offline: 'Offline' };
const BANNERS = {
  reconnecting: 'The connection is lost. What you write is kept, and sent when it is back.',
  offline: 'This device is offline. What you write is kept, and sent when it is back.',
};
const BACK = {
  recovered: 'Connected again, and nothing was missed.',
  session: 'Connected again. What was missed has been fetched.',
};
/** A short break needs no words. */
const PATIENCE_MS = 700;
const BACK_MS = 5_000;

/** Shows the connection's state, and how it came back. */
export function watchConnection(connection) {
  const banner = byId('banner');
  let timer;
  let told = false;
  const say = (text, kind) => {
    banner.textContent = text;
    banner.dataset.kind = kind;
  };
  const changed = () => {
    const { state } = connection;
    byId('connection').dataset.state = state;
    byId('connection-text').textContent = TEXTS[state];
    clearTimeout(timer);
    if (!BANNERS[state]) return;
    timer = setTimeout(() => {
      told = true;
      say(BANNERS[state], 'lost');
    }, told ? 0 : PATIENCE_MS);
  };
  const back = ({ type }) => {
    // How the last return went.
    byId('connection').dataset.returned = type;
    if (told) say(BACK[type], 'back');
    told = false;
    timer = setTimeout(say, BACK_MS, '', '');
  };
  connection.addEventListener('change', changed);
  for (const name of Object.keys(BACK)) connection.addEventListener(name, back);
  changed();
}
