-- Chunks of whole conversations, each to be stored in a transaction of its own: a conversation is locked for a moment only.
CREATE INDEX ON incoming (conversation_id);
ANALYZE incoming;

CREATE TEMP TABLE chunks AS
SELECT conversation_id,
       -- About so many messages each.
       ((sum(messages) OVER (ORDER BY conversation_id) - 1) / 20000)::int AS chunk,
       messages,
       is_numbered,
       first_seq,
       -- Whether the messages keep the seqs they bring; told when the conversation is locked.
       false AS keeps_seqs
FROM (
    SELECT conversation_id,
           count(*) AS messages,
           count(DISTINCT seq) FILTER (WHERE NOT is_stored) = count(*) FILTER (WHERE NOT is_stored)
               AND min(seq) FILTER (WHERE NOT is_stored) > 0 AS is_numbered,
           min(seq) FILTER (WHERE NOT is_stored) AS first_seq
    FROM incoming
    GROUP BY conversation_id
) counted;

CREATE INDEX ON chunks (chunk);
ANALYZE chunks;
