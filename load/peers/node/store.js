// What both variants ask Postgres in the same way. A variant adds `sendMessage` and `readPage`.
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { DATABASE_URL, POOL_SIZE } from './config.js';
import { newId, toBytes, toHex } from './object_id.js';

export class Store {
  /** Participants by conversation: they never change. */
  #participants = new Map();

  constructor() {
    this.pool = new pg.Pool({ connectionString: DATABASE_URL, max: POOL_SIZE, idleTimeoutMillis: 0 });
    this.pool.on('error', (error) => console.error('an idle connection to Postgres failed:', error.message));
  }

  async createSchema() {
    await this.pool.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'));
  }

  /** Whether the user is one of the conversation's two. */
  async isParticipant(conversationId, userId) {
    let participants = this.#participants.get(conversationId);
    if (participants === undefined) {
      const { rows } = await this.pool.query('SELECT creator_id, recipient_id FROM conversations WHERE id = $1', [
        toBytes(conversationId),
      ]);
      if (rows.length === 0) return false;
      participants = [toHex(rows[0].creator_id), toHex(rows[0].recipient_id)];
      this.#participants.set(conversationId, participants);
    }
    return participants.includes(userId);
  }

  async putUser(id, fullName, pictureUrl) {
    await this.pool.query(
      `INSERT INTO users (id, full_name, profile_picture_url) VALUES ($1, $2, $3)
       ON CONFLICT (id) DO UPDATE
       SET full_name = excluded.full_name, profile_picture_url = excluded.profile_picture_url`,
      [toBytes(id), fullName, pictureUrl],
    );
    return { _id: id, full_name: fullName, profile_picture_url: pictureUrl };
  }

  async userExists(id) {
    const { rowCount } = await this.pool.query('SELECT FROM users WHERE id = $1', [toBytes(id)]);
    return rowCount === 1;
  }

  /** The conversation of these two, about the horse if one is given; made if there is none. */
  async openConversation(callerId, recipientId, horseId) {
    const caller = toBytes(callerId);
    const recipient = toBytes(recipientId);
    const horse = horseId === null ? null : toBytes(horseId);
    const find = async () => {
      const { rows } = await this.pool.query(
        `SELECT ${CONVERSATION}
         FROM conversations c
         LEFT JOIN messages m ON m.id = c.last_message AND m.deleted_at IS NULL
         WHERE least(c.creator_id, c.recipient_id) = least($1::bytea, $2::bytea)
           AND greatest(c.creator_id, c.recipient_id) = greatest($1::bytea, $2::bytea)
           AND ($3::bytea IS NULL OR c.horse_id = $3)
         ORDER BY ($3::bytea IS NULL AND c.horse_id IS NULL) DESC, c.updated_at DESC
         LIMIT 1`,
        [caller, recipient, horse],
      );
      return rows[0];
    };
    let row = await find();
    if (row === undefined) {
      await this.pool.query(
        `INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT DO NOTHING`,
        [newId(), caller, recipient, horse, new Date()],
      );
      // Ours, or what a concurrent call made.
      row = await find();
    }
    return conversation(row, [toHex(row.creator_id), toHex(row.recipient_id)]);
  }

  async listConversations(userId) {
    const { rows } = await this.pool.query(
      `SELECT ${CONVERSATION},
              creator.full_name AS creator_name, creator.profile_picture_url AS creator_picture,
              recipient.full_name AS recipient_name, recipient.profile_picture_url AS recipient_picture
       FROM conversations c
       JOIN users creator ON creator.id = c.creator_id
       JOIN users recipient ON recipient.id = c.recipient_id
       LEFT JOIN messages m ON m.id = c.last_message AND m.deleted_at IS NULL
       WHERE c.creator_id = $1 OR c.recipient_id = $1
       ORDER BY c.updated_at DESC, c.id DESC`,
      [toBytes(userId)],
    );
    return rows.map((row) =>
      conversation(row, [
        profile(row.creator_id, row.creator_name, row.creator_picture),
        profile(row.recipient_id, row.recipient_name, row.recipient_picture),
      ]),
    );
  }

  async countUnread(userId) {
    const { rows } = await this.pool.query(
      `SELECT count(*)::int AS unread
       FROM conversations c
       JOIN messages m ON m.conversation_id = c.id
       WHERE (c.creator_id = $1 OR c.recipient_id = $1)
         AND m.sender_id <> $1 AND NOT m.is_read AND m.deleted_at IS NULL`,
      [toBytes(userId)],
    );
    return rows[0].unread;
  }
}

const CONVERSATION = `c.id, c.creator_id, c.recipient_id, c.horse_id, c.created_at, c.updated_at,
                      m.text AS last_text, m.sender_id AS last_sender, m.sent_at AS last_sent_at, m.is_read AS last_is_read`;

function conversation(row, participants) {
  return {
    _id: toHex(row.id),
    participants,
    horse_id: row.horse_id && toHex(row.horse_id),
    last_message: row.last_sender && {
      text: row.last_text,
      sender_id: toHex(row.last_sender),
      sent_at: row.last_sent_at,
      is_read: row.last_is_read,
    },
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

export const profile = (id, fullName, pictureUrl) => ({
  _id: toHex(id),
  full_name: fullName,
  profile_picture_url: pictureUrl,
});

/** A row of `messages` as clients see it; `sender` is the populated profile. */
export const message = (row, sender) => ({
  _id: toHex(row.id),
  conversation_id: toHex(row.conversation_id),
  sender_id: sender,
  text: row.text,
  is_read: row.is_read,
  read_at: row.read_at,
  sent_at: row.sent_at,
});
