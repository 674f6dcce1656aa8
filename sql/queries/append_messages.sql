-- A batch of messages: locks their conversations in id order, numbers, stores, moves the heads on.
-- Returns the stored ones; a message that is missing has no conversation, or its sender is not in it.
-- $1 message ids, $2 conversation ids, $3 sender ids, $4 texts, $5 sent_at; one element a message, in order.
WITH input AS MATERIALIZED (
    SELECT *
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::timestamptz[])
        WITH ORDINALITY AS row (id, conversation_id, sender_id, text, sent_at, position)
), locked AS MATERIALIZED (
    SELECT id, creator_id, recipient_id, last_seq
    FROM conversations
    WHERE id = ANY ($2::bytea[])
    ORDER BY id
    FOR NO KEY UPDATE
), numbered AS MATERIALIZED (
    SELECT input.*,
           input.sender_id = locked.creator_id AS by_creator,
           locked.last_seq + row_number() OVER (
               PARTITION BY input.conversation_id ORDER BY input.position
           ) AS seq
    FROM input
    JOIN locked ON locked.id = input.conversation_id
               AND input.sender_id IN (locked.creator_id, locked.recipient_id)
), stored AS (
    INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at)
    SELECT conversation_id, seq, id, sender_id, text, sent_at
    FROM numbered
), head AS (
    SELECT conversation_id,
           max(seq) AS seq,
           max(sent_at) AS sent_at,
           count(*) FILTER (WHERE by_creator) AS by_creator,
           count(*) FILTER (WHERE NOT by_creator) AS by_recipient
    FROM numbered
    GROUP BY conversation_id
), moved AS (
    UPDATE conversations
    SET last_seq = head.seq,
        updated_at = greatest(updated_at, head.sent_at),
        recipient_unread = recipient_unread + head.by_creator,
        creator_unread = creator_unread + head.by_recipient
    FROM head
    WHERE conversations.id = head.conversation_id
)
SELECT id, seq
FROM numbered
ORDER BY position
