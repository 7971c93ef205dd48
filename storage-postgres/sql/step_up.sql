-- Issued → Active(STEPPED_UP) for the token t, Active → Superseded for the Bearer's grant g,
-- together or not at all: `step_up` of grant.rs.
WITH event AS MATERIALIZED (
    SELECT * FROM {event
        e_locator bytea, e_token bytea, e_secret bytea, e_token_tenant text, e_token_client text,
        e_bearer bytea, e_tenant text, e_client text, e_credential text, e_login bytea,
        e_identity text, e_resolved bool, e_attempt bytea, e_revokes bool, e_idle_until int8,
        e_scope text, e_minted bytea, e_now int8, e_clock int8, e_window int8, e_epoch int8
    }
),
-- A materialized list, and no subquery in the next step: one that waits for a row checks its join
-- again, and PostgreSQL 15 then finds nothing in a UNION ALL.
wanted AS MATERIALIZED (
    SELECT nth, true AS is_token, e_locator, e_token AS e_tail FROM event
    UNION ALL
    SELECT nth, false, e_locator, e_bearer FROM event
),
locked AS MATERIALIZED (
    SELECT nth AS locked_nth, is_token, g.successor, {grant g}
    FROM wanted
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    ORDER BY g.locator, g.tail
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT event.*, {grant t},
    g.expires_at AS new_expires_at,
    coalesce(g.minted_scope, t.scope) AS new_scope,
    coalesce(g.claims, t.claims) AS new_claims,
    CASE
        WHEN greatest(t.version, h.version) > 1 THEN 'version'
        WHEN t.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN t.tenant <> e_token_tenant THEN 'tenant'
        WHEN t.client <> e_token_client THEN 'client'
        {stands t}
        WHEN g.tail IS NULL THEN 'bearer unknown'
        WHEN bearer.refusal = 'version' THEN 'version'
        WHEN bearer.refusal IS NOT NULL THEN 'bearer ' || bearer.refusal
        WHEN t.state = 'issued' AND t.identity <> e_identity THEN 'identity'
        WHEN t.state = 'issued' AND t.identity IS NULL AND NOT e_resolved THEN 'unresolved'
        WHEN t.state = 'active' AND t.identity IS DISTINCT FROM e_identity THEN 'identity'
        WHEN g.state = 'active' AND g.identity IS DISTINCT FROM e_identity THEN 'identity'
        WHEN t.state = 'issued' AND (t.stepped_up_until > e_now) IS NOT TRUE THEN 'status'
        WHEN t.state = 'active' AND t.attempt = e_attempt THEN CASE
            WHEN g.state = 'superseded' AND g.successor = t.tail AND g.attempt = e_attempt
            THEN {again t}
            WHEN g.state = 'revoked' THEN 'bearer revoked'
            ELSE 'spent'
        END
        WHEN t.state = 'active' AND e_revokes THEN 'replayed'
        WHEN t.state = 'active' OR t.state = 'superseded' THEN 'forgiven'
        WHEN t.state = 'revoked' THEN 'revoked'
        WHEN bearer.death IS NOT NULL THEN 'bearer ' || bearer.death
        WHEN e_now >= t.expires_at THEN 'expired'
        ELSE 'redeemed'
    END AS verdict
    FROM event
    JOIN locked t ON t.locked_nth = nth AND t.is_token
    LEFT JOIN locked g ON g.locked_nth = nth AND NOT g.is_token
    LEFT JOIN mintage.heads h ON h.locator = e_locator
    LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
    CROSS JOIN LATERAL (SELECT {bearer} AS refusal, {live} AS death) bearer
),
superseded AS (
    UPDATE mintage.grants g
    SET state = 'superseded', successor = e_token, attempt = e_attempt, seen_at = e_now
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_bearer AND verdict = 'redeemed'
),
redeemed AS (
    UPDATE mintage.grants g
    SET state = 'active',
        scope = new_scope,
        claims = new_claims,
        identity = e_identity,
        login = e_login,
        attempt = e_attempt,
        minted_at = e_now,
        seen_at = e_now,
        idle_until = least(e_idle_until, new_expires_at),
        expires_at = new_expires_at,
        keep_until = greatest(j.keep_until, new_expires_at),
        stepped_up_until = {strength j.stepped_up_until},
        minted_stepped_up_until = {strength j.stepped_up_until},
        minted_scope = coalesce(e_scope, new_scope),
        minted = e_minted
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_token AND verdict = 'redeemed'
    RETURNING nth, verdict, {grant g}
),
revoked AS (
    UPDATE mintage.grants g
    SET state = 'revoked', seen_at = e_now
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_token AND verdict = 'replayed'
    RETURNING nth, verdict, {grant g}
)
SELECT * FROM redeemed
UNION ALL
SELECT * FROM revoked
UNION ALL
SELECT nth, verdict, {grant g} FROM judged g WHERE verdict NOT IN ('redeemed', 'replayed')
