-- $1 chunk.
SELECT conversations.id
FROM chunks
JOIN conversations ON conversations.id = chunks.conversation_id
WHERE chunks.chunk = $1
ORDER BY conversations.id
FOR NO KEY UPDATE OF conversations
