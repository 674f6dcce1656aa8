-- Where the messages of each staged conversation go.
UPDATE staged_conversations staged
SET target = conversations.id
FROM conversations
WHERE least(conversations.creator_id, conversations.recipient_id) = least(staged.creator_id, staged.recipient_id)
  AND greatest(conversations.creator_id, conversations.recipient_id) = greatest(staged.creator_id, staged.recipient_id)
  AND coalesce(conversations.horse_id::bytea, ''::bytea) = coalesce(staged.horse_id::bytea, ''::bytea)
