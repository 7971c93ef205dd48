-- `Strength::at` of the strength $1, at the instant of the event, under the limit $2.
local $1_now = $1
if $1 <= now + 1 then
  $1_now = 0
elseif $1 < 281474976710655 then
  $1_now = min($1, $2 + 1)
end
