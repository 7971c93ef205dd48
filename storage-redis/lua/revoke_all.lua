-- Ends every grant of a credential, by its head: `revoke_all` of grant.rs. KEYS: the head.
@usual
local now, purged, up_to, generation, tenant, credential = unpack('>I6I6I6c16Bc0Bc0', ARGV[1])
@head
if not (h and h_tenant == tenant and h_credential == credential) then return 'none' end
if up_to < now then
  h_revoked_to = max(h_revoked_to, up_to)
else
  h_revoked_at, h_generation = max(h_revoked_at, now), generation
end
call('SET', KEYS[1], pack('>BI6I6I6c16Bc0Bc0', 1, h_revoked_to, h_revoked_at, h_keep, h_generation,
  #h_tenant, h_tenant, #h_credential, h_credential), 'KEEPTTL')
return '+'
