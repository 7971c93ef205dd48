-- `login_stands` of grant.rs: why the login of the grant g, at the key $1, does not. It stands for
-- its children even where it has idled out.
if b_login ~= '' then
  @grant l $1
  if not (l and l_tenant == g_tenant and l_credential == g_credential) then
    return 'bearer:login'
  end
  if clock < l_seen then return 'bearer:clock' end
  if not (l_epoch >= epoch and h_generation == l_generation and h_revoked_to < l_issued
    and l_state == 2 and l_identity == '' and now < l_expires) then return 'bearer:login' end
end
