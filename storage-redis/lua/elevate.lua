-- Active → Active(STEPPED_UP), in place: `elevate` of grant.rs. KEYS: the head, the grant, and its
-- login where it has one.
@usual
@bearer_event
local until_then = unpack('>I6', ARGV[1], next_byte)
@grant g 2
@head
@state g
@bearer
@login 3
@live
@strength g_strength g_expires
@strength until_then g_expires
g = pack('>BBI6I6I6c16I6I6I6', 1, 2, g_issued, g_expires, g_epoch, g_generation,
  max(g_strength_now, until_then_now), max(g_seen, now), g_keep) .. sub(g, g_from)
call('SET', KEYS[2], g, 'KEEPTTL')
return '+' .. g
