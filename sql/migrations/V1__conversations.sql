-- Users, conversations of two, and their messages.

-- MongoDB's ObjectId: 12 bytes, made by the server.
CREATE DOMAIN object_id AS bytea CHECK (octet_length(VALUE) = 12);

-- Profiles belong to the marketplace, which keeps them in step here.
CREATE TABLE users (
    id                  object_id PRIMARY KEY,
    full_name           text NOT NULL CHECK (char_length(full_name) BETWEEN 1 AND 200),
    profile_picture_url text CHECK (char_length(profile_picture_url) <= 2048)
);

-- Every server hears of a profile that changed, whoever changed it.
CREATE FUNCTION announce_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('user_changed', encode(NEW.id, 'hex'));
    RETURN NULL;
END
$$;
CREATE TRIGGER users_announce AFTER INSERT OR UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION announce_user();

-- last_seq, the unread counts and the read positions change under the row's lock only, together with the messages.
CREATE TABLE conversations (
    id                 object_id PRIMARY KEY,
    creator_id         object_id NOT NULL REFERENCES users (id),
    recipient_id       object_id NOT NULL REFERENCES users (id),
    horse_id           object_id,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    last_seq           bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    -- Undeleted messages of the other that this participant has not read.
    creator_unread     bigint NOT NULL DEFAULT 0 CHECK (creator_unread >= 0),
    recipient_unread   bigint NOT NULL DEFAULT 0 CHECK (recipient_unread >= 0),
    -- All messages of the other up to here are read.
    creator_read_seq   bigint NOT NULL DEFAULT 0 CHECK (creator_read_seq BETWEEN 0 AND last_seq),
    recipient_read_seq bigint NOT NULL DEFAULT 0 CHECK (recipient_read_seq BETWEEN 0 AND last_seq),
    CONSTRAINT two_participants CHECK (creator_id <> recipient_id)
) WITH (fillfactor = 70);

-- One conversation for a pair and a horse, whoever began it; none counts as a horse of its own.
CREATE UNIQUE INDEX conversations_pair_horse ON conversations (
    least(creator_id, recipient_id),
    greatest(creator_id, recipient_id),
    coalesce(horse_id::bytea, ''::bytea)
);
CREATE INDEX conversations_creator ON conversations (creator_id);
CREATE INDEX conversations_recipient ON conversations (recipient_id);

CREATE TABLE messages (
    conversation_id object_id NOT NULL REFERENCES conversations (id),
    seq             bigint NOT NULL CHECK (seq > 0),
    id              object_id NOT NULL,
    sender_id       object_id NOT NULL,
    text            text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 2000),
    sent_at         timestamptz NOT NULL,
    read_at         timestamptz,
    deleted_at      timestamptz,
    PRIMARY KEY (conversation_id, seq)
);
CREATE UNIQUE INDEX messages_id ON messages (id);

-- Whoever deletes a message, or brings it back: the unread counts follow.
CREATE FUNCTION count_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change constant bigint := CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END;
BEGIN
    UPDATE conversations
    SET creator_unread = creator_unread + CASE WHEN creator_id = NEW.sender_id THEN 0 ELSE change END,
        recipient_unread = recipient_unread + CASE WHEN recipient_id = NEW.sender_id THEN 0 ELSE change END,
        -- What came back may lie before what was read since.
        creator_read_seq = least(creator_read_seq, NEW.seq - 1),
        recipient_read_seq = least(recipient_read_seq, NEW.seq - 1)
    WHERE id = NEW.conversation_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_count_deletion AFTER UPDATE OF deleted_at ON messages
    FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) AND NEW.read_at IS NULL)
    EXECUTE FUNCTION count_deletion();
