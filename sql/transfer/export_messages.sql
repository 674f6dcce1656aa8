SELECT id, conversation_id, sender_id, text, sent_at, read_at, deleted_at, seq, client_msg_id
FROM messages
ORDER BY conversation_id, seq
