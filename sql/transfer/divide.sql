-- Chunks of so many messages, each to be stored in a transaction of its own: a conversation is locked for a moment only.
ANALYZE incoming;

-- Conversations whose messages bring the seqs that they had in a database of this server.
CREATE TEMP TABLE numbered AS
SELECT incoming.conversation_id
FROM incoming
JOIN (
    SELECT target, max(last_seq) AS last_seq FROM staged_conversations WHERE id = target GROUP BY target
) staged ON staged.target = incoming.conversation_id
WHERE NOT incoming.is_stored
GROUP BY incoming.conversation_id
HAVING count(DISTINCT incoming.seq) = count(*)
   AND min(incoming.seq) > 0
   AND max(incoming.seq) <= max(staged.last_seq);

CREATE TEMP TABLE divided AS
SELECT incoming.*,
       numbered.conversation_id IS NOT NULL AS is_numbered,
       ((row_number() OVER (
           ORDER BY incoming.conversation_id,
                    CASE WHEN numbered.conversation_id IS NOT NULL THEN incoming.seq END,
                    incoming.sent_at,
                    incoming.id
       ) - 1) / 5000)::int AS chunk
FROM incoming
LEFT JOIN numbered ON numbered.conversation_id = incoming.conversation_id;

CREATE TEMP TABLE chunks AS
SELECT chunk, conversation_id, bool_and(is_numbered) AS is_numbered,
       min(seq) FILTER (WHERE NOT is_stored) AS first_seq,
       -- Whether the messages keep the seqs they bring; told when the conversation is locked.
       false AS keeps_seqs
FROM divided
GROUP BY chunk, conversation_id;

CREATE INDEX ON divided (chunk);
CREATE INDEX ON chunks (chunk);
ANALYZE divided, chunks;
