-- Makes these the ring's keys, if it is still in revision $1, in which it was read. No row: another
-- node has changed it since.
WITH turned AS (
    UPDATE mintage.key_ring
    SET revision = revision + 1
    WHERE revision = $1
    RETURNING revision
),
dropped AS (
    DELETE FROM mintage.keys
    USING turned
    WHERE kid <> ALL ($2::bytea[])
),
written AS (
    INSERT INTO mintage.keys (kid, signs_from, signs_until, version, algorithm, kek, sealed)
    SELECT key.*
    FROM turned,
    unnest(
        $2::bytea[], $3::int8[], $4::int8[], $5::int2[], $6::text[], $7::text[], $8::bytea[]
    ) AS key
    ON CONFLICT (kid) DO UPDATE
    SET signs_from = excluded.signs_from,
        signs_until = excluded.signs_until,
        version = excluded.version,
        algorithm = excluded.algorithm,
        kek = excluded.kek,
        sealed = excluded.sealed
)
SELECT revision FROM turned
