-- `stands` of grant.rs, as branches of a CASE: why the grant @ does not stand, under the head h.
WHEN e_clock < @.seen_at THEN 'clock'
WHEN @.epoch < e_epoch THEN 'epoch'
WHEN (h.tenant = @.tenant AND h.credential = @.credential AND h.generation = @.generation
      AND h.revoked_to < @.issued_at) IS NOT TRUE THEN 'head'
