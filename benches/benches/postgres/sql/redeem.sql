-- Redeems a grant, once, if its head still stands for it.
\set id :first + :n * :clients + :client_id
\set person :id % :people
\set n :n + 1
UPDATE yard.grants g
SET state = 'active',
    identity = 'CORPORATE 5001',
    attempt = sha256(int8send(:id)),
    minted_at = 1800000000000,
    seen_at = 1800000000000,
    idle_until = 1800000300000,
    expires_at = least(1800003600000, h.keep_until),
    keep_until = greatest(g.keep_until, least(1800003600000, h.keep_until)),
    minted = sha256('key') || '\x0016'::bytea || 'https://issuer.examplehttps://api.example'::bytea
FROM yard.heads h
WHERE g.locator = substr(sha256(int8send(:person)), 1, 12)
  AND g.tail = substr(sha256(int8send(:id)), 1, 12)
  AND g.secret = sha256(int8send(:id))
  AND g.tenant = 'acme'
  AND g.client = 'web'
  AND g.state = 'issued'
  AND g.identity = 'CORPORATE 5001'
  AND g.expires_at > 1800000000000
  AND g.epoch >= 1800000000000
  AND h.locator = g.locator
  AND h.generation = g.generation
  AND h.revoked_to < g.issued_at
RETURNING g.*;
