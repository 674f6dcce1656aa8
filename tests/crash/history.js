import { withDatabase } from './cluster.js';

/** What the clients did and saw, in the form that `checker.js` describes. */
export class History {
  attempts = [];
  seen = [];
  reads = [];
  marks = [];
  deletions = [];
  seenDeleted = [];
  joins = [];
  overheard = [];
  refusals = new Map();
  unanswered = [];
  #clock = 0;

  tick() {
    this.#clock += 1;
    return this.#clock;
  }

  /** Notes a send that is about to happen. Its text is its name. */
  attempt(conversation, sender, channel, lane) {
    const sentAt = this.tick();
    const text = `${channel} ${sender} #${sentAt}`;
    const attempt = { text, conversation, sender, channel, lane, sentAt, settledAt: null, outcome: 'unknown' };
    this.attempts.push(attempt);
    return attempt;
  }

  acked(attempt, message) {
    Object.assign(attempt, { outcome: 'acked', settledAt: this.tick(), id: message._id, seq: message.seq });
  }

  refused(attempt, code) {
    Object.assign(attempt, { outcome: 'refused', settledAt: this.tick() });
    this.wasRefused(code);
  }

  wasRefused(code) {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  saw(client, connection, message) {
    const { conversation_id: conversation, _id: id, seq, text } = message;
    this.seen.push({ client, connection, conversation, id, seq, text, sender: message.sender_id._id, at: this.tick() });
  }

  sawRead(client, connection, { conversation_id: conversation, reader_id: reader, up_to_seq: seq }) {
    this.reads.push({ client, connection, conversation, reader, seq });
  }

  /** Notes a deletion that is about to happen. */
  deletion(conversation, by, id) {
    const deletion = { conversation, by, id, askedAt: this.tick(), settledAt: null };
    this.deletions.push(deletion);
    return deletion;
  }

  sawDeleted(client, connection, { conversation_id: conversation, _id: id, seq }) {
    this.seenDeleted.push({ client, connection, conversation, id, seq, at: this.tick() });
  }

  joined(client, connection, conversation) {
    this.joins.push({ client, connection, conversation, at: this.tick() });
  }

  /** How many sends over a socket began while another one over the same connection was not answered. */
  get inFlightTogether() {
    const sends = this.attempts.filter(({ channel, outcome }) => channel === 'socket' && outcome === 'acked');
    const latest = new Map();
    return sends.filter(({ lane, sentAt, settledAt }) => {
      const before = latest.get(lane) ?? 0;
      latest.set(lane, Math.max(before, settledAt));
      return sentAt < before;
    }).length;
  }

  counts(stored) {
    const count = (outcome) => this.attempts.filter((attempt) => attempt.outcome === outcome).length;
    const storedTexts = new Set(stored.map((message) => message.text));
    const unknown = this.attempts.filter((attempt) => attempt.outcome === 'unknown');
    return {
      attempts: this.attempts.length,
      acked: count('acked'),
      refused: count('refused'),
      unknown: unknown.length,
      'unknown and stored': unknown.filter((attempt) => storedTexts.has(attempt.text)).length,
      stored: stored.length,
      seen: this.seen.length,
      reads: this.reads.length,
      marks: this.marks.length,
      deletions: this.deletions.length,
      'deletions seen': this.seenDeleted.length,
      'in flight together': this.inFlightTogether,
      unanswered: this.unanswered.length,
    };
  }
}

/** All that is in the database, deleted or not. */
export function readStored(where) {
  return withDatabase(where, async (client) => {
    const messages = await client.query(
      `SELECT encode(conversation_id, 'hex') AS conversation, encode(id, 'hex') AS id, seq::int AS seq, text,
              encode(sender_id, 'hex') AS sender, client_msg_id AS key, read_at IS NOT NULL AS read,
              deleted_at IS NOT NULL AS deleted
         FROM messages ORDER BY conversation_id, seq`,
    );
    const heads = await client.query(
      `SELECT encode(id, 'hex') AS conversation, last_seq::int AS head FROM conversations`,
    );
    const unread = await client.query(
      `SELECT encode(id, 'hex') AS conversation, encode(creator_id, 'hex') AS reader, creator_unread::int AS counted
         FROM conversations
       UNION ALL
       SELECT encode(id, 'hex'), encode(recipient_id, 'hex'), recipient_unread::int FROM conversations`,
    );
    return {
      stored: messages.rows,
      unread: unread.rows,
      heads: Object.fromEntries(heads.rows.map(({ conversation, head }) => [conversation, head])),
    };
  });
}
