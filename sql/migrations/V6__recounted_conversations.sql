-- Whoever changes many messages of a conversation and counts it anew afterwards says so, for the length of a transaction, by
-- `SET LOCAL horsetrust_chat.recounts = 'on'`: a trigger for each message would count it as often as it has messages.
DROP TRIGGER messages_count_deletion ON messages;
CREATE TRIGGER messages_count_deletion AFTER UPDATE OF deleted_at ON messages
    FOR EACH ROW
    WHEN (
        (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)
        AND current_setting('horsetrust_chat.recounts', true) IS DISTINCT FROM 'on'
    )
    EXECUTE FUNCTION count_deletion();
