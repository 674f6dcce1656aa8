-- The migrations that were run, as the package that runs them writes them down.
SELECT version::bigint FROM refinery_schema_history ORDER BY version
