-- `revoked` of grant.rs: the grant $1, at that key, is ended. What its state added is gone.
call('SET', KEYS[$2], pack('>BBI6I6I6c16I6I6I6', 1, 4, $1_issued, $1_expires, $1_epoch, $1_generation,
  $1_strength, now, $1_keep) .. sub($1, $1_from, $1_rest - 1), 'KEEPTTL')
