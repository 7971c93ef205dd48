-- Makes the grants that are judged to be issued, under their heads' generations. An id that was
-- taken since the statement began is left alone: the event is then judged again.
INSERT INTO mintage.grants AS g (
    version, locator, tail, tenant, client, credential, auth_time, scope, claims,
    secret, epoch, generation, issued_at, seen_at, identity, login,
    state,
    stepped_up_until,
    expires_at, keep_until,
    idle_until, attempt, minted_at,
    minted_stepped_up_until,
    minted_scope, minted
)
SELECT
    1, e_locator, e_tail, e_tenant, e_client, e_credential, e_auth_time, e_scope, e_claims,
    e_secret, e_epoch, head_generation, e_now, e_now, e_identity, e_login,
    CASE WHEN e_secret IS NULL THEN 'active' ELSE 'issued' END,
    CASE WHEN e_secret IS NULL THEN {strength e_stepped_up_until} ELSE e_stepped_up_until END,
    new_expires_at, greatest(new_expires_at, e_keep_until),
    CASE WHEN e_secret IS NULL THEN least(e_idle_until, new_expires_at) END,
    e_attempt,
    CASE WHEN e_secret IS NULL THEN e_now END,
    CASE WHEN e_secret IS NULL THEN {strength e_stepped_up_until} END,
    CASE WHEN e_secret IS NULL THEN coalesce(e_minted_scope, e_scope) END,
    e_minted
FROM judged
WHERE verdict = 'issued'
{ordered e_locator, e_tail}
ON CONFLICT DO NOTHING
-- The rest is as the event says, or as the specification makes it of these.
RETURNING NULL::int8 AS nth, 'issued' AS verdict, NULL::int2, g.locator, g.tail, NULL::text,
    NULL::text, NULL::text, NULL::int8, NULL::text, NULL::text, NULL::bytea, NULL::int8,
    g.generation, NULL::int8, NULL::int8, NULL::text, NULL::text, NULL::bytea, NULL::int8,
    g.expires_at, NULL::int8, NULL::int8, NULL::bytea, NULL::int8, NULL::int8, NULL::text,
    NULL::bytea
