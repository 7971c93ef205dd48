-- How many pages the tables have that are to be swept.
SELECT pg_relation_size('mintage.grants') / current_setting('block_size')::int8 AS grants,
       pg_relation_size('mintage.heads') / current_setting('block_size')::int8 AS heads
