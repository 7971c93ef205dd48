-- `bearer_stands` of grant.rs: why the grant g does not stand for the Bearer of an event, or
-- nothing. Its own state is judged by live.sql. h is the head, l the login that the token names.
CASE
    WHEN greatest(g.version, h.version, l.version) > 1 THEN 'version'
    WHEN g.tenant <> e_tenant THEN 'tenant'
    WHEN g.client <> e_client THEN 'client'
    WHEN g.credential <> e_credential THEN 'credential'
    {stands g}
    WHEN g.state = 'active' AND g.login IS DISTINCT FROM e_login THEN 'login'
    WHEN e_login IS NULL THEN NULL
    WHEN (l.tenant = g.tenant AND l.credential = g.credential) IS NOT TRUE THEN 'login'
    WHEN e_clock < l.seen_at THEN 'clock'
    WHEN (l.epoch >= e_epoch AND h.generation = l.generation AND h.revoked_to < l.issued_at
          AND l.state = 'active' AND l.identity IS NULL
          AND e_now < l.expires_at) IS NOT TRUE THEN 'login'
END
