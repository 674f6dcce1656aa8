-- Who sent messages and to whom, where they are, and whether they are deleted now: waits for who is deleting them.
SELECT sender_id, CASE sender_id WHEN creator_id THEN recipient_id ELSE creator_id END,
       conversation_id, messages.id, seq, deleted_at IS NOT NULL
FROM messages
JOIN conversations ON conversations.id = conversation_id
WHERE messages.id = ANY ($1::bytea[])
FOR SHARE OF messages
