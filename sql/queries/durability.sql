-- Whether what is committed is kept when the machine goes down, as far as Postgres is concerned.
SELECT current_setting('fsync')::boolean AS fsync,
       current_setting('synchronous_commit') <> 'off' AS synchronous_commit
