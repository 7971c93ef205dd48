-- What the grant of a Bearer says: `read` of grant.rs. Changes nothing. KEYS: the head, the grant,
-- and its login where it has one.
@usual
@bearer_event
@grant g 2
@head
@state g
@bearer
@login 3
@live
return '~' .. g
