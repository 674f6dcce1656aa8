-- The messages of a chunk that were read or deleted since they were stored; neither is ever taken back. $1 chunk.
UPDATE messages
SET read_at = coalesce(messages.read_at, divided.read_at),
    deleted_at = coalesce(messages.deleted_at, divided.deleted_at)
FROM divided
WHERE divided.chunk = $1
  AND divided.is_stored
  AND messages.id = divided.id
