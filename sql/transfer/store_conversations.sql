-- Of two users' conversations about one horse the oldest, unless there is one already. A conversation that is there stays as
-- it is.
INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
SELECT DISTINCT ON (least(creator_id, recipient_id), greatest(creator_id, recipient_id), coalesce(horse_id::bytea, ''::bytea))
       id, creator_id, recipient_id, horse_id, created_at, updated_at
FROM staged_conversations staged
WHERE EXISTS (SELECT FROM users WHERE users.id = creator_id)
  AND EXISTS (SELECT FROM users WHERE users.id = recipient_id)
  AND NOT EXISTS (SELECT FROM conversations stored WHERE stored.id = staged.id)
ORDER BY least(creator_id, recipient_id), greatest(creator_id, recipient_id), coalesce(horse_id::bytea, ''::bytea),
         created_at, id
ON CONFLICT DO NOTHING
