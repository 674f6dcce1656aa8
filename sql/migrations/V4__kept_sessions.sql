-- Sessions that wait for their clients while the server is started again: written when it stops, taken when it starts.
CREATE TABLE kept_sessions (
    -- The session's private id.
    pid        bytea       PRIMARY KEY CHECK (length(pid) = 16),
    kept_until timestamptz NOT NULL,
    -- JSON: the user, the rooms, and which events may not have come through.
    state      text        NOT NULL
);
