-- The columns of sql/parts/grant.sql where no grant is told.
NULL::int2, NULL::bytea, NULL::bytea, NULL::text, NULL::text, NULL::text, NULL::int8, NULL::text,
NULL::text, NULL::bytea, NULL::int8, NULL::bytea, NULL::int8, NULL::int8, NULL::text, NULL::text,
NULL::bytea, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::bytea, NULL::int8, NULL::int8,
NULL::text, NULL::bytea
