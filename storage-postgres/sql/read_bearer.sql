-- What the grant of a Bearer says: `read` of grant.rs. Changes nothing.
SELECT nth, coalesce({bearer}, {live}, 'live') AS verdict, {grant g}
FROM {event
    e_locator bytea, e_tail bytea, e_login bytea, e_tenant text, e_client text, e_credential text,
    e_now int8, e_clock int8, e_epoch int8
}
JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
LEFT JOIN mintage.heads h ON h.locator = e_locator
LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
