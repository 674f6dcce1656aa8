-- Where an import lays down what it reads until it is stored; gone with the connection. `number` counts a file's documents,
-- `line` is where one begins.
CREATE TEMP TABLE staged_users (
    number              bigint NOT NULL,
    line                bigint NOT NULL,
    id                  object_id NOT NULL,
    full_name           text NOT NULL,
    profile_picture_url text
);

CREATE TEMP TABLE staged_conversations (
    number       bigint NOT NULL,
    line         bigint NOT NULL,
    id           object_id NOT NULL,
    creator_id   object_id NOT NULL,
    recipient_id object_id NOT NULL,
    horse_id     object_id,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    last_seq     bigint,
    -- The conversation of these two about this horse, which may be another one.
    target       object_id
);

CREATE TEMP TABLE staged_messages (
    number          bigint NOT NULL,
    line            bigint NOT NULL,
    id              object_id NOT NULL,
    conversation_id object_id NOT NULL,
    sender_id       object_id NOT NULL,
    text            text NOT NULL,
    sent_at         timestamptz NOT NULL,
    read_at         timestamptz,
    deleted_at      timestamptz,
    seq             bigint,
    client_msg_id   text
);
