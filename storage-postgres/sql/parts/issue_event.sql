-- What is issued, an element of each array for each. One with a secret is a one-time token.
event AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::text[],
        $8::text[], $9::bytea[], $10::text[], $11::bytea[], $12::int8[], $13::int8[], $14::int8[],
        $15::int8[], $16::bytea[], $17::text[], $18::bytea[], $19::int8[], $20::bytea[],
        $21::int8[], $22::int8[], $23::int8[], $24::int8[], $25::int8[], $26::int8[]
    ) WITH ORDINALITY AS event(
        e_locator, e_tail, e_tenant, e_client, e_credential, e_auth_time, e_scope, e_claims,
        e_secret, e_identity, e_login, e_stepped_up_until, e_expires_at, e_keep_until,
        e_idle_until, e_attempt, e_minted_scope, e_minted, e_not_after, e_generation, e_needed,
        e_extended, e_now, e_clock, e_window, e_epoch, nth
    )
)
