-- `bearer_stands` of grant.rs but for the login: why the grant g does not stand for the Bearer of
-- the event.
if not g then return 'bearer:unknown' end
if g_tenant ~= b_tenant then return 'bearer:tenant' end
if g_client ~= b_client then return 'bearer:client' end
if g_credential ~= b_credential then return 'bearer:credential' end
@stands g bearer:
if g_state == 2 and g_login ~= b_login then return 'bearer:login' end
