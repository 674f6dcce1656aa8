-- Users, conversations of two, and their messages, for the comparison peers: the server's own tables where they fit,
-- without what only it has (seq, counters of unread messages, triggers). Run at every start.

-- Ids are MongoDB's ObjectIds: 12 bytes.
CREATE TABLE IF NOT EXISTS users (
    id                  bytea PRIMARY KEY CHECK (octet_length(id) = 12),
    full_name           text NOT NULL CHECK (char_length(full_name) BETWEEN 1 AND 200),
    profile_picture_url text CHECK (char_length(profile_picture_url) <= 2048)
);

-- No index has a column that a message changes, and pages keep room: the update of each message stays on its page.
CREATE TABLE IF NOT EXISTS conversations (
    id           bytea PRIMARY KEY CHECK (octet_length(id) = 12),
    creator_id   bytea NOT NULL REFERENCES users (id),
    recipient_id bytea NOT NULL REFERENCES users (id),
    horse_id     bytea CHECK (octet_length(horse_id) = 12),
    -- The id of the newest message.
    last_message bytea CHECK (octet_length(last_message) = 12),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CHECK (creator_id <> recipient_id)
) WITH (fillfactor = 70);

-- One conversation for a pair and a horse, whoever began it; none counts as a horse of its own.
CREATE UNIQUE INDEX IF NOT EXISTS conversations_pair_horse ON conversations (
    least(creator_id, recipient_id),
    greatest(creator_id, recipient_id),
    coalesce(horse_id, ''::bytea)
);
CREATE INDEX IF NOT EXISTS conversations_creator ON conversations (creator_id);
CREATE INDEX IF NOT EXISTS conversations_recipient ON conversations (recipient_id);

CREATE TABLE IF NOT EXISTS messages (
    id              bytea PRIMARY KEY CHECK (octet_length(id) = 12),
    conversation_id bytea NOT NULL REFERENCES conversations (id),
    sender_id       bytea NOT NULL,
    text            text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 2000),
    is_read         boolean NOT NULL DEFAULT false,
    read_at         timestamptz,
    sent_at         timestamptz NOT NULL,
    deleted_at      timestamptz
);
CREATE INDEX IF NOT EXISTS messages_page ON messages (conversation_id, sent_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS messages_unread ON messages (conversation_id) WHERE NOT is_read AND deleted_at IS NULL;
