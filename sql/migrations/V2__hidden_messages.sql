-- How many seqs of a conversation show no message. Where there are none, a page is found by its seqs instead of by
-- counting from the newest message on.
ALTER TABLE conversations ADD COLUMN hidden bigint NOT NULL DEFAULT 0 CHECK (hidden BETWEEN 0 AND last_seq);

UPDATE conversations
SET hidden = last_seq - shown.messages
FROM (
    SELECT conversations.id, count(messages.id) AS messages
    FROM conversations
    LEFT JOIN messages ON messages.conversation_id = conversations.id AND messages.deleted_at IS NULL
    GROUP BY conversations.id
) shown
WHERE conversations.id = shown.id AND shown.messages <> last_seq;

-- Whoever deletes a message, or brings it back: what is counted follows.
CREATE OR REPLACE FUNCTION count_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    shown constant bigint := CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END;
    unread constant bigint := CASE WHEN NEW.read_at IS NULL THEN shown ELSE 0 END;
BEGIN
    UPDATE conversations
    SET hidden = hidden - shown,
        creator_unread = creator_unread + CASE WHEN creator_id = NEW.sender_id THEN 0 ELSE unread END,
        recipient_unread = recipient_unread + CASE WHEN recipient_id = NEW.sender_id THEN 0 ELSE unread END,
        -- What came back may lie before what was read since.
        creator_read_seq = CASE WHEN unread = 0 THEN creator_read_seq ELSE least(creator_read_seq, NEW.seq - 1) END,
        recipient_read_seq = CASE WHEN unread = 0 THEN recipient_read_seq ELSE least(recipient_read_seq, NEW.seq - 1) END
    WHERE id = NEW.conversation_id;
    RETURN NULL;
END
$$;
DROP TRIGGER messages_count_deletion ON messages;
CREATE TRIGGER messages_count_deletion AFTER UPDATE OF deleted_at ON messages
    FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
    EXECUTE FUNCTION count_deletion();

-- A row that is removed for good leaves its seq behind.
CREATE FUNCTION count_removal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unread constant bigint := CASE WHEN OLD.read_at IS NULL THEN 1 ELSE 0 END;
BEGIN
    UPDATE conversations
    SET hidden = hidden + 1,
        creator_unread = creator_unread - CASE WHEN creator_id = OLD.sender_id THEN 0 ELSE unread END,
        recipient_unread = recipient_unread - CASE WHEN recipient_id = OLD.sender_id THEN 0 ELSE unread END
    WHERE id = OLD.conversation_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_count_removal AFTER DELETE ON messages
    FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL)
    EXECUTE FUNCTION count_removal();
