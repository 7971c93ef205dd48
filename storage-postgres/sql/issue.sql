-- ∅ → Issued, ∅ → Active, under a head that is there: `issue` of grant.rs. Where the head has to
-- be written first, 'headless' is answered, and issue_with_head.sql does it.
WITH {issue_event},
taken AS MATERIALIZED (
    SELECT nth AS taken_nth, g.version, g.secret, g.tenant, g.client, g.credential, g.epoch,
           g.generation, g.issued_at, g.state, g.attempt, g.minted_at, g.expires_at, g.seen_at,
           g.idle_until
    FROM event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    {ordered g.locator, g.tail}
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT event.*,
    h.generation AS head_generation,
    CASE WHEN e_secret IS NULL THEN least(e_expires_at, h.keep_until)
         ELSE e_expires_at END AS new_expires_at,
    CASE
        WHEN greatest(g.version, h.version) > 1 THEN 'version'
        -- `head_for` and `in_time`
        WHEN taken_nth IS NULL AND (h.tenant <> e_tenant OR h.credential <> e_credential
                                    OR e_now < h.revoked_at) THEN 'head'
        WHEN taken_nth IS NULL AND e_now >= e_not_after THEN 'expired'
        WHEN taken_nth IS NULL AND (h.keep_until >= e_needed) IS NOT TRUE THEN 'headless'
        WHEN taken_nth IS NULL THEN 'issued'
        -- `issue_again`
        WHEN e_secret IS NOT NULL AND g.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN g.tenant <> e_tenant THEN 'tenant'
        WHEN g.client <> e_client THEN 'client'
        WHEN g.credential <> e_credential THEN 'credential'
        {stands g}
        WHEN g.state = 'issued' AND e_secret IS NOT NULL AND e_now >= g.expires_at THEN 'expired'
        WHEN g.state = 'issued' AND e_secret IS NOT NULL THEN 'again'
        WHEN g.state = 'active' AND e_secret IS NULL AND g.attempt = e_attempt THEN {again g}
        WHEN g.state = 'revoked' THEN 'revoked'
        WHEN g.state = 'superseded' THEN 'superseded'
        ELSE 'spent'
    END AS verdict
    FROM event
    LEFT JOIN taken g ON taken_nth = nth
    LEFT JOIN mintage.heads h ON h.locator = e_locator
),
issued AS (
    {issue_insert}
),
again AS (
    -- As it stands.
    UPDATE mintage.grants g
    SET seen_at = g.seen_at
    FROM judged
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'again'
    RETURNING nth, verdict, {grant g}
)
SELECT * FROM issued
UNION ALL
SELECT * FROM again
UNION ALL
SELECT nth, verdict, {no_grant} FROM judged WHERE verdict NOT IN ('issued', 'again')
