-- The conversations that could not be stored, and why. They stay among the staged ones: their messages have nowhere to go.
SELECT number, line, encode(id, 'hex'),
    CASE
        WHEN NOT EXISTS (SELECT FROM users WHERE users.id = staged.creator_id)
            THEN 'participants: ' || encode(staged.creator_id, 'hex') || ' is not among the users'
        WHEN NOT EXISTS (SELECT FROM users WHERE users.id = staged.recipient_id)
            THEN 'participants: ' || encode(staged.recipient_id, 'hex') || ' is not among the users'
        ELSE '_id: a conversation of other users has the same'
    END
FROM staged_conversations staged
WHERE target IS NULL
ORDER BY number
