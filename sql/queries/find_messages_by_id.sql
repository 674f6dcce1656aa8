-- Which messages of a batch are stored: decides a commit whose outcome was not heard.
SELECT id, seq
FROM messages
WHERE id = ANY ($1::bytea[])
