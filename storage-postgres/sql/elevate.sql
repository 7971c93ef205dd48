-- Active → Active(STEPPED_UP), in place: `elevate` of grant.rs.
WITH locked AS (
    SELECT event.*, {grant g}
    FROM (
        SELECT * FROM {event
            e_locator bytea, e_tail bytea, e_login bytea, e_tenant text, e_client text,
            e_credential text, e_until int8, e_now int8, e_clock int8, e_epoch int8
        }
        {ordered e_locator, e_tail}
    ) event
    JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
    {ordered e_locator, e_tail}
    FOR UPDATE OF g
),
judged AS MATERIALIZED (
    SELECT g.*, coalesce({bearer}, {live}, 'elevated') AS verdict
    FROM locked g
    LEFT JOIN mintage.heads h ON h.locator = e_locator
    LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
),
elevated AS (
    UPDATE mintage.grants g
    SET seen_at = greatest(j.seen_at, e_now),
        -- Of what it is and what it becomes, the longer; `greatest` passes over what is nothing.
        stepped_up_until = greatest(
            {strength j.stepped_up_until},
            CASE
                WHEN e_until = 9223372036854775807 THEN e_until
                WHEN e_until > e_now THEN least(e_until, new_expires_at)
            END
        )
    FROM (SELECT judged.*, expires_at AS new_expires_at FROM judged) j
    WHERE g.locator = e_locator AND g.tail = e_tail AND verdict = 'elevated'
    RETURNING nth, verdict, {grant g}
)
SELECT * FROM elevated
UNION ALL
SELECT nth, verdict, {grant g} FROM judged g WHERE verdict <> 'elevated'
