-- What the terms of the grant $1 hold beside their instant.
local $1_scope, $1_claims = '', ''
if #$1_terms > 6 then
  local at
  $1_scope, at = unpack('>Hc0', $1_terms, 7)
  $1_claims = sub($1_terms, at)
end
