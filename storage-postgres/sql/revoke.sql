-- any → Revoked: `revoke` of grant.rs.
WITH locked AS (
    SELECT event.*, g.version, g.secret, g.tenant, g.client, g.state
    FROM (
        SELECT * FROM {event
            e_locator bytea, e_tail bytea, e_secret bytea, e_tenant text, e_client text,
            e_now int8
        }
        {ordered e_locator, e_tail}
    ) event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    {ordered e_locator, e_tail}
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT nth, e_locator, e_tail, e_now,
    CASE
        WHEN version > 1 THEN 'version'
        WHEN e_secret IS NOT NULL AND secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN tenant <> e_tenant THEN 'tenant'
        WHEN client <> e_client THEN 'client'
        WHEN state = 'revoked' THEN 'again'
        ELSE 'revoked'
    END AS verdict
    FROM locked
),
revoked AS (
    UPDATE mintage.grants g
    SET state = 'revoked', seen_at = e_now
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'revoked'
)
SELECT nth, verdict FROM judged
