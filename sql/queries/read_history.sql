-- One page of a conversation, newest first, as one of its participants sees it.
-- One row without a message: the page is empty. Where no message is hidden, the page's seqs say where it is.
-- $1 conversation, $2 reader, $3 limit, $4 offset.
SELECT conversation.last_seq,
       CASE WHEN conversation.creator_id = $2::bytea
            THEN conversation.creator_unread ELSE conversation.recipient_unread END AS unread,
       page.id, page.seq, page.sender_id, page.text, page.sent_at, page.read_at
FROM conversations conversation
LEFT JOIN LATERAL (
    (
        SELECT id, seq, sender_id, text, sent_at, read_at
        FROM messages
        WHERE conversation_id = conversation.id AND deleted_at IS NULL
          AND conversation.hidden = 0
          AND seq <= conversation.last_seq - least($4, conversation.last_seq)
          AND seq > conversation.last_seq - least($4, conversation.last_seq) - $3
    )
    UNION ALL
    (
        SELECT id, seq, sender_id, text, sent_at, read_at
        FROM messages
        WHERE conversation_id = conversation.id AND deleted_at IS NULL
          AND conversation.hidden > 0
        ORDER BY seq DESC
        LIMIT $3 OFFSET $4
    )
) page ON true
WHERE conversation.id = $1::bytea
ORDER BY page.seq DESC
