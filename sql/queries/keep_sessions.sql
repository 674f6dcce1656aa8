-- Keeps sessions for the next server: private ids, how long each may wait in milliseconds, their states; $4 the generation of
-- the server that keeps them. Returns as many rows: none if another server has opened since.
WITH mine AS MATERIALIZED (
    -- No server looks for sessions, or opens, until they are there.
    SELECT generation FROM server_openings WHERE generation = $4 FOR SHARE
)
INSERT INTO kept_sessions (pid, kept_until, state)
SELECT pid, now() + milliseconds * interval '1 ms', state
FROM mine, unnest($1::bytea[], $2::bigint[], $3::text[]) AS kept (pid, milliseconds, state)
ON CONFLICT (pid) DO UPDATE SET kept_until = excluded.kept_until, state = excluded.state
RETURNING pid
