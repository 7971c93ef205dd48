-- `stands` of grant.rs: why the grant $1 does not stand under the head.
if clock < $1_seen then return '$2clock' end
if $1_epoch < epoch then return '$2epoch' end
if not (h and h_tenant == $1_tenant and h_credential == $1_credential
  and h_generation == $1_generation and h_revoked_to < $1_issued) then return '$2head' end
