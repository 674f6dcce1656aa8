// Sessions: found by their user, looked at, closed.

import { confirmed } from './confirm.js';
import { announce, byId, element } from './dom.js';
import { keepFresh, renew, tell } from './live.js';
import { id, rowButton, search, tableRow } from './search.js';

const time = (seconds) => {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
};

const TRANSPORTS = { polling: 'Polling', websocket: 'WebSocket', plain_websocket: 'Plain WebSocket' };

/** The last digits, by which the sessions of a user are told apart. */
const end = (text) => text.slice(-6);

/** A session's id where there is little room. */
function ending({ session }) {
  if (!session) return id(null);
  return Object.assign(id(`…${end(session)}`), { title: session });
}

const named = ({ id: connection, session, user }) => `${user ?? 'nobody yet'}, ending in ${end(session ?? connection)}`;

/** Fills a list of terms with pairs. */
function fill(list, entries) {
  const parts = entries.map(([name, value]) =>
    element('div', {}, element('dt', { textContent: name }), element('dd', {}, value ?? '–')));
  renew(list, parts);
}

export function showSessions(feed) {
  search(feed, 'sessions', 'id', (session) => tableRow(
    id(session.user),
    ending(session),
    TRANSPORTS[session.transport],
    time(session.seconds),
    `${session.queued}`,
    rowButton('Details', `Details of the session of ${named(session)}`, () => open(session.id)),
  ));

  let current;
  const look = async (wanted) => {
    const { session, rooms } = await feed.call('session', { id: wanted });
    current = session;
    const refused = session.last_refusal;
    fill(byId('details-list'), [
      ['User', id(session.user)],
      ['Session', id(session.session)],
      ['Transport', TRANSPORTS[session.transport]],
      ['Open for', time(session.seconds)],
      ['Packets received', `${session.received}`],
      ['Packets sent', `${session.sent}`],
      ['Outbox', `${session.queued} packets, ${session.queued_bytes} bytes`],
      ['Not answered yet', `${session.in_flight}`],
      ['Last error', refused ? `${refused.code}, ${time(refused.seconds_ago)} ago` : 'none'],
      ['Closing', session.closing],
      ['Rooms', rooms.length ? element('span', {}, ...rooms.map((room) => element('div', {}, id(room)))) : 'none'],
    ]);
    byId('details-revoke').hidden = !session.user;
  };
  keepFresh(feed, async () => {
    if (!byId('details').open) return;
    await look(current.id).catch((error) => feed.isConnected && tell(byId('details-error'), error.message));
  });

  const open = async (wanted) => {
    byId('details-error').textContent = '';
    try {
      await look(wanted);
      if (!byId('details').open) byId('details').showModal();
      byId('details-title').focus();
    } catch (error) {
      announce(error.message);
      byId('sessions-count').textContent = error.message;
    }
  };

  const act = async (question, event, data, done) => {
    if (!(await confirmed(question))) return;
    try {
      await feed.call(event, data);
      byId('details').close();
      announce(done);
      feed.dispatchEvent(new Event('acted'));
    } catch (error) {
      byId('details-error').textContent = error.message;
    }
  };

  byId('details-close-session').addEventListener('click', () => act({
    title: 'Close this session?',
    text: `Its client, of the user ${current.user ?? 'nobody yet'}, connects again by itself.`,
    yes: 'Close the session',
  }, 'close_session', { id: current.id }, 'The session is closed.'));
  byId('details-revoke').addEventListener('click', () => act({
    title: 'Revoke this user\'s tokens?',
    text: `All sessions of ${current.user} are closed, and the user has to log in again. It cannot be taken back.`,
    yes: 'Revoke',
  }, 'revoke', { userId: current.user }, 'The user\'s tokens are revoked.'));
  byId('details-done').addEventListener('click', () => byId('details').close());
}
