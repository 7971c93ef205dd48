-- What the grant of a one-time token says, spent or not: `read` of grant.rs. Changes nothing.
SELECT nth,
    CASE
        WHEN greatest(g.version, h.version) > 1 THEN 'version'
        WHEN g.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN g.tenant <> e_tenant THEN 'tenant'
        WHEN g.client <> e_client THEN 'client'
        WHEN e_clock < g.seen_at THEN 'clock'
        WHEN g.epoch < e_epoch THEN 'epoch'
        WHEN (h.tenant = g.tenant AND h.credential = g.credential AND h.generation = g.generation
              AND h.revoked_to < g.issued_at) IS NOT TRUE THEN 'head'
        WHEN g.state = 'issued' AND e_now >= g.expires_at THEN 'expired'
        WHEN g.state = 'issued' THEN 'live'
        ELSE coalesce({live}, 'live')
    END AS verdict,
    {grant g}
FROM unnest(
    $1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::int8[], $7::int8[],
    $8::int8[]
) WITH ORDINALITY AS event(
    e_locator, e_tail, e_secret, e_tenant, e_client, e_now, e_clock, e_epoch, nth
)
JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
LEFT JOIN mintage.heads h ON h.locator = e_locator
