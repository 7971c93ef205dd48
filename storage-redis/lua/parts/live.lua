-- `live` of grant.rs: why the grant g itself does not live.
if g_state == 1 then return 'bearer:unknown' end
if g_state == 3 then return 'bearer:superseded' end
if g_state == 4 then return 'bearer:revoked' end
if now >= g_expires then return 'bearer:expired' end
if now >= g_idle then return 'bearer:idle' end
