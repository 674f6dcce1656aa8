-- All kept sessions; how many milliseconds each may still wait, less than 0 if it waits no longer.
SELECT pid, (extract(epoch FROM kept_until - now()) * 1000)::bigint AS milliseconds, state
FROM kept_sessions
ORDER BY kept_until
