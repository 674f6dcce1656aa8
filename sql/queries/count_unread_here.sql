-- Undeleted, unread messages by others: in one conversation of $1, $2, and in all of them.
SELECT coalesce(sum(unread) FILTER (WHERE id = $2::bytea), 0)::bigint AS here,
       coalesce(sum(unread), 0)::bigint AS everywhere
FROM (
    SELECT id, creator_unread AS unread FROM conversations WHERE creator_id = $1::bytea
    UNION ALL
    SELECT id, recipient_unread FROM conversations WHERE recipient_id = $1::bytea
) counts
