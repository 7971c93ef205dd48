-- ∅ → Issued, ∅ → Active, and the head that it goes under: `issue` of grant.rs. KEYS: the head, the
-- grant.
@usual
local now, clock, purged, epoch, window, needed, extended, not_after, expires, keep, idle_until,
  strength, one_time, attempt, generation, strings, next_byte =
  unpack('>I6I6I6I6I6I6I6I6I6I6I6I6Bc32c16Hc0', ARGV[1])
local _, tenant, client, credential, secret = unpack('>Bc0Bc0Bc0Bc0Bc0', strings)
@grant g 2
@head
if g then
  -- `issue_again`
  if one_time == 1 and g_secret ~= secret then return 'secret' end
  if g_tenant ~= tenant then return 'tenant' end
  if g_client ~= client then return 'client' end
  if g_credential ~= credential then return 'credential' end
  @stands g
  @state g
  if g_state == 1 and one_time == 1 then
    if now >= g_expires then return 'expired' end
    @rewrite g 2
    return '=' .. g
  end
  if g_state == 2 and one_time == 0 and g_attempt == attempt then
    @again g 2
    return '=' .. g
  end
  @rewrite g 2
  if g_state == 4 then return '!revoked' end
  if g_state == 3 then return '!superseded' end
  return '!spent'
end

-- `head_for`, `in_time`
if h and (h_tenant ~= tenant or h_credential ~= credential or now < h_revoked_at) then
  return 'head'
end
if one_time == 0 and now >= not_after then return 'expired' end
if not h then
  h_revoked_to, h_revoked_at, h_keep, h_generation = 0, 0, 0, generation
end
if not h or h_keep < needed then
  h_keep = extended
  call('SET', KEYS[1], pack('>BI6I6I6c16Bc0Bc0', 1, h_revoked_to, h_revoked_at, h_keep,
    h_generation, #tenant, tenant, #credential, credential), 'PX', h_keep - now + 10000)
end

-- `first`
if one_time == 1 then
  g = pack('>BBI6I6I6c16I6', 1, 1, now, expires, epoch, h_generation, strength) .. strings
else
  expires = min(expires, h_keep)
  @strength strength expires
  keep = max(keep, expires)
  g = pack('>BBI6I6I6c16I6I6I6', 1, 2, now, expires, epoch, h_generation, strength_now, now, keep)
    .. strings .. pack('>I6I6I6c32', min(idle_until, expires), now, strength_now, attempt)
    .. sub(ARGV[1], next_byte)
end
call('SET', KEYS[2], g, 'PX', keep - now + 10000)
-- The specification makes the rest of the event, as it has been made here.
return '+' .. h_generation .. pack('>I6', h_keep)
