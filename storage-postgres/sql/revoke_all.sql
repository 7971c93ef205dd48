-- Ends every grant of a credential, by its head: `revoke_all` of grant.rs.
WITH judged AS MATERIALIZED (
    SELECT event.*, CASE WHEN h.version > 1 THEN 'version' ELSE 'revoked' END AS verdict
    FROM (
        SELECT * FROM {event
            e_locator bytea, e_tenant text, e_credential text, e_up_to int8, e_generation bytea,
            e_now int8
        }
        {ordered e_locator}
    ) event
    JOIN mintage.heads h ON h.locator = e_locator
    WHERE h.tenant = e_tenant AND h.credential = e_credential
    {ordered e_locator}
    FOR UPDATE OF h
),
revoked AS (
    UPDATE mintage.heads h
    SET revoked_to = CASE WHEN e_up_to < e_now
                     THEN greatest(h.revoked_to, e_up_to) ELSE h.revoked_to END,
        revoked_at = CASE WHEN e_up_to < e_now
                     THEN h.revoked_at ELSE greatest(h.revoked_at, e_now) END,
        generation = CASE WHEN e_up_to < e_now
                     THEN h.generation ELSE e_generation END
    FROM judged j
    WHERE h.locator = e_locator AND verdict = 'revoked'
)
SELECT nth, verdict FROM judged
