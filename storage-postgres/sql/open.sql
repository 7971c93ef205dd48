-- ∅ → Active for the child c of the login g, and the login slides: `open` of grant.rs. An event
-- that is judged 'opened' and yields no grant found its id taken since the statement began: it is
-- judged again.
WITH locked AS (
    SELECT event.*, {grant g}
    FROM (
        SELECT * FROM {event
            e_locator bytea, e_tail bytea, e_login bytea, e_tenant text, e_client text,
            e_credential text, e_child bytea, e_identity text, e_attempt bytea, e_idle_until int8,
            e_expires_at int8, e_scope text, e_minted bytea, e_slide int8, e_granularity int8,
            e_now int8, e_clock int8, e_window int8, e_epoch int8
        }
        {ordered e_locator, e_tail}
    ) event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    {ordered e_locator, e_tail}
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT nth, {grant c},
    CASE
        WHEN coalesce(bearer.refusal = 'version', c.version > 1) THEN 'version'
        WHEN bearer.refusal IS NOT NULL THEN 'bearer ' || bearer.refusal
        WHEN bearer.death IS NOT NULL THEN 'bearer ' || bearer.death
        WHEN g.identity IS NOT NULL THEN 'bearer unknown'
        WHEN c.tail IS NULL THEN 'opened'
        WHEN c.state = 'active' AND c.attempt = e_attempt THEN CASE
            {stands c}
            WHEN c.identity IS DISTINCT FROM e_identity THEN 'identity'
            ELSE {again c}
        END
        WHEN c.state = 'revoked' THEN 'revoked'
        WHEN c.state = 'superseded' THEN 'superseded'
        ELSE 'spent'
    END AS verdict,
    e_locator, e_tail, e_child, e_identity, e_attempt, e_idle_until, e_scope, e_minted,
    e_granularity, e_now,
    least(e_slide, g.expires_at) AS slid_until,
    least(e_expires_at, g.expires_at) AS new_expires_at,
    g.idle_until AS login_idle_until,
    g.seen_at AS login_seen_at,
    g.stepped_up_until AS login_stepped_up_until,
    g.tenant AS login_tenant, g.client AS login_client, g.credential AS login_credential,
    g.auth_time AS login_auth_time, g.scope AS login_scope, g.claims AS login_claims,
    g.epoch AS login_epoch, g.generation AS login_generation
    FROM locked g
    LEFT JOIN mintage.grants c ON c.locator = e_locator AND c.tail = e_child
    LEFT JOIN mintage.heads h ON h.locator = e_locator
    LEFT JOIN mintage.grants l ON false
    CROSS JOIN LATERAL (SELECT {bearer} AS refusal, {live} AS death) bearer
),
slid AS (
    UPDATE mintage.grants g
    SET idle_until = slid_until, seen_at = greatest(login_seen_at, e_now)
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict IN ('opened', 'again')
      AND slid_until > login_idle_until AND slid_until >= login_idle_until + e_granularity
),
opened AS (
    INSERT INTO mintage.grants AS g (
        version, locator, tail, tenant, client, credential, auth_time,
        scope, claims, epoch, generation, issued_at, keep_until,
        state, identity, login, stepped_up_until, expires_at, seen_at,
        idle_until, attempt, minted_at, minted_stepped_up_until,
        minted_scope, minted
    )
    SELECT
        1, e_locator, e_child, login_tenant, login_client, login_credential, login_auth_time,
        login_scope, login_claims, login_epoch, login_generation, e_now, new_expires_at,
        'active', e_identity, e_tail, {strength login_stepped_up_until}, new_expires_at, e_now,
        least(e_idle_until, new_expires_at), e_attempt, e_now, {strength login_stepped_up_until},
        coalesce(e_scope, login_scope), e_minted
    FROM judged
    WHERE verdict = 'opened'
    {ordered e_locator, e_child}
    ON CONFLICT DO NOTHING
    RETURNING NULL::int8 AS nth, 'issued' AS verdict, {grant g}
)
SELECT * FROM opened
UNION ALL
SELECT nth, verdict, {grant g} FROM judged g
