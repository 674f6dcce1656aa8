// As the existing service is written: each step of a handler is a query of its own, one after the other.
import { serve } from './chat_server.js';
import { newId, toBytes, toHex } from './object_id.js';
import { Store, message, profile } from './store.js';

class FaithfulStore extends Store {
  /** Stores a message. null: unknown, or the sender is not a participant. */
  async sendMessage(conversationId, senderId, text) {
    const sender = toBytes(senderId);
    const conversation = await this.#findConversation(conversationId, sender);
    if (conversation === undefined) return null;

    const {
      rows: [stored],
    } = await this.pool.query(
      'INSERT INTO messages (id, conversation_id, sender_id, text, sent_at) VALUES ($1, $2, $3, $4, $5) RETURNING *',
      [newId(), conversation.id, sender, text, new Date()],
    );

    await this.pool.query('UPDATE conversations SET last_message = $2, updated_at = $3 WHERE id = $1', [
      conversation.id,
      stored.id,
      stored.sent_at,
    ]);

    const {
      rows: [user],
    } = await this.pool.query('SELECT id, full_name, profile_picture_url FROM users WHERE id = $1', [sender]);

    const creator = toHex(conversation.creator_id);
    return {
      message: message(stored, profile(user.id, user.full_name, user.profile_picture_url)),
      recipientId: creator === senderId ? toHex(conversation.recipient_id) : creator,
    };
  }

  /** A page, oldest first, as it was before everything of the other became read. null: not the reader's. */
  async readPage(conversationId, readerId, page, limit) {
    const reader = toBytes(readerId);
    const conversation = await this.#findConversation(conversationId, reader);
    if (conversation === undefined) return null;

    const { rows } = await this.pool.query(
      `SELECT m.*, u.full_name, u.profile_picture_url
       FROM messages m
       JOIN users u ON u.id = m.sender_id
       WHERE m.conversation_id = $1 AND m.deleted_at IS NULL
       ORDER BY m.sent_at DESC, m.id DESC
       LIMIT $2 OFFSET $3`,
      [conversation.id, limit, (page - 1) * limit],
    );

    await this.pool.query(
      `UPDATE messages SET is_read = true, read_at = $3
       WHERE conversation_id = $1 AND sender_id <> $2 AND NOT is_read AND deleted_at IS NULL`,
      [conversation.id, reader, new Date()],
    );

    return rows
      .reverse()
      .map((row) => message(row, profile(row.sender_id, row.full_name, row.profile_picture_url)));
  }

  async #findConversation(conversationId, user) {
    const { rows } = await this.pool.query(
      'SELECT * FROM conversations WHERE id = $1 AND (creator_id = $2 OR recipient_id = $2)',
      [toBytes(conversationId), user],
    );
    return rows[0];
  }
}

await serve(new FaithfulStore());
