-- The servers on this database, but that of $1: each calls the connection by which it hears of changes by a name of its own.
SELECT count(DISTINCT application_name)
FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'horsetrust-chat feed ') AND application_name <> $1
