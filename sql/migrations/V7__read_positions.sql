-- A read position goes back for what came back unread, and for nothing else: not for a deletion, nor for the sender.
CREATE OR REPLACE FUNCTION count_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    shown constant bigint := CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END;
    unread constant bigint := CASE WHEN NEW.read_at IS NULL THEN shown ELSE 0 END;
BEGIN
    UPDATE conversations
    SET hidden = hidden - shown,
        creator_unread = creator_unread + CASE WHEN creator_id = NEW.sender_id THEN 0 ELSE unread END,
        recipient_unread = recipient_unread + CASE WHEN recipient_id = NEW.sender_id THEN 0 ELSE unread END,
        creator_read_seq = CASE WHEN unread > 0 AND creator_id <> NEW.sender_id
                                THEN least(creator_read_seq, NEW.seq - 1) ELSE creator_read_seq END,
        recipient_read_seq = CASE WHEN unread > 0 AND recipient_id <> NEW.sender_id
                                  THEN least(recipient_read_seq, NEW.seq - 1) ELSE recipient_read_seq END
    WHERE id = NEW.conversation_id;
    RETURN NULL;
END
$$;

-- Positions that deletions have set back: up to the last message that was read, as long as none before it is unread.
UPDATE conversations
SET creator_read_seq = greatest(creator_read_seq, least(coalesce(creator_read, 0), creator_first_unread - 1)),
    recipient_read_seq = greatest(recipient_read_seq, least(coalesce(recipient_read, 0), recipient_first_unread - 1))
FROM (
    SELECT here.id,
           max(seq) FILTER (WHERE is_read AND sender_id = here.recipient_id) AS creator_read,
           min(seq) FILTER (WHERE is_unread AND sender_id = here.recipient_id) AS creator_first_unread,
           max(seq) FILTER (WHERE is_read AND sender_id = here.creator_id) AS recipient_read,
           min(seq) FILTER (WHERE is_unread AND sender_id = here.creator_id) AS recipient_first_unread
    FROM conversations here
    JOIN messages ON messages.conversation_id = here.id
    CROSS JOIN LATERAL (
        SELECT read_at IS NOT NULL AS is_read, read_at IS NULL AND deleted_at IS NULL AS is_unread
    ) state
    WHERE here.hidden > 0
    GROUP BY here.id
) counted
WHERE conversations.id = counted.id;
