-- The new messages of a chunk, numbered by time. $1 chunk.
INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at, read_at, deleted_at, client_msg_id)
SELECT conversation_id,
       CASE WHEN keeps_seqs THEN seq ELSE last_seq + place END,
       id, sender_id, text, sent_at, read_at, deleted_at,
       -- Two conversations that become one may have used a name twice.
       CASE WHEN is_first_of_name AND NOT EXISTS (
           SELECT FROM messages stored
           WHERE stored.conversation_id = numbered.conversation_id
             AND stored.sender_id = numbered.sender_id
             AND stored.client_msg_id = numbered.client_msg_id
       ) THEN client_msg_id END
FROM (
    SELECT divided.*, chunks.keeps_seqs, conversations.last_seq,
           row_number() OVER (
               PARTITION BY divided.conversation_id ORDER BY divided.sent_at, divided.id
           ) AS place,
           row_number() OVER (
               PARTITION BY divided.conversation_id, divided.sender_id, divided.client_msg_id
               ORDER BY divided.sent_at, divided.id
           ) = 1 AS is_first_of_name
    FROM divided
    JOIN chunks ON chunks.chunk = divided.chunk AND chunks.conversation_id = divided.conversation_id
    JOIN conversations ON conversations.id = divided.conversation_id
    WHERE divided.chunk = $1 AND NOT divided.is_stored
) numbered
