-- `Active::slid` of grant.rs: use moves the idle deadline of the grant g, where that is worth it.
local slid_until = min(slide, g_expires)
local slides = slid_until > g_idle and slid_until >= min(g_idle + granularity, 253402300799999)
if slides then
  g = pack('>BBI6I6I6c16I6I6I6', 1, 2, g_issued, g_expires, g_epoch, g_generation, g_strength,
    max(g_seen, now), g_keep) .. sub(g, g_from, g_rest - 1) .. pack('>I6', slid_until)
    .. sub(g, g_rest + 6)
  call('SET', KEYS[2], g, 'KEEPTTL')
end
