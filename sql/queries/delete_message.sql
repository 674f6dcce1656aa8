-- Deletes a message by its sender: it stays, and is shown nowhere any more. Triggers move the counts.
-- Returns where the message is, the other participant, whether the caller may delete it, and whether it was not deleted before;
-- nothing to those who are not in its conversation.
-- $1 message, $2 caller, $3 when.
WITH found AS MATERIALIZED (
    SELECT messages.conversation_id, messages.seq, messages.sender_id = $2::bytea AS by_sender,
           CASE $2::bytea WHEN creator_id THEN conversations.recipient_id ELSE creator_id END AS other
    FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id
    WHERE messages.id = $1::bytea
      AND $2::bytea IN (conversations.creator_id, conversations.recipient_id)
), locked AS MATERIALIZED (
    -- First, as everybody does who changes messages.
    SELECT conversations.id
    FROM conversations
    JOIN found ON found.conversation_id = conversations.id AND found.by_sender
    FOR NO KEY UPDATE OF conversations
), deleted AS (
    UPDATE messages
    SET deleted_at = $3
    FROM locked
    WHERE messages.id = $1::bytea AND messages.conversation_id = locked.id AND messages.deleted_at IS NULL
    RETURNING messages.id
)
SELECT found.conversation_id, found.seq, found.other, found.by_sender, EXISTS (SELECT FROM deleted)
FROM found
-- Also where it was deleted before: a commit that has locked something waits for a synchronous standby, which may not have the
-- deletion yet.
LEFT JOIN locked ON locked.id = found.conversation_id
