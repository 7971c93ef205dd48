-- `held` of grant.rs, by the one-time token that is presented: the grant $1.
if not $1 then return 'unknown' end
if $1_secret ~= secret then return 'secret' end
if $1_tenant ~= tenant then return 'tenant' end
if $1_client ~= client then return 'client' end
