-- What can be told of the server behind a connection.
SELECT current_setting('server_version'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
       clock_timestamp(),
       pg_is_in_recovery(),
       to_regclass('refinery_schema_history') IS NOT NULL,
       ARRAY(SELECT relname::text FROM pg_class
             WHERE relnamespace = to_regnamespace(current_schema())
               AND relname IN ('users', 'conversations', 'messages', 'kept_sessions', 'revocations')),
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       current_user::text,
       current_setting('server_encoding'),
       current_setting('transaction_read_only')::boolean
