-- A user's conversations, the last changed first, with profiles, newest message, newest seq and how much of each is unread.
-- $1 user, $2 limit.
SELECT conversation.id, conversation.horse_id, conversation.created_at, conversation.updated_at,
       creator.id, creator.full_name, creator.profile_picture_url,
       recipient.id, recipient.full_name, recipient.profile_picture_url,
       conversation.last_seq, conversation.unread,
       newest.text, newest.sender_id, newest.sent_at, newest.read_at, newest.seq
FROM (
    SELECT *, creator_unread AS unread FROM conversations WHERE creator_id = $1::bytea
    UNION ALL
    SELECT *, recipient_unread FROM conversations WHERE recipient_id = $1::bytea
    ORDER BY updated_at DESC, id DESC
    LIMIT $2
) conversation
JOIN users creator ON creator.id = conversation.creator_id
JOIN users recipient ON recipient.id = conversation.recipient_id
LEFT JOIN LATERAL (
    SELECT text, sender_id, sent_at, read_at, seq
    FROM messages
    WHERE conversation_id = conversation.id AND deleted_at IS NULL
    ORDER BY seq DESC
    LIMIT 1
) newest ON true
ORDER BY conversation.updated_at DESC, conversation.id DESC
