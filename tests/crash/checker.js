/**
 * The promises of the server, as a pure function over what was recorded and what is stored.
 *
 * A history holds
 *
 *   attempts  every send: { text, conversation, sender, channel, lane, sentAt, settledAt,
 *             outcome: 'acked' | 'refused' | 'unknown', id, seq }; where `channel` is 'socket', `lane` names one
 *             connection of one sender, whose sends are handled in order; `sentAt` and `settledAt` are ticks of one clock
 *             that never repeats a value; `id` and `seq` are those of the ack
 *   seen      every new_message, in the order of arrival: { client, connection, conversation, id, seq, text, sender, at }
 *   stored    the messages of the database: { conversation, id, seq, text, sender }
 *   heads     conversation -> the last number it has given out
 *   reads     every message_read, in the order of arrival: { client, connection, conversation, reader, seq }
 *   marks     every acked mark_read: { conversation, reader, seq }
 *   deletions every deletion: { conversation, by, id, askedAt, settledAt }, ticks; the latter null where none was acked
 *   seenDeleted every message_deleted, in the order of arrival: { client, connection, conversation, id, seq, at }
 *   joins     when connections came into their conversation, which they did not leave: { client, connection, conversation, at }
 *   unread    what the database counts as unread: { conversation, reader, counted }
 *   overheard every event that a client got who is in no conversation: { client, event }
 *   refusals  code -> how often a participant was refused so
 *   unanswered what got no answer, though its connection went on: { client, event }
 *
 * A stored message also has `read`, whether the other one has read it, `deleted`, and `key`, its client_msg_id if it has one.
 * A client whose session is recovered goes on with the same `connection`; one that follows by seq has one connection for all
 * its life.
 *
 * Texts are unique, so a text is the name of an attempt. The answer is a list of { rule, detail }; empty is good.
 */
export function violations(history) {
  return Object.entries(RULES).flatMap(([rule, broken]) => broken(history).map((detail) => ({ rule, detail })));
}

/** What a participant may be told while something fails; NOT_FOUND, say, would be a lie. */
const PASSING = new Set(['OVERLOADED', 'INTERNAL', 'RATE_LIMITED']);

export const RULES = {
  'an acked message is stored exactly once': ({ attempts, stored }) => {
    const copies = countBy(stored, 'text');
    return acked(attempts)
      .filter((attempt) => copies.get(attempt.text) !== 1)
      .map((attempt) => `${attempt.text}: acked as seq ${attempt.seq}, stored ${copies.get(attempt.text) ?? 0} times`);
  },

  'an ack tells what is stored': ({ attempts, stored }) => {
    const byText = indexBy(stored, 'text');
    return acked(attempts).flatMap((attempt) => differences(attempt, byText.get(attempt.text), 'ack'));
  },

  'acks of one sender come in the order of seq': ({ attempts }) =>
    acked(attempts)
      .sort((a, b) => a.settledAt - b.settledAt)
      .flatMap(risingWithin((attempt) => `${attempt.conversation} ${attempt.sender} ${attempt.channel}`)),

  'a refused message is not stored': ({ attempts, stored }) => {
    const byText = indexBy(stored, 'text');
    return attempts
      .filter((attempt) => attempt.outcome === 'refused' && byText.has(attempt.text))
      .map((attempt) => `${attempt.text}: refused, stored as seq ${byText.get(attempt.text).seq}`);
  },

  'no message is stored twice': ({ stored }) =>
    [...countBy(stored, 'text')].filter(([, copies]) => copies > 1).map(([text, copies]) => `${text}: ${copies} times`),

  'every stored message was sent by its sender': ({ attempts, stored }) => {
    const byText = indexBy(attempts, 'text');
    return stored.flatMap((message) => {
      const attempt = byText.get(message.text);
      const known = attempt && attempt.sender === message.sender && attempt.conversation === message.conversation;
      return known ? [] : [`${message.text}: stored for ${message.sender} in ${message.conversation}, never so sent`];
    });
  },

  'a message that was seen is stored as it was seen': ({ seen, stored }) => {
    const byText = indexBy(stored, 'text');
    return seen.flatMap((event) => differences(event, byText.get(event.text), `seen by ${event.client}`));
  },

  'seq runs from 1 without a gap': ({ stored, heads }) => {
    const byConversation = groupBy(stored, (message) => message.conversation);
    return Object.entries(heads).flatMap(([conversation, head]) => {
      const numbers = (byConversation.get(conversation) ?? []).map((message) => message.seq).sort((a, b) => a - b);
      const wrong = numbers.findIndex((seq, index) => seq !== index + 1);
      if (wrong >= 0) return [`${conversation}: ${numbers[wrong]} at place ${wrong + 1}`];
      return head === numbers.length ? [] : [`${conversation}: ${numbers.length} messages, last number ${head}`];
    });
  },

  'a client sees messages in the order of seq, each once': ({ seen }) =>
    seen.flatMap(risingWithin((event) => `${event.conversation} ${event.client}`)),

  'a connection that stays sees every message that is not deleted': ({ seen, stored }) => {
    const last = new Map();
    const isDeleted = new Set(stored.filter((m) => m.deleted).map((m) => `${m.conversation} ${m.seq}`));
    return seen.flatMap((event) => {
      const { conversation, seq } = event;
      const key = place(event);
      const before = last.get(key) ?? seq;
      last.set(key, seq);
      const between = Array.from({ length: Math.max(seq - before - 1, 0) }, (_, index) => before + 1 + index);
      return between
        .filter((missing) => !isDeleted.has(`${conversation} ${missing}`))
        .map((missing) => `${key}: ${seq} after ${before}, without ${missing}`);
    });
  },

  'sends of one connection are stored in the order sent': ({ attempts, stored }) => {
    const byText = indexBy(stored, 'text');
    return attempts
      .filter((attempt) => attempt.channel === 'socket' && byText.has(attempt.text))
      .sort((a, b) => a.sentAt - b.sentAt)
      .map((attempt) => ({ ...attempt, seq: byText.get(attempt.text).seq }))
      .flatMap(risingWithin((attempt) => attempt.lane));
  },

  'a key is stored once': ({ stored }) => {
    const named = stored.filter((message) => message.key);
    const copies = [...groupBy(named, ({ conversation, sender, key }) => `${conversation} ${sender} ${key}`)];
    return copies.filter(([, group]) => group.length > 1).map(([name, group]) => `${name}: ${group.length} times`);
  },

  'reads never move backwards': ({ reads }) => {
    const last = new Map();
    return reads.flatMap(({ client, connection, conversation, reader, seq }) => {
      const key = `${client} #${connection} ${conversation} ${reader}`;
      const before = last.get(key) ?? 0;
      last.set(key, seq);
      return seq >= before ? [] : [`${key}: ${seq} after ${before}`];
    });
  },

  'what was acked as read is read': ({ marks, stored }) => {
    const upTo = new Map();
    for (const { conversation, reader, seq } of marks) {
      const key = `${conversation} ${reader}`;
      upTo.set(key, { conversation, reader, seq: Math.max(seq, upTo.get(key)?.seq ?? 0) });
    }
    return [...upTo.values()].flatMap(({ conversation, reader, seq }) =>
      stored
        .filter((m) => m.conversation === conversation && m.sender !== reader && m.seq <= seq && !m.read && !m.deleted)
        .map((m) => `${m.text}: seq ${m.seq}, not read, though ${reader} read up to ${seq}`));
  },

  'what was acked as deleted is deleted': ({ deletions, stored }) => {
    const byId = indexBy(stored, 'id');
    return deletions
      .filter(({ settledAt, id }) => settledAt !== null && !byId.get(id)?.deleted)
      .map(({ id, by }) => `${id}: not deleted, though ${by} was told so`);
  },

  'what is deleted its sender has deleted': ({ deletions, stored }) => {
    const asked = new Set(deletions.map(({ id, by }) => `${id} ${by}`));
    return stored.filter((m) => m.deleted && !asked.has(`${m.id} ${m.sender}`)).map((m) => `${m.text}: nobody asked for it`);
  },

  'a deletion that was seen is one': ({ seenDeleted, stored }) => {
    const byId = indexBy(stored.filter((m) => m.deleted), 'id');
    return seenDeleted
      .filter(({ id, conversation, seq }) => byId.get(id)?.conversation !== conversation || byId.get(id).seq !== seq)
      .map(({ client, id, seq }) => `${client}: told that ${id}, seq ${seq}, is deleted`);
  },

  'a connection that stays is told of every deletion before what is sent after it': ({ joins, seen, attempts, ...history }) => {
    const byText = indexBy(attempts, 'text');
    const sentAt = ({ text }) => byText.get(text)?.sentAt ?? 0;
    const arrived = groupBy(seen, place);
    const newest = new Map([...arrived].map(([key, events]) => [key, Math.max(...events.map(sentAt))]));
    const told = new Map(history.seenDeleted.toReversed().map((event) => [`${place(event)} ${event.id}`, event.at]));
    return joins.flatMap((join) =>
      history.deletions
        .filter(({ conversation, askedAt }) => conversation === join.conversation && askedAt > join.at)
        .filter(({ settledAt }) => settledAt !== null && settledAt < (newest.get(place(join)) ?? 0))
        .filter(({ id, settledAt }) => {
          const later = arrived.get(place(join)).find((event) => sentAt(event) > settledAt);
          return !(told.get(`${place(join)} ${id}`) < later.at);
        })
        .map(({ id, by }) => `${place(join)}: not told in time that ${by} has deleted ${id}`));
  },

  'what is counted as unread is unread': ({ unread, stored }) =>
    unread.flatMap(({ conversation, reader, counted }) => {
      const others = stored.filter((m) => m.conversation === conversation && m.sender !== reader && !m.read && !m.deleted);
      return others.length === counted ? [] : [`${conversation} ${reader}: ${counted} counted, ${others.length} unread`];
    }),

  'a participant is refused for a time only': ({ refusals }) =>
    [...refusals].filter(([code]) => !PASSING.has(code)).map(([code, times]) => `${code}: ${times} times`),

  'what is asked is answered, or its connection ends': ({ unanswered }) =>
    unanswered.map(({ client, event }) => `${client}: ${event}`),

  'who is in no conversation hears nothing': ({ overheard }) => overheard.map(({ client, event }) => `${client}: ${event}`),

  'what was acked before a send has a smaller seq': ({ attempts }) =>
    [...groupBy(acked(attempts), (attempt) => attempt.conversation).values()].flatMap((group) => {
      let earliest = { settledAt: Infinity };
      return group
        .sort((a, b) => b.seq - a.seq)
        .flatMap((attempt) => {
          const later = earliest;
          if (attempt.settledAt < earliest.settledAt) earliest = attempt;
          return attempt.sentAt < later.settledAt ? [] : [`${attempt.text}: sent after the ack of ${later.text}`];
        });
    }),
};

/** One connection's stay in one conversation, as a name. */
function place({ client, connection, conversation }) {
  return `${client} #${connection} ${conversation}`;
}

function acked(attempts) {
  return attempts.filter((attempt) => attempt.outcome === 'acked');
}

/** What the record says otherwise than the database; a message that is not there at all differs too. */
function differences(record, stored, source) {
  if (!stored) return [`${record.text}: ${source}, not stored`];
  return ['id', 'seq', 'conversation', 'sender']
    .filter((field) => record[field] !== stored[field])
    .map((field) => `${record.text}: ${source} with ${field} ${record[field]}, stored with ${stored[field]}`);
}

/** For flatMap: complains wherever seq does not rise within its group. */
function risingWithin(group) {
  const last = new Map();
  return (entry) => {
    const key = group(entry);
    const before = last.get(key) ?? 0;
    last.set(key, Math.max(before, entry.seq));
    return entry.seq > before ? [] : [`${key}: ${entry.seq} after ${before} (${entry.text})`];
  };
}

function countBy(entries, field) {
  const counts = new Map();
  for (const entry of entries) counts.set(entry[field], (counts.get(entry[field]) ?? 0) + 1);
  return counts;
}

function indexBy(entries, field) {
  return new Map(entries.map((entry) => [entry[field], entry]));
}

function groupBy(entries, group) {
  const groups = new Map();
  for (const entry of entries) {
    const key = group(entry);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(entry);
  }
  return groups;
}
