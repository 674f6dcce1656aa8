-- What conversations have of their messages, counted anew. $1 chunk.
UPDATE conversations
SET last_seq = counted.last_seq,
    hidden = counted.last_seq - counted.shown,
    creator_unread = counted.creator_unread,
    recipient_unread = counted.recipient_unread,
    creator_read_seq = coalesce(counted.creator_first_unread - 1, counted.last_seq),
    recipient_read_seq = coalesce(counted.recipient_first_unread - 1, counted.last_seq),
    updated_at = counted.updated_at
FROM (
    SELECT here.id,
           greatest(here.last_seq, max(messages.seq)) AS last_seq,
           count(*) FILTER (WHERE deleted_at IS NULL) AS shown,
           count(*) FILTER (WHERE is_unread AND sender_id = here.recipient_id) AS creator_unread,
           count(*) FILTER (WHERE is_unread AND sender_id = here.creator_id) AS recipient_unread,
           min(messages.seq) FILTER (WHERE is_unread AND sender_id = here.recipient_id) AS creator_first_unread,
           min(messages.seq) FILTER (WHERE is_unread AND sender_id = here.creator_id) AS recipient_first_unread,
           greatest(here.updated_at, max(messages.sent_at) FILTER (WHERE deleted_at IS NULL)) AS updated_at
    FROM chunks
    JOIN conversations here ON here.id = chunks.conversation_id
    JOIN messages ON messages.conversation_id = here.id
    CROSS JOIN LATERAL (SELECT messages.read_at IS NULL AND messages.deleted_at IS NULL AS is_unread) state
    WHERE chunks.chunk = $1
    GROUP BY here.id
) counted
WHERE conversations.id = counted.id
