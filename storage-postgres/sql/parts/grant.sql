-- The columns of the grant @, in the order in which record.rs reads them.
@.version, @.locator, @.tail, @.tenant, @.client, @.credential, @.auth_time, @.scope, @.claims,
@.secret, @.epoch, @.generation, @.issued_at, @.keep_until, @.state, @.identity, @.login,
@.stepped_up_until, @.expires_at, @.seen_at, @.idle_until, @.attempt, @.minted_at,
@.minted_stepped_up_until, @.minted_scope, @.minted
