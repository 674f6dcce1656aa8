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
           greatest(
               here.last_seq,
               max(messages.seq),
               -- The last ones may have been removed for good where they come from.
               CASE WHEN chunks.keeps_seqs THEN (
                   SELECT max(staged.last_seq) FROM staged_conversations staged WHERE staged.target = here.id
               ) END
           ) AS last_seq,
           count(*) FILTER (WHERE deleted_at IS NULL) AS shown,
           count(*) FILTER (WHERE is_unread AND sender_id = here.recipient_id) AS creator_unread,
           count(*) FILTER (WHERE is_unread AND sender_id = here.creator_id) AS recipient_unread,
           min(messages.seq) FILTER (WHERE is_unread AND sender_id = here.recipient_id) AS creator_first_unread,
           min(messages.seq) FILTER (WHERE is_unread AND sender_id = here.creator_id) AS recipient_first_unread,
           CASE WHEN chunks.keeps_seqs THEN here.updated_at
                ELSE greatest(here.updated_at, max(messages.sent_at) FILTER (WHERE deleted_at IS NULL)) END AS updated_at
    FROM chunks
    JOIN conversations here ON here.id = chunks.conversation_id
    JOIN messages ON messages.conversation_id = here.id
    CROSS JOIN LATERAL (SELECT messages.read_at IS NULL AND messages.deleted_at IS NULL AS is_unread) state
    WHERE chunks.chunk = $1
    GROUP BY here.id, chunks.conversation_id, chunks.keeps_seqs
) counted
WHERE conversations.id = counted.id
