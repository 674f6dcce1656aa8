-- What the messages do not tell: when something changed last and, of a database of this server, how far the numbers went,
-- where the last messages were removed for good.
UPDATE conversations
SET updated_at = greatest(conversations.updated_at, staged.updated_at),
    last_seq = greatest(conversations.last_seq, staged.last_seq),
    hidden = conversations.hidden + greatest(conversations.last_seq, staged.last_seq) - conversations.last_seq,
    creator_read_seq = CASE WHEN creator_unread = 0 THEN greatest(conversations.last_seq, staged.last_seq)
                            ELSE creator_read_seq END,
    recipient_read_seq = CASE WHEN recipient_unread = 0 THEN greatest(conversations.last_seq, staged.last_seq)
                              ELSE recipient_read_seq END
FROM (
    SELECT target, max(updated_at) AS updated_at,
           max(last_seq) FILTER (
               WHERE staged.id = staged.target AND NOT EXISTS (
                   -- They were numbered here, or go on here.
                   SELECT FROM messages WHERE messages.conversation_id = staged.target AND messages.seq > staged.last_seq
               )
           ) AS last_seq
    FROM staged_conversations staged
    WHERE target IS NOT NULL
    GROUP BY target
) staged
WHERE conversations.id = staged.target
  AND (staged.updated_at > conversations.updated_at OR staged.last_seq > conversations.last_seq)
