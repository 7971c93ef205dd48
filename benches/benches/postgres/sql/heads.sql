-- The heads of the people below $1.
INSERT INTO mintage.heads (
    version, locator, generation, tenant, credential, revoked_to, revoked_at, keep_until
)
SELECT
    1, substr(sha256(int8send(person)), 1, 12), substr(sha256('generation'), 1, 16), 'acme',
    'ROOT ' || person, 0, 0, 1800086400000
FROM generate_series(0, $1::int8 - 1) AS person
