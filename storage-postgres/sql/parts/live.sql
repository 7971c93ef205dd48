-- `live` of grant.rs: why the grant g itself does not live, or nothing.
CASE
    WHEN g.state = 'issued' THEN 'unknown'
    WHEN g.state = 'superseded' THEN 'superseded'
    WHEN g.state = 'revoked' THEN 'revoked'
    WHEN e_now >= g.expires_at THEN 'expired'
    WHEN e_now >= g.idle_until THEN 'idle'
END
