-- What the state of the grant $1 adds.
local $1_idle, $1_minted_at, $1_attempt, $1_login, $1_minted, $1_by
if $1_state == 2 then
  $1_idle, $1_minted_at, $1_attempt, $1_login, $1_minted = unpack('>I6I6xxxxxxc32Bc0', $1, $1_rest)
elseif $1_state == 3 then
  $1_attempt, $1_by = unpack('>c32c12', $1, $1_rest)
end
