-- Takes out those that could not be stored. Returns them, and why.
DELETE FROM staged_conversations staged
WHERE target IS NULL
RETURNING number, line, encode(id, 'hex'),
    CASE
        WHEN NOT EXISTS (SELECT FROM users WHERE users.id = staged.creator_id)
            THEN 'the participant ' || encode(staged.creator_id, 'hex') || ' is not among the users'
        WHEN NOT EXISTS (SELECT FROM users WHERE users.id = staged.recipient_id)
            THEN 'the participant ' || encode(staged.recipient_id, 'hex') || ' is not among the users'
        ELSE 'a conversation of other users has its id'
    END
