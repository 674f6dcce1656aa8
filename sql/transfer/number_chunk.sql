-- Messages keep their seqs where these lie behind what is there. $1 chunk.
UPDATE chunks
SET keeps_seqs = coalesce(is_numbered AND first_seq > conversations.last_seq, false)
FROM conversations
WHERE chunks.chunk = $1
  AND conversations.id = chunks.conversation_id
