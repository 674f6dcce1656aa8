-- Keeps sessions for the next server: private ids, how long each may wait in milliseconds, their states.
INSERT INTO kept_sessions (pid, kept_until, state)
SELECT pid, now() + milliseconds * interval '1 ms', state
FROM unnest($1::bytea[], $2::bigint[], $3::text[]) AS kept (pid, milliseconds, state)
ON CONFLICT (pid) DO UPDATE SET kept_until = excluded.kept_until, state = excluded.state
