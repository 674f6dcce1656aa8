-- Ends the backend, if any, that still holds the advisory lock of a lane whose connection was lost. $1 the lock.
SELECT pg_terminate_backend(pid)
FROM pg_locks
WHERE locktype = 'advisory'
  AND granted
  AND objsubid = 1
  AND (classid::bigint << 32 | objid::bigint) = $1::bigint
  AND pid <> pg_backend_pid()
