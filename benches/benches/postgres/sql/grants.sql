-- The grants from number $1 on and below $2, issued to people below $3.
INSERT INTO mintage.grants (
    version, locator, tail, tenant, client, credential, auth_time, secret, epoch, generation,
    issued_at, seen_at, keep_until, expires_at, state, identity
)
SELECT
    1, substr(sha256(int8send(id % $3::int8)), 1, 12), substr(sha256(int8send(id)), 1, 12), 'acme',
    'web', 'ROOT ' || id % $3::int8, 1800000000000, sha256(int8send(id)), 1800000000000,
    substr(sha256('generation'), 1, 16), 1800000000000, 1800000000000, 1800000060000,
    1800000060000, 'issued', 'CORPORATE 5001'
FROM generate_series($1::int8, $2::int8 - 1) AS id
