-- The servers on this database, but the one that asks: each has one connection that calls itself so.
SELECT count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'horsetrust-chat feed' AND pid <> pg_backend_pid()
