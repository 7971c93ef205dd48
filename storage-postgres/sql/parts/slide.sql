-- `Active::slid` of grant.rs: whether use moves the idle deadline of the grant g far enough.
CASE
    WHEN least(e_slide, g.expires_at) > g.idle_until
         AND least(e_slide, g.expires_at) >= g.idle_until + e_granularity THEN 'slides'
    ELSE 'live'
END
