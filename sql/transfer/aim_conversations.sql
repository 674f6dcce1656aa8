-- Where the messages of each staged conversation go: to the one of this id, else to the one about the same horse; in either
-- case of the same users.
UPDATE staged_conversations staged
SET target = coalesce(
    (
        SELECT conversations.id
        FROM conversations
        WHERE conversations.id = staged.id
          AND staged.creator_id IN (conversations.creator_id, conversations.recipient_id)
          AND staged.recipient_id IN (conversations.creator_id, conversations.recipient_id)
    ),
    (
        SELECT conversations.id
        FROM conversations
        WHERE least(conversations.creator_id, conversations.recipient_id) = least(staged.creator_id, staged.recipient_id)
          AND greatest(conversations.creator_id, conversations.recipient_id)
              = greatest(staged.creator_id, staged.recipient_id)
          AND coalesce(conversations.horse_id::bytea, ''::bytea) = coalesce(staged.horse_id::bytea, ''::bytea)
          -- Messages that name an id belong to its users only, whatever else these have.
          AND NOT EXISTS (SELECT FROM conversations other WHERE other.id = staged.id)
    )
)
