import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { RULES, violations } from './checker.js';

const CONVERSATION = 'c1';

function stored(seq, sender = 'ana') {
  const message = { conversation: CONVERSATION, id: `id-${seq}`, seq, text: `text ${seq}`, sender };
  return { ...message, key: null, read: true, deleted: false };
}

function attempt(seq, changes = {}) {
  const channel = { channel: 'socket', lane: 'ana #1', sentAt: seq * 10, settledAt: seq * 10 + 5 };
  return { ...stored(seq), ...channel, outcome: 'acked', ...changes };
}

function seen(seq, changes = {}) {
  return { ...stored(seq), client: 'ben', connection: 1, at: seq * 10 + 6, ...changes };
}

function read(seq) {
  return { client: 'ana', connection: 1, conversation: CONVERSATION, reader: 'ben', seq };
}

/** Three messages, acked, seen and stored as they should be. Each call builds new ones, free to be spoilt. */
function goodHistory() {
  return {
    attempts: [attempt(1), attempt(2), attempt(3)],
    seen: [seen(1), seen(2), seen(3)],
    stored: [stored(1), stored(2), stored(3)],
    heads: { [CONVERSATION]: 3 },
    deletions: [],
    seenDeleted: [],
    joins: [{ client: 'ben', connection: 1, conversation: CONVERSATION, at: 5 }],
    reads: [read(1), read(2)],
    marks: [{ conversation: CONVERSATION, reader: 'ben', seq: 3 }],
    unread: [{ conversation: CONVERSATION, reader: 'ben', counted: 0 }],
    overheard: [],
    refusals: new Map([['OVERLOADED', 2]]),
    unanswered: [],
  };
}

function deletion(seq) {
  return { conversation: CONVERSATION, by: 'ana', id: `id-${seq}`, askedAt: 16, settledAt: 18 };
}

/** As it should be. */
function deleteFirst(history) {
  history.stored[0].deleted = true;
  history.deletions = [deletion(1)];
  history.seenDeleted = [seen(1, { at: 19 })];
}

/** The rules that a history breaks after `spoil` has had its way with a good one. */
function brokenRules(spoil) {
  const history = goodHistory();
  spoil(history);
  return [...new Set(violations(history).map((violation) => violation.rule))].sort();
}

const CASES = [
  {
    name: 'an acked message that is gone',
    spoil: (history) => {
      history.stored.pop();
      history.seen.pop();
      history.heads[CONVERSATION] = 2;
    },
    rules: ['an acked message is stored exactly once', 'an ack tells what is stored'],
  },
  {
    name: 'an acked message stored twice',
    spoil: (history) => {
      history.stored.push({ ...stored(3), seq: 4, id: 'id-4' });
      history.heads[CONVERSATION] = 4;
      history.seen = [];
    },
    rules: [
      'an acked message is stored exactly once',
      'an ack tells what is stored',
      'no message is stored twice',
    ],
  },
  {
    name: 'an ack with another seq than the stored one',
    spoil: (history) => (history.attempts[2].seq = 4),
    rules: ['an ack tells what is stored'],
  },
  {
    name: 'an ack with another id than the stored one',
    spoil: (history) => (history.attempts[0].id = 'id-9'),
    rules: ['an ack tells what is stored'],
  },
  {
    name: 'acks of one sender that swap places',
    spoil: (history) => {
      Object.assign(history.attempts[0], { settledAt: 40 });
      Object.assign(history.attempts[1], { settledAt: 35 });
      Object.assign(history.attempts[2], { settledAt: 50 });
    },
    rules: ['acks of one sender come in the order of seq'],
  },
  {
    name: 'a refused message that is stored',
    spoil: (history) => (history.attempts[1].outcome = 'refused'),
    rules: ['a refused message is not stored'],
  },
  {
    name: 'an unknown message stored twice',
    spoil: (history) => {
      history.attempts[2].outcome = 'unknown';
      history.stored.push({ ...stored(3), seq: 4, id: 'id-4' });
      history.heads[CONVERSATION] = 4;
      history.seen.pop();
    },
    rules: ['no message is stored twice'],
  },
  {
    name: 'a stored message that nobody sent',
    spoil: (history) => {
      history.stored.push(stored(4));
      history.heads[CONVERSATION] = 4;
    },
    rules: ['every stored message was sent by its sender'],
  },
  {
    name: 'a message stored for somebody else',
    spoil: (history) => {
      history.attempts[2].outcome = 'unknown';
      history.stored[2].sender = 'eve';
      history.seen.pop();
    },
    rules: ['every stored message was sent by its sender'],
  },
  {
    name: 'a seen message that is not stored',
    spoil: (history) => {
      history.attempts[2].outcome = 'unknown';
      history.stored.pop();
      history.heads[CONVERSATION] = 2;
    },
    rules: ['a message that was seen is stored as it was seen'],
  },
  {
    name: 'a message seen from another sender',
    spoil: (history) => (history.seen[1].sender = 'eve'),
    rules: ['a message that was seen is stored as it was seen'],
  },
  {
    name: 'a gap in the numbers',
    spoil: (history) => {
      history.attempts.splice(1, 1);
      history.stored.splice(1, 1);
      history.seen = [];
    },
    rules: ['seq runs from 1 without a gap'],
  },
  {
    name: 'a number given to two messages',
    spoil: (history) => {
      history.stored.push({ ...stored(3), id: 'id-4', text: 'text 4' });
      history.attempts.push(attempt(4, { outcome: 'unknown', lane: 'ben #1' }));
    },
    rules: ['seq runs from 1 without a gap'],
  },
  {
    name: 'a last number that has run ahead',
    spoil: (history) => (history.heads[CONVERSATION] = 4),
    rules: ['seq runs from 1 without a gap'],
  },
  {
    name: 'a client that sees two messages the wrong way round',
    spoil: (history) => (history.seen = [seen(2), seen(1)]),
    rules: ['a client sees messages in the order of seq, each once'],
  },
  {
    name: 'a client that sees a message again on its next connection',
    spoil: (history) => history.seen.push(seen(3, { connection: 2 })),
    rules: ['a client sees messages in the order of seq, each once'],
  },
  {
    name: 'a connection that misses a message',
    spoil: (history) => history.seen.splice(1, 1),
    rules: ['a connection that stays sees every message that is not deleted'],
  },
  {
    name: 'an unanswered send stored before an earlier one of its connection',
    spoil: (history) => {
      Object.assign(history.attempts[2], { sentAt: 1, outcome: 'unknown' });
    },
    rules: ['sends of one connection are stored in the order sent'],
  },
  {
    name: 'a key that stands for two messages',
    spoil: (history) => (history.stored[0].key = history.stored[1].key = 'key'),
    rules: ['a key is stored once'],
  },
  {
    name: 'a read that moves backwards',
    spoil: (history) => history.reads.reverse(),
    rules: ['reads never move backwards'],
  },
  {
    name: 'a read that was acked and is not there',
    spoil: (history) => {
      history.stored[1].read = false;
      history.unread[0].counted = 1;
    },
    rules: ['what was acked as read is read'],
  },
  {
    name: 'a count that is not true',
    spoil: (history) => (history.unread[0].counted = 1),
    rules: ['what is counted as unread is unread'],
  },
  {
    name: 'a deletion that was acked and is not there',
    spoil: (history) => {
      deleteFirst(history);
      history.stored[0].deleted = false;
      history.seenDeleted = [];
      history.joins = [];
    },
    rules: ['what was acked as deleted is deleted'],
  },
  {
    name: 'a message that is deleted, and nobody asked for it',
    spoil: (history) => {
      deleteFirst(history);
      history.deletions = [];
    },
    rules: ['what is deleted its sender has deleted'],
  },
  {
    name: 'a message that somebody else has deleted',
    spoil: (history) => {
      deleteFirst(history);
      history.deletions[0].by = 'eve';
    },
    rules: ['what is deleted its sender has deleted'],
  },
  {
    name: 'a client that is told of a deletion which is none',
    spoil: (history) => history.seenDeleted.push(seen(2)),
    rules: ['a deletion that was seen is one'],
  },
  {
    name: 'a client that is told of a deletion in another place',
    spoil: (history) => {
      deleteFirst(history);
      history.seenDeleted.push(seen(1, { seq: 2 }));
    },
    rules: ['a deletion that was seen is one'],
  },
  {
    name: 'a connection that is not told of a deletion',
    spoil: (history) => {
      deleteFirst(history);
      history.seenDeleted[0].connection = 2;
    },
    rules: ['a connection that stays is told of every deletion before what is sent after it'],
  },
  {
    name: 'a connection that is told of a deletion after what was sent after it',
    spoil: (history) => {
      deleteFirst(history);
      history.seenDeleted[0].at = 27;
    },
    rules: ['a connection that stays is told of every deletion before what is sent after it'],
  },
  {
    name: 'a participant who is told a lie',
    spoil: (history) => history.refusals.set('NOT_FOUND', 1),
    rules: ['a participant is refused for a time only'],
  },
  {
    name: 'a request that was forgotten',
    spoil: (history) => history.unanswered.push({ client: 'ana', event: 'mark_read' }),
    rules: ['what is asked is answered, or its connection ends'],
  },
  {
    name: 'a stranger who hears something',
    spoil: (history) => history.overheard.push({ client: 'eve', event: 'new_message' }),
    rules: ['who is in no conversation hears nothing'],
  },
  {
    name: 'a send that gets a smaller number than one acked before it began',
    spoil: (history) => {
      history.attempts[1] = attempt(2, { lane: 'rest', channel: 'rest', sentAt: 36, settledAt: 37 });
    },
    rules: ['what was acked before a send has a smaller seq'],
  },
];

describe('the checker', () => {
  it('finds nothing in a good history', () => {
    assert.deepEqual(violations(goodHistory()), []);
  });

  it('finds nothing wrong with what is deleted', () => {
    const history = goodHistory();
    deleteFirst(history);
    // Seen by nobody, nor read, and deleted before a client came; not acked, and seen or not; the last that somebody saw.
    Object.assign(history.stored[1], { deleted: true, read: false });
    history.seen.splice(1, 1);
    history.deletions.push({ ...deletion(2), askedAt: 4 });
    history.deletions.push({ ...deletion(3), settledAt: null });
    assert.deepEqual(violations(history), []);
    history.stored[2].deleted = true;
    history.seenDeleted.push(seen(3));
    assert.deepEqual(violations(history), []);
    Object.assign(history.deletions.at(-1), { askedAt: 40, settledAt: 42 });
    history.seenDeleted.pop();
    assert.deepEqual(violations(history), []);
  });

  it('finds nothing wrong with what nobody was promised', () => {
    const history = goodHistory();
    // Unknown and stored but unseen; unknown and not stored; refused; missed between two connections.
    history.attempts.push(attempt(4, { outcome: 'unknown' }));
    history.stored.push(stored(4));
    history.heads[CONVERSATION] = 5;
    history.attempts.push(attempt(6, { outcome: 'unknown' }), attempt(7, { outcome: 'refused' }));
    history.attempts.push(attempt(5, { lane: 'ana #2', sentAt: 80, settledAt: 85 }));
    history.stored.push(stored(5));
    history.seen.push(seen(5, { connection: 2 }));
    assert.deepEqual(violations(history), []);
  });

  for (const { name, spoil, rules } of CASES) {
    it(`finds ${name}`, () => assert.deepEqual(brokenRules(spoil), [...rules].sort()));
  }

  it('has a case for each of its rules', () => {
    const covered = new Set(CASES.flatMap((testCase) => testCase.rules));
    assert.deepEqual([...covered].sort(), Object.keys(RULES).sort());
  });
});
