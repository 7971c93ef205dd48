-- `within_window` of grant.rs: what the very same attempt gets that made the grant $1 active.
if now >= min($1_minted_at + window, 253402300799999) then
  @rewrite $1 $2
  return '!spent'
end
if now >= $1_expires then return 'expired' end
if now >= $1_idle then return 'idle' end
@rewrite $1 $2
