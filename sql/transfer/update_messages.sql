-- The messages of a chunk that were read or deleted since they were stored; neither is ever taken back. $1 chunk.
UPDATE messages
SET read_at = coalesce(messages.read_at, incoming.read_at),
    deleted_at = coalesce(messages.deleted_at, incoming.deleted_at)
FROM chunks
JOIN incoming ON incoming.conversation_id = chunks.conversation_id AND incoming.is_stored
WHERE chunks.chunk = $1
  AND messages.id = incoming.id
