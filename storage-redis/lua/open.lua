-- ∅ → Active for the child c of the login g, and the login slides: `open` of grant.rs. KEYS: the
-- head, the login, the child.
@usual
local now, clock, purged, epoch, window, idle_until, limit, slide, granularity, attempt, identity,
  b_tenant, b_client, b_credential, b_login, own, next_byte =
  unpack('>I6I6I6I6I6I6I6I6I6c32Bc0Bc0Bc0Bc0Bc0c12', ARGV[1])
@grant g 2
@head
@state g
@bearer
-- A login has none itself.
if b_login ~= '' then return 'bearer:login' end
@live
if g_identity ~= '' then return 'bearer:unknown' end
@grant c 3
@state c
local answer
if not c then
  local expires = min(limit, g_expires)
  @strength g_strength expires
  c = pack('>BBI6I6I6c16I6I6I6Bc0Bc0Bc0Bc0BHc0I6I6I6c32Bc0', 1, 2, now, expires, g_epoch,
    g_generation, g_strength_now, now, expires, #identity, identity, #g_tenant, g_tenant, #g_client,
    g_client, #g_credential, g_credential, 0, #g_terms, g_terms, min(idle_until, expires), now,
    g_strength_now, attempt, #own, own) .. sub(ARGV[1], next_byte)
  call('SET', KEYS[3], c, 'PX', expires - now + 10000)
  answer = '+'
elseif c_state == 2 and c_attempt == attempt then
  @stands c
  if c_identity ~= identity then return 'identity' end
  @again c 3
  answer = '='
else
  @rewrite c 3
  if c_state == 4 then return '!revoked' end
  if c_state == 3 then return '!superseded' end
  return '!spent'
end
@slide
return answer .. c
