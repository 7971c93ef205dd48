-- What the grant of a one-time token says, spent or not: `read` of grant.rs. Changes nothing. KEYS:
-- the head, the grant.
@usual
local now, clock, purged, epoch, secret, tenant, client = unpack('>I6I6I6I6c32Bc0Bc0', ARGV[1])
@grant g 2
@held g
@head
@stands g
@state g
if g_state == 1 then
  if now >= g_expires then return 'expired' end
  return '~' .. g
end
@live
return '~' .. g
