-- The staged messages that are new, changed or wrong; what is stored as it is, is not among them.
CREATE TEMP TABLE incoming AS
SELECT *
FROM (
    SELECT staged.number, staged.line, staged.id, staged.sender_id, staged.text, staged.sent_at, staged.read_at,
           staged.deleted_at, staged.seq, staged.client_msg_id,
           conversations.id AS conversation_id,
           stored.id IS NOT NULL AS is_stored,
           coalesce(
               stored.read_at IS NULL AND staged.read_at IS NOT NULL
               OR stored.deleted_at IS NULL AND staged.deleted_at IS NOT NULL,
               false
           ) AS is_changed,
           CASE
               WHEN row_number() OVER (PARTITION BY staged.id ORDER BY staged.number) > 1
                   THEN '_id: a message before it has the same'
               WHEN conversations.id IS NULL THEN 'conversation_id: the conversation is not there, or was refused'
               WHEN staged.sender_id NOT IN (conversations.creator_id, conversations.recipient_id)
                   THEN 'sender_id: not a participant of the conversation'
               WHEN stored.conversation_id <> conversations.id THEN '_id: a message of another conversation has the same'
           END AS reason
    FROM staged_messages staged
    -- Where one of this id was refused, nobody can tell whose the messages are.
    LEFT JOIN (SELECT DISTINCT ON (id) id, target FROM staged_conversations ORDER BY id, target NULLS FIRST) aimed
        ON aimed.id = staged.conversation_id
    LEFT JOIN conversations
        ON conversations.id = CASE WHEN aimed.id IS NULL THEN staged.conversation_id ELSE aimed.target END
    LEFT JOIN messages stored ON stored.id = staged.id
) resolved
WHERE reason IS NOT NULL OR NOT is_stored OR is_changed
