-- `head_for` of grant.rs where it writes: makes or extends the head, and issues the grant under it
-- in the same step. An event that gets no answer here is judged again by issue.sql, and so is one
-- whose head was made since the statement began.
WITH {issue_event},
locked AS MATERIALIZED (
    SELECT nth AS locked_nth, h.*
    FROM event
    JOIN mintage.heads h ON h.locator = e_locator
    {ordered h.locator}
    FOR UPDATE OF h
),
extended AS (
    UPDATE mintage.heads h
    SET keep_until = e_extended
    FROM event JOIN locked l ON locked_nth = nth
    WHERE h.locator = e_locator AND l.version = 1 AND l.keep_until < e_needed
      AND l.tenant = e_tenant AND l.credential = e_credential AND e_now >= l.revoked_at
    RETURNING h.locator, h.generation, h.keep_until
),
made AS (
    INSERT INTO mintage.heads AS h (
        version, locator, generation, tenant, credential, revoked_to, revoked_at, keep_until
    )
    SELECT 1, e_locator, e_generation, e_tenant, e_credential, 0, 0, e_extended
    FROM event
    WHERE NOT EXISTS (SELECT FROM locked WHERE locked_nth = nth)
    {ordered e_locator}
    ON CONFLICT DO NOTHING
    RETURNING h.locator, h.generation, h.keep_until
),
judged AS MATERIALIZED (
    SELECT event.*, 'issued' AS verdict, head.generation AS head_generation,
           CASE WHEN e_secret IS NULL THEN least(e_expires_at, head.keep_until)
                ELSE e_expires_at END AS new_expires_at
    FROM event
    JOIN (SELECT * FROM extended UNION ALL SELECT * FROM made) head ON head.locator = e_locator
)
{issue_insert}
