-- Raises the epoch to max(stored + 1 ms, now): `Epoch::raised`. Whom the fence has seen stays. KEYS:
-- the epoch.
@usual
local now = unpack('>I6', ARGV[1])
local e = call('GET', KEYS[1])
local epoch, seen = now, '\0\0'
if e then
  if byte(e) > 1 then return 'version' end
  epoch, seen = max(unpack('>xI6', e) + 1, now), sub(e, 8)
end
call('SET', KEYS[1], pack('>BI6', 1, epoch) .. seen)
return '+' .. pack('>I6', epoch)
