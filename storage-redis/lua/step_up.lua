-- Issued → Active(STEPPED_UP) for the one-time token t, Active → Superseded for the Bearer's grant
-- g, together or not at all: `step_up` of grant.rs. KEYS: the head, the token's grant, the Bearer's,
-- and its login where it has one.
@usual
local now, clock, purged, epoch, window, idle_until, resolved, revokes, attempt, secret, tenant,
  client, identity, b_tenant, b_client, b_credential, b_login, by, next_byte =
  unpack('>I6I6I6I6I6I6BBc32c32Bc0Bc0Bc0Bc0Bc0Bc0Bc0c12', ARGV[1])
@grant t 2
@held t
@head
@stands t
@state t
@grant g 3
@state g
@bearer
@login 4
@for_identity
if g_state == 2 and g_identity ~= identity then return 'identity' end
if t_state == 1 and t_strength <= now + 1 then return 'status' end
if t_state == 2 and t_attempt == attempt then
  if g_state == 3 and g_by == by and g_attempt == attempt then
    @again t 2
    @rewrite g 3
    return '=' .. t
  end
  @rewrite g 3
  @rewrite t 2
  if g_state == 4 then return '!bearer:revoked' end
  return '!spent'
end
if t_state ~= 1 then
  @spent
end
@live
if now >= t_expires then return 'expired' end

-- The evidence raises the Bearer's session: it neither widens its scope nor loses its claims.
@terms t
@terms g
local minted_scope = unpack('>Hc0', g, g_minted)
local scope = minted_scope ~= '' and minted_scope or g_scope ~= '' and g_scope or t_scope
local claims = g_claims ~= '' and g_claims or t_claims
local terms = sub(t_terms, 1, 6)
if scope .. claims ~= '' then terms = terms .. pack('>Hc0', #scope, scope) .. claims end
local expires, login = g_expires, b_login
local strings = sub(t, t_from + 1 + #t_identity, t_rest - #t_terms - 3) .. pack('>Hc0', #terms, terms)
@redeem
call('SET', KEYS[3], pack('>BBI6I6I6c16I6I6I6', 1, 3, g_issued, g_expires, g_epoch, g_generation,
  g_strength, now, g_keep) .. sub(g, g_from, g_rest - 1) .. attempt .. by, 'KEEPTTL')
return '+' .. redeemed
