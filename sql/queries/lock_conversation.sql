-- Waits for a conversation's row, and holds it until the transaction ends.
-- $1 the conversation.
SELECT FROM conversations WHERE id = $1 FOR NO KEY UPDATE
