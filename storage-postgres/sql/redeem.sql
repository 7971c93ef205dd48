-- Issued → Active, once: `redeem` of grant.rs.
WITH event AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::bool[],
        $8::bytea[], $9::bool[], $10::int8[], $11::int8[], $12::text[], $13::bytea[], $14::text[],
        $15::text[], $16::text[], $17::int8[], $18::int8[], $19::int8[], $20::int8[]
    ) WITH ORDINALITY AS event(
        e_locator, e_tail, e_secret, e_tenant, e_client, e_identity, e_resolved,
        e_attempt, e_revokes, e_idle_until, e_expires_at, e_scope, e_kid, e_algorithm,
        e_issuer, e_audience, e_now, e_clock, e_window, e_epoch, nth
    )
),
locked AS MATERIALIZED (
    SELECT event.*, {grant g}
    FROM event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    ORDER BY g.locator, g.tail
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT g.*, least(e_expires_at, h.keep_until) AS new_expires_at,
    CASE
        WHEN greatest(g.version, h.version) > 1 THEN 'version'
        WHEN g.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN g.tenant <> e_tenant THEN 'tenant'
        WHEN g.client <> e_client THEN 'client'
        WHEN e_clock < g.seen_at THEN 'clock'
        WHEN g.epoch < e_epoch THEN 'epoch'
        WHEN (h.tenant = g.tenant AND h.credential = g.credential AND h.generation = g.generation
              AND h.revoked_to < g.issued_at) IS NOT TRUE THEN 'head'
        WHEN g.state = 'issued' AND g.identity <> e_identity THEN 'identity'
        WHEN g.state = 'issued' AND g.identity IS NULL AND NOT e_resolved THEN 'unresolved'
        WHEN g.state = 'active' AND g.identity IS DISTINCT FROM e_identity THEN 'identity'
        WHEN g.state = 'issued' AND e_now < g.expires_at THEN 'redeemed'
        WHEN g.state = 'issued' THEN 'expired'
        WHEN g.state = 'active' AND g.attempt = e_attempt AND g.login IS NULL THEN {again g}
        WHEN g.state = 'active' AND e_revokes THEN 'replayed'
        WHEN g.state = 'active' OR g.state = 'superseded' THEN 'forgiven'
        ELSE 'revoked'
    END AS verdict
    FROM locked g
    LEFT JOIN mintage.heads h ON h.locator = g.e_locator
),
redeemed AS (
    UPDATE mintage.grants g
    SET state = 'active',
        identity = e_identity,
        attempt = e_attempt,
        minted_at = e_now,
        seen_at = e_now,
        idle_until = least(e_idle_until, new_expires_at),
        expires_at = new_expires_at,
        keep_until = greatest(j.keep_until, new_expires_at),
        stepped_up_until = {strength j.stepped_up_until},
        minted_stepped_up_until = {strength j.stepped_up_until},
        minted_scope = coalesce(e_scope, j.scope),
        kid = e_kid,
        algorithm = e_algorithm,
        issuer = e_issuer,
        audience = e_audience
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'redeemed'
    RETURNING nth, verdict, {grant g}
),
revoked AS (
    UPDATE mintage.grants g
    SET state = 'revoked', seen_at = e_now
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'replayed'
    RETURNING nth, verdict, {grant g}
)
SELECT * FROM redeemed
UNION ALL
SELECT * FROM revoked
UNION ALL
SELECT nth, verdict, {grant g} FROM judged g WHERE verdict NOT IN ('redeemed', 'replayed')
