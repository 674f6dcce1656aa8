-- Messages of a conversation before a seq, newest first, as one of its participants sees it.
-- One row without a message: there are none.
-- $1 conversation, $2 reader, $3 seq, $4 limit.
SELECT conversation.last_seq,
       CASE WHEN conversation.creator_id = $2::bytea
            THEN conversation.creator_unread ELSE conversation.recipient_unread END AS unread,
       page.id, page.seq, page.sender_id, page.text, page.sent_at, page.read_at
FROM conversations conversation
LEFT JOIN LATERAL (
    SELECT id, seq, sender_id, text, sent_at, read_at
    FROM messages
    WHERE conversation_id = conversation.id AND deleted_at IS NULL AND seq < $3
    ORDER BY seq DESC
    LIMIT $4
) page ON true
WHERE conversation.id = $1::bytea
ORDER BY page.seq DESC
