-- What is issued, an element of each array for each. One with a secret is a one-time token.
event AS MATERIALIZED (
    SELECT * FROM {event
        e_locator bytea, e_tail bytea, e_tenant text, e_client text, e_credential text,
        e_auth_time int8, e_scope text, e_claims text, e_secret bytea, e_identity text,
        e_login bytea, e_stepped_up_until int8, e_expires_at int8, e_keep_until int8,
        e_idle_until int8, e_attempt bytea, e_minted_scope text, e_minted bytea, e_not_after int8,
        e_generation bytea, e_needed int8, e_extended int8, e_now int8, e_clock int8,
        e_window int8, e_epoch int8
    }
)
