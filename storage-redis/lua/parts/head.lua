-- The head, at the first key: false where there is none.
local h = call('GET', KEYS[1])
local h_revoked_to, h_revoked_at, h_keep, h_generation, h_tenant, h_credential
if h then
  if byte(h) > 1 then return 'version' end
  h_revoked_to, h_revoked_at, h_keep, h_generation, h_tenant, h_credential =
    unpack('>xI6I6I6c16Bc0Bc0', h)
  if h_keep <= purged then h = false end
end
