-- any → Revoked: `revoke` of grant.rs. KEYS: the grant.
@usual
local now, purged, secret, tenant, client = unpack('>I6I6Bc0Bc0Bc0', ARGV[1])
@grant g 1
if not g then return 'unknown' end
if secret ~= '' and g_secret ~= secret then return 'secret' end
if g_tenant ~= tenant then return 'tenant' end
if client ~= '' and g_client ~= client then return 'client' end
if g_state == 4 then
  @rewrite g 1
  return '='
end
@revoke g 1
return '+'
