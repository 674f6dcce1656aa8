SELECT id, creator_id, recipient_id, horse_id, created_at, updated_at, last_seq,
       (
           SELECT messages.id
           FROM messages
           WHERE messages.conversation_id = conversations.id AND messages.deleted_at IS NULL
           ORDER BY messages.seq DESC
           LIMIT 1
       ) AS last_message
FROM conversations
ORDER BY id
