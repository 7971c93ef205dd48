-- The grant $1, at that key: false where there is none. $1_from is where its texts are, $1_rest where
-- the bytes of its state are.
local $1 = call('GET', KEYS[$2])
local $1_state, $1_issued, $1_expires, $1_epoch, $1_generation, $1_strength, $1_seen, $1_keep
local $1_from, $1_identity, $1_tenant, $1_client, $1_credential, $1_secret, $1_terms, $1_rest
if $1 then
  if byte($1) > 1 then return 'version' end
  $1_state = byte($1, 2)
  if $1_state == 1 then
    $1_issued, $1_expires, $1_epoch, $1_generation, $1_strength, $1_identity, $1_tenant, $1_client,
    $1_credential, $1_secret, $1_terms, $1_rest =
      unpack('>I6I6I6c16I6Bc0Bc0Bc0Bc0Bc0Hc0', $1, 3)
    $1_seen, $1_keep, $1_from = $1_issued, $1_expires, 43
  else
    $1_issued, $1_expires, $1_epoch, $1_generation, $1_strength, $1_seen, $1_keep, $1_identity,
    $1_tenant, $1_client, $1_credential, $1_secret, $1_terms, $1_rest =
      unpack('>I6I6I6c16I6I6I6Bc0Bc0Bc0Bc0Bc0Hc0', $1, 3)
    $1_from = 55
  end
  if $1_keep <= purged then $1, $1_state = false, nil end
end
