-- What the grant of a Bearer says: `read` of grant.rs. Changes nothing.
SELECT nth, coalesce({bearer}, {live}, 'live') AS verdict, {grant g}
FROM unnest(
    $1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::int8[],
    $8::int8[], $9::int8[]
) WITH ORDINALITY AS event(
    e_locator, e_tail, e_login, e_tenant, e_client, e_credential, e_now, e_clock, e_epoch, nth
)
JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
LEFT JOIN mintage.heads h ON h.locator = e_locator
LEFT JOIN mintage.grants l ON l.locator = e_locator AND l.tail = e_login
