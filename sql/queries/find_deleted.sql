-- Who sent messages, where they are, and whether they are deleted now: waits for who is deleting them.
SELECT sender_id, conversation_id, id, seq, deleted_at IS NOT NULL
FROM messages
WHERE id = ANY ($1::bytea[])
FOR SHARE
