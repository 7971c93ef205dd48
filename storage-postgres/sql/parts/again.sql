-- `within_window` of grant.rs: what the very same attempt gets that made the grant @ active.
CASE
    WHEN e_window >= @.minted_at THEN 'spent'
    WHEN e_now >= @.expires_at THEN 'expired'
    WHEN e_now >= @.idle_until THEN 'idle'
    ELSE 'again'
END
