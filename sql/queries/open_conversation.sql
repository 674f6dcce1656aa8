-- The conversation of two users, made where there is none. With a horse: theirs about that horse. Without: the one
-- about no horse, else the last changed. No row: somebody made it at the same moment; run it again.
-- $1 new id, $2 caller, $3 recipient, $4 horse or null, $5 now.
WITH existing AS (
    SELECT *
    FROM conversations
    WHERE least(creator_id, recipient_id) = least($2::bytea, $3::bytea)
      AND greatest(creator_id, recipient_id) = greatest($2::bytea, $3::bytea)
      AND ($4::bytea IS NULL OR coalesce(horse_id::bytea, ''::bytea) = $4::bytea)
    ORDER BY ($4::bytea IS NULL AND horse_id IS NULL) DESC, updated_at DESC
    LIMIT 1
), made AS (
    INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
    SELECT $1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::timestamptz, $5::timestamptz
    WHERE NOT EXISTS (SELECT FROM existing)
    ON CONFLICT DO NOTHING
    RETURNING *
), conversation AS (
    SELECT * FROM existing
    UNION ALL
    SELECT * FROM made
)
SELECT conversation.id, conversation.creator_id, conversation.recipient_id, conversation.horse_id,
       conversation.created_at, conversation.updated_at,
       conversation.last_seq,
       CASE WHEN conversation.creator_id = $2::bytea
            THEN conversation.creator_unread ELSE conversation.recipient_unread END AS unread,
       newest.text, newest.sender_id, newest.sent_at, newest.read_at, newest.seq
FROM conversation
LEFT JOIN LATERAL (
    SELECT text, sender_id, sent_at, read_at, seq
    FROM messages
    WHERE conversation_id = conversation.id AND deleted_at IS NULL
    ORDER BY seq DESC
    LIMIT 1
) newest ON true
