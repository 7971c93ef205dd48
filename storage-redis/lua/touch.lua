-- The live check, which slides: `touch` of grant.rs. What need not slide is not written. KEYS: the
-- head, the grant, and its login where it has one.
@usual
@bearer_event
local slide, granularity = unpack('>I6I6', ARGV[1], next_byte)
@grant g 2
@head
@state g
@bearer
@login 3
@live
@slide
if slides then return '+' .. g end
return '~' .. g
