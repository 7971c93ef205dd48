-- Puts back so many grants of one person, from a number on, where they are not as they were issued.
-- Answers how many of them had been redeemed. The person's head is put back in any case.
-- KEYS: the head. ARGV: the head, a grant, how long the server keeps either, the number, how many.
local head, grant, head_life, grant_life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('SET', KEYS[1], head, 'PX', head_life)
local redeemed = 0
for number = ARGV[5], ARGV[5] + ARGV[6] - 1 do
  local key = KEYS[1] .. string.format('%012d', number)
  local state = redis.call('GETRANGE', key, 1, 1)
  if state == '\2' then redeemed = redeemed + 1 end
  if state ~= '\1' then redis.call('SET', key, grant, 'PX', grant_life) end
end
return redeemed
