-- Issues a grant under its head.
\set id :first + :n * :clients + :client_id
\set person :id % :people
\set n :n + 1
INSERT INTO yard.grants (
    version, locator, tail, tenant, client, credential, auth_time, secret, epoch, generation,
    issued_at, seen_at, keep_until, expires_at, state, identity
)
SELECT
    1, h.locator, substr(sha256(int8send(:id)), 1, 12), h.tenant, 'web', h.credential,
    1800000000000, sha256(int8send(:id)), 1800000000000, h.generation, 1800000000000,
    1800000000000, 1800000060000, 1800000060000, 'issued', 'CORPORATE 5001'
FROM yard.heads h
WHERE h.locator = substr(sha256(int8send(:person)), 1, 12)
  AND h.tenant = 'acme'
  AND h.credential = 'ROOT ' || :person
  AND h.revoked_at <= 1800000000000
  AND h.keep_until >= 1800043200000
RETURNING *;
