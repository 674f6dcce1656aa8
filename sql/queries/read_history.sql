-- One page of a conversation, newest first, as one of its participants sees it.
-- No row: unknown, or $2 is not a participant. One row without a message: the page is empty.
-- $1 conversation, $2 reader, $3 limit, $4 offset.
SELECT conversation.last_seq,
       CASE WHEN conversation.creator_id = $2::bytea
            THEN conversation.creator_unread ELSE conversation.recipient_unread END AS unread,
       page.id, page.seq, page.text, page.sent_at, page.read_at,
       sender.id, sender.full_name, sender.profile_picture_url
FROM conversations conversation
LEFT JOIN LATERAL (
    SELECT *
    FROM messages
    WHERE conversation_id = conversation.id AND deleted_at IS NULL
    ORDER BY seq DESC
    LIMIT $3 OFFSET $4
) page ON true
LEFT JOIN users sender ON sender.id = page.sender_id
WHERE conversation.id = $1::bytea
  AND $2::bytea IN (conversation.creator_id, conversation.recipient_id)
ORDER BY page.seq DESC
