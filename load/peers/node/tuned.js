// The same service with what an engineer would do next: one prepared statement a message, profiles in memory.
import { serve } from './chat_server.js';
import { newId, toBytes, toHex } from './object_id.js';
import { Store, message, profile } from './store.js';

const APPEND_MESSAGE = {
  name: 'append_message',
  text: `WITH conversation AS (
           UPDATE conversations SET last_message = $1, updated_at = $5
           WHERE id = $2 AND $3 IN (creator_id, recipient_id)
           RETURNING id, creator_id, recipient_id
         ), stored AS (
           INSERT INTO messages (id, conversation_id, sender_id, text, sent_at)
           SELECT $1, id, $3, $4, $5 FROM conversation
         )
         SELECT CASE WHEN creator_id = $3 THEN recipient_id ELSE creator_id END AS other_id FROM conversation`,
};

// All parts see the same snapshot, so the page shows the state before the marks. One row without a message: the page
// is empty.
const READ_PAGE = {
  name: 'read_page',
  text: `WITH conversation AS (
           SELECT id FROM conversations WHERE id = $1 AND $2 IN (creator_id, recipient_id)
         ), marked AS (
           UPDATE messages SET is_read = true, read_at = $5
           WHERE conversation_id = (SELECT id FROM conversation)
             AND sender_id <> $2 AND NOT is_read AND deleted_at IS NULL
         )
         SELECT page.*
         FROM conversation
         LEFT JOIN LATERAL (
           SELECT id, conversation_id, sender_id, text, is_read, read_at, sent_at
           FROM messages
           WHERE conversation_id = conversation.id AND deleted_at IS NULL
           ORDER BY sent_at DESC, id DESC
           LIMIT $3 OFFSET $4
         ) page ON true
         ORDER BY page.sent_at, page.id`,
};

const FIND_PROFILE = {
  name: 'find_profile',
  text: 'SELECT id, full_name, profile_picture_url FROM users WHERE id = $1',
};

class TunedStore extends Store {
  /** Profiles by user: they change through this process only. */
  #profiles = new Map();

  /** Stores a message. null: unknown, or the sender is not a participant. */
  async sendMessage(conversationId, senderId, text) {
    const sender = await this.#profile(senderId);
    const id = newId();
    const sentAt = new Date();
    const { rows } = await this.pool.query({
      ...APPEND_MESSAGE,
      values: [id, toBytes(conversationId), toBytes(senderId), text, sentAt],
    });
    if (rows.length === 0) return null;
    return {
      message: {
        _id: toHex(id),
        conversation_id: conversationId,
        sender_id: sender,
        text,
        is_read: false,
        read_at: null,
        sent_at: sentAt,
      },
      recipientId: toHex(rows[0].other_id),
    };
  }

  /** A page, oldest first, as it was before everything of the other became read. null: not the reader's. */
  async readPage(conversationId, readerId, page, limit) {
    const { rows } = await this.pool.query({
      ...READ_PAGE,
      values: [toBytes(conversationId), toBytes(readerId), limit, (page - 1) * limit, new Date()],
    });
    if (rows.length === 0) return null;
    const stored = rows.filter((row) => row.id !== null);
    return Promise.all(stored.map(async (row) => message(row, await this.#profile(toHex(row.sender_id)))));
  }

  async putUser(id, fullName, pictureUrl) {
    const stored = await super.putUser(id, fullName, pictureUrl);
    this.#profiles.set(id, stored);
    return stored;
  }

  /** undefined for somebody who has none: he is in no conversation either. */
  async #profile(id) {
    let found = this.#profiles.get(id);
    if (found === undefined) {
      const { rows } = await this.pool.query({ ...FIND_PROFILE, values: [toBytes(id)] });
      if (rows.length === 0) return undefined;
      found = profile(rows[0].id, rows[0].full_name, rows[0].profile_picture_url);
      this.#profiles.set(id, found);
    }
    return found;
  }
}

await serve(new TunedStore());
