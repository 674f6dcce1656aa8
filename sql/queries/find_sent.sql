-- Messages that were sent to somebody, with their senders, as they are now. Deleted ones are missing.
SELECT messages.conversation_id, users.id, users.full_name, users.profile_picture_url,
       messages.id, messages.seq, messages.sender_id, messages.text, messages.sent_at, messages.read_at
FROM messages
JOIN users ON users.id = messages.sender_id
WHERE messages.id = ANY ($1::bytea[]) AND messages.deleted_at IS NULL
