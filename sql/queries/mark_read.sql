-- A batch of read marks: everything of the other participant up to a seq becomes read, once.
-- A row that another server changes while this statement waits for it is seen as it is then, but the messages as they were
-- before: then nothing is marked, since the table refuses read_seq beyond last_seq, or unread counts below nothing. The server
-- asks again behind a lock of its own (lock_conversation.sql).
-- Returns where something became read, once a conversation and reader.
-- $1 conversation ids, $2 reader ids, $3 up to which seq, $4 read_at; one element a mark. $5 whether the batch may have been
-- committed before, unheard: then it returns all.
WITH locked AS MATERIALIZED (
    SELECT id, creator_id, recipient_id, last_seq, creator_read_seq, recipient_read_seq
    FROM conversations
    WHERE id = ANY ($1::bytea[])
    ORDER BY id
    FOR NO KEY UPDATE
), wanted AS MATERIALIZED (
    SELECT locked.id AS conversation_id,
           input.reader_id = locked.creator_id AS by_creator,
           input.reader_id,
           CASE WHEN input.reader_id = locked.creator_id
                THEN locked.creator_read_seq ELSE locked.recipient_read_seq END AS read_seq,
           least(max(input.seq), locked.last_seq) AS seq,
           max(input.read_at) AS read_at
    FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::timestamptz[])
        AS input (conversation_id, reader_id, seq, read_at)
    JOIN locked ON locked.id = input.conversation_id
               AND input.reader_id IN (locked.creator_id, locked.recipient_id)
    GROUP BY locked.id, locked.creator_id, locked.last_seq, locked.creator_read_seq,
             locked.recipient_read_seq, input.reader_id
), marked AS (
    UPDATE messages
    SET read_at = wanted.read_at
    FROM wanted
    WHERE messages.conversation_id = wanted.conversation_id
      AND messages.seq > wanted.read_seq
      AND messages.seq <= wanted.seq
      AND messages.sender_id <> wanted.reader_id
      AND messages.read_at IS NULL
      AND messages.deleted_at IS NULL
    RETURNING messages.conversation_id, wanted.by_creator
), moved AS (
    SELECT conversation_id,
           coalesce(max(seq) FILTER (WHERE by_creator), 0) AS creator_seq,
           coalesce(max(seq) FILTER (WHERE NOT by_creator), 0) AS recipient_seq,
           (SELECT count(*) FROM marked
            WHERE marked.conversation_id = wanted.conversation_id AND marked.by_creator) AS by_creator,
           (SELECT count(*) FROM marked
            WHERE marked.conversation_id = wanted.conversation_id AND NOT marked.by_creator) AS by_recipient
    FROM wanted
    GROUP BY conversation_id
), changed AS (
    UPDATE conversations
    SET creator_read_seq = greatest(creator_read_seq, moved.creator_seq),
        recipient_read_seq = greatest(recipient_read_seq, moved.recipient_seq),
        creator_unread = creator_unread - moved.by_creator,
        recipient_unread = recipient_unread - moved.by_recipient
    FROM moved
    WHERE conversations.id = moved.conversation_id
)
SELECT conversation_id, reader_id, greatest(seq, read_seq) AS seq, read_at
FROM wanted
WHERE $5 OR EXISTS (
    SELECT FROM marked
    WHERE marked.conversation_id = wanted.conversation_id AND marked.by_creator = wanted.by_creator
)
