// What a message and a conversation look like on the wire, to the field.
import assert from 'node:assert/strict';

export const ID = /^[0-9a-f]{24}$/;
export const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const MESSAGE_KEYS = ['_id', 'conversation_id', 'is_read', 'read_at', 'sender_id', 'sent_at', 'seq', 'text'];
const CONVERSATION_KEYS = [
  '_id',
  'created_at',
  'head_seq',
  'horse_id',
  'last_message',
  'participants',
  'unread_count',
  'updated_at',
];

/** How a user is shown where an id is populated. */
export const profile = ({ id, full_name, profile_picture_url }) => ({ _id: id, full_name, profile_picture_url });

/** A stored, unread message by `sender`, in the form of GET, `new_message` and the send ack. */
export function assertMessage(message, { sender, conversation, text, seq }) {
  assert.deepEqual(message?.sender_id, profile(sender));
  assertUnreadFields(message, { conversation, text, seq });
}

/** The same in the form of the POST reply, whose sender is a plain id. */
export function assertPostedMessage(message, { sender, conversation, text, seq }) {
  assert.equal(message?.sender_id, sender.id);
  assertUnreadFields(message, { conversation, text, seq });
}

function assertUnreadFields(message, { conversation, text, seq }) {
  assert.deepEqual(Object.keys(message).sort(), MESSAGE_KEYS);
  assert.match(message._id, ID);
  assert.equal(message.conversation_id, conversation);
  assert.equal(message.text, text);
  assert.equal(message.is_read, false);
  assert.equal(message.read_at, null);
  assert.match(message.sent_at, TIMESTAMP);
  assert.ok(Number.isInteger(message.seq) && message.seq > 0, `seq ${message.seq}`);
  if (seq !== undefined) assert.equal(message.seq, seq);
}

export function assertConversation(conversation, { horse = null } = {}) {
  assert.deepEqual(Object.keys(conversation).sort(), CONVERSATION_KEYS);
  assert.match(conversation._id, ID);
  assert.match(conversation.created_at, TIMESTAMP);
  assert.match(conversation.updated_at, TIMESTAMP);
  assert.equal(conversation.horse_id, horse);
}

export const seqs = (messages) => messages.map(({ seq }) => seq);
export const texts = (messages) => messages.map(({ text }) => text);

/** from, from + 1, …, to */
export const range = (from, to) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
