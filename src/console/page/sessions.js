// Sessions: found by their user, looked at, closed.

import { confirmed } from './confirm.js';
import { announce, byId, element } from './dom.js';
import { id, rowButton, search, tableRow } from './search.js';

const time = (seconds) => {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
};

/** Fills a list of terms with pairs. */
function fill(list, entries) {
  const parts = entries.map(([name, value]) =>
    element('div', {}, element('dt', { textContent: name }), element('dd', {}, value ?? '–')));
  list.replaceChildren(...parts);
}

export function showSessions(feed) {
  const find = search(feed, 'sessions', (session) => tableRow(
    id(session.user),
    session.transport,
    time(session.seconds),
    `${session.queued}`,
    rowButton('Details', `Details of the session of ${session.user ?? 'nobody yet'}`, () => open(session.id)),
  ));

  let current;
  const open = async (wanted) => {
    byId('details-error').textContent = '';
    try {
      const { session, rooms } = await feed.call('session', { id: wanted });
      current = session;
      const refused = session.last_refusal;
      fill(byId('details-list'), [
        ['User', id(session.user)],
        ['Session', id(session.session)],
        ['Transport', session.transport],
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
      await find();
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
