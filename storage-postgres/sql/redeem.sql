-- Issued → Active, once: `redeem` of grant.rs.
--
-- Whatever is judged is written, what is refused as it was: no answer promises less than the one it
-- rests on, for each waits for whatever a commit waits for.
UPDATE mintage.grants g
SET state = CASE verdict WHEN 'redeemed' THEN 'active' WHEN 'replayed' THEN 'revoked'
            ELSE g.state END,
    seen_at = CASE WHEN verdict IN ('redeemed', 'replayed') THEN e_now ELSE g.seen_at END,
    identity = CASE verdict WHEN 'redeemed' THEN e_identity ELSE g.identity END,
    attempt = CASE verdict WHEN 'redeemed' THEN e_attempt ELSE g.attempt END,
    minted = CASE verdict WHEN 'redeemed' THEN e_minted ELSE g.minted END,
    minted_at = CASE verdict WHEN 'redeemed' THEN e_now ELSE g.minted_at END,
    minted_scope = CASE verdict WHEN 'redeemed' THEN coalesce(e_scope, g.scope)
                   ELSE g.minted_scope END,
    idle_until = CASE verdict WHEN 'redeemed' THEN least(e_idle_until, new_expires_at)
                 ELSE g.idle_until END,
    expires_at = CASE verdict WHEN 'redeemed' THEN new_expires_at ELSE g.expires_at END,
    keep_until = CASE verdict WHEN 'redeemed' THEN greatest(g.keep_until, new_expires_at)
                 ELSE g.keep_until END,
    stepped_up_until = CASE verdict WHEN 'redeemed' THEN {strength g.stepped_up_until}
                       ELSE g.stepped_up_until END,
    minted_stepped_up_until = CASE verdict WHEN 'redeemed' THEN {strength g.stepped_up_until}
                              ELSE g.minted_stepped_up_until END
FROM (
    SELECT nth, e_locator, e_tail, e_identity, e_attempt, e_idle_until, e_scope, e_minted, e_now,
    least(e_expires_at, h.keep_until) AS new_expires_at,
    CASE
        WHEN greatest(g.version, h.version) > 1 THEN 'version'
        WHEN g.secret IS DISTINCT FROM e_secret THEN 'secret'
        WHEN g.tenant <> e_tenant THEN 'tenant'
        WHEN g.client <> e_client THEN 'client'
        {stands g}
        WHEN g.state = 'issued' AND g.identity <> e_identity THEN 'identity'
        WHEN g.state = 'issued' AND g.identity IS NULL AND NOT e_resolved THEN 'unresolved'
        WHEN g.state = 'active' AND g.identity IS DISTINCT FROM e_identity THEN 'identity'
        WHEN g.state = 'issued' AND e_now < g.expires_at THEN 'redeemed'
        WHEN g.state = 'issued' THEN 'expired'
        WHEN g.state = 'active' AND g.attempt = e_attempt AND g.login IS NULL THEN {again g}
        WHEN g.state = 'active' AND e_revokes THEN 'replayed'
        WHEN g.state = 'active' OR g.state = 'superseded' THEN 'forgiven'
        ELSE 'revoked'
    END AS verdict
    FROM (
        SELECT event.*, {grant g}
        FROM (
            SELECT * FROM {event
                e_locator bytea, e_tail bytea, e_secret bytea, e_tenant text, e_client text,
                e_identity text, e_resolved bool, e_attempt bytea, e_revokes bool,
                e_idle_until int8, e_expires_at int8, e_scope text, e_minted bytea, e_now int8,
                e_clock int8, e_window int8, e_epoch int8
            }
            {ordered e_locator, e_tail}
        ) event
        JOIN mintage.grants g ON g.locator = e_locator AND g.tail = e_tail
        {ordered e_locator, e_tail}
        FOR UPDATE OF g
    ) g
    LEFT JOIN mintage.heads h ON h.locator = g.e_locator
    -- Judged once, and not wherever the verdict is looked at.
    OFFSET 0
) judged
WHERE g.locator = e_locator AND g.tail = e_tail
-- The rest is as the event says, or as the specification makes it of these.
RETURNING nth, verdict, g.credential, g.auth_time, g.scope, g.claims, g.epoch, g.generation,
    g.issued_at, g.keep_until, g.stepped_up_until, g.expires_at, g.seen_at, g.idle_until,
    g.minted_at, g.minted_stepped_up_until, g.minted_scope, g.minted
