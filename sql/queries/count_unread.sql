-- Undeleted, unread messages by others in the conversations of $1.
SELECT coalesce(sum(unread), 0)::bigint
FROM (
    SELECT creator_unread AS unread FROM conversations WHERE creator_id = $1::bytea
    UNION ALL
    SELECT recipient_unread FROM conversations WHERE recipient_id = $1::bytea
) counts
