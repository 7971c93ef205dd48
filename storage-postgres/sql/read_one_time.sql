-- What the grant of a one-time token says, spent or not: `read` of grant.rs. Changes nothing.
SELECT nth,
    CASE
        WHEN greatest(g.version, h.version) > 1 THEN 'version'
        WHEN g.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN g.tenant <> e_tenant THEN 'tenant'
        WHEN g.client <> e_client THEN 'client'
        {stands g}
        WHEN g.state = 'issued' AND e_now >= g.expires_at THEN 'expired'
        WHEN g.state = 'issued' THEN 'live'
        ELSE coalesce({live}, 'live')
    END AS verdict,
    {grant g}
FROM {event
    e_locator bytea, e_tail bytea, e_secret bytea, e_tenant text, e_client text, e_now int8,
    e_clock int8, e_epoch int8
}
JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
LEFT JOIN mintage.heads h ON h.locator = e_locator
