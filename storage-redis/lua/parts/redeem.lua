-- `Issued::redeem` of grant.rs: the one-time token t, at the second key, becomes active.
@strength t_strength expires
local keep = max(t_keep, expires)
local redeemed = pack('>BBI6I6I6c16I6I6I6Bc0', 1, 2, t_issued, expires, t_epoch, t_generation,
  t_strength_now, now, keep, #identity, identity) .. strings
  .. pack('>I6I6I6c32Bc0', min(idle_until, expires), now, t_strength_now, attempt, #login, login)
  .. sub(ARGV[1], next_byte)
call('SET', KEYS[2], redeemed, 'PX', keep - now + 10000)
