// The console: a token, then what it opens.

import { confirmed, prepareConfirm } from './confirm.js';
import { announce, byId } from './dom.js';
import { Feed } from './feed.js';
import { showNumbers } from './numbers.js';
import { showSessions } from './sessions.js';
import { showRooms } from './ways.js';

const KEPT = 'console token';

function signIn(error = '') {
  byId('console').hidden = true;
  byId('sign-in').hidden = false;
  byId('sign-in-error').textContent = error;
  byId('token').focus();
}

function open(token) {
  byId('sign-in').hidden = true;
  byId('console').hidden = false;
  const feed = new Feed(token);
  feed.addEventListener('state', ({ detail }) => {
    byId('state').textContent = detail;
    if (!feed.isConnected) byId('announcer').replaceChildren();
  });
  byId('state').textContent = 'Connecting…';
  feed.addEventListener('refused', ({ detail }) => {
    sessionStorage.setItem(KEPT, JSON.stringify({ error: detail }));
    location.reload();
  });
  byId('sign-out').addEventListener('click', () => {
    sessionStorage.removeItem(KEPT);
    feed.end();
    location.reload();
  });
  byId('drain').addEventListener('click', async () => {
    const yes = await confirmed({
      title: 'Stop the server?',
      text: 'No new connections; clients are told when to come back, what was accepted is committed and answered, and the process ends.',
      yes: 'Stop the server',
    });
    if (yes) await feed.call('drain').then(() => announce('The server is stopping.'), (error) => announce(error.message));
  });
  showNumbers(feed);
  showSessions(feed);
  showRooms(feed);
}

prepareConfirm();
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = byId('token').value.trim();
  sessionStorage.setItem(KEPT, JSON.stringify({ token }));
  open(token);
});
const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? '{}');
sessionStorage.removeItem(KEPT);
if (kept.token) {
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  open(kept.token);
} else {
  signIn(kept.error);
}
