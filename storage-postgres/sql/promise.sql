-- The settings that decide what a commit on this connection survives.
SELECT pg_is_in_recovery() AS recovering,
       (SELECT bool_and(relpersistence = 'p') FROM pg_class
        WHERE oid IN ('mintage.heads'::regclass, 'mintage.grants'::regclass,
                      'mintage.epoch'::regclass)) AS logged,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('synchronous_standby_names') AS synchronous_standby_names
