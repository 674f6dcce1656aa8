-- The conversations whose messages go to another one, of the same users about the same horse.
SELECT number, line, encode(id, 'hex'), encode(target, 'hex')
FROM staged_conversations
WHERE target <> id
ORDER BY number
