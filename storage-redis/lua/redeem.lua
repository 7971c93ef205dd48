-- Issued → Active, once: `redeem` of grant.rs. KEYS: the head, the grant.
@usual
local now, clock, purged, epoch, window, idle_until, limit, resolved, revokes, attempt, secret,
  tenant, client, identity, next_byte =
  unpack('>I6I6I6I6I6I6I6BBc32c32Bc0Bc0Bc0', ARGV[1])
@grant t 2
@held t
@head
@stands t
@state t
@for_identity
if t_state == 1 then
  if now >= t_expires then return 'expired' end
  local expires = min(limit, h_keep)
  local login = ''
  local strings = sub(t, t_from + 1 + #t_identity, t_rest - 1)
  @redeem
  -- The record as it was: the specification makes the same of it.
  return '+' .. pack('>I6', h_keep) .. t
end
if t_state == 2 and t_attempt == attempt and t_login == '' then
  @again t 2
  return '=' .. t
end
@spent
