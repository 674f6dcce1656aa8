-- Takes all kept sessions, once; how many milliseconds each may still wait, less than 0 if it waits no longer.
DELETE FROM kept_sessions
RETURNING pid, (extract(epoch FROM kept_until - now()) * 1000)::bigint AS milliseconds, state
