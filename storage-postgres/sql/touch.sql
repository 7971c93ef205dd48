-- The live check: `touch` of grant.rs. Whatever need not slide is judged as it was when the
-- statement began, and neither locked nor written. What slides is locked and judged once more.
WITH event AS MATERIALIZED (
    SELECT * FROM {event
        e_locator bytea, e_tail bytea, e_login bytea, e_tenant text, e_client text,
        e_credential text, e_slide int8, e_granularity int8, e_now int8, e_clock int8,
        e_epoch int8
    }
),
seen AS MATERIALIZED (
    SELECT event.*, {grant g}, coalesce({bearer}, {live}, {slide}) AS verdict
    FROM event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    LEFT JOIN mintage.heads h ON h.locator = e_locator
    LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
),
locked AS MATERIALIZED (
    SELECT nth, e_locator, e_tail, e_login, e_tenant, e_client, e_credential, e_slide,
           e_granularity, e_now, e_clock, e_epoch, {grant g}
    FROM seen
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    WHERE verdict = 'slides'
    {ordered g.locator, g.tail}
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT g.*, coalesce({bearer}, {live}, {slide}) AS verdict
    FROM locked g
    LEFT JOIN mintage.heads h ON h.locator = e_locator
    LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
),
slid AS (
    UPDATE mintage.grants g
    SET idle_until = least(e_slide, j.expires_at), seen_at = greatest(j.seen_at, e_now)
    FROM judged j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'slides'
    RETURNING nth, verdict, {grant g}
)
SELECT nth, verdict, {grant g} FROM seen g WHERE verdict <> 'slides'
UNION ALL
SELECT * FROM slid
UNION ALL
SELECT nth, verdict, {grant g} FROM judged g WHERE verdict <> 'slides'
