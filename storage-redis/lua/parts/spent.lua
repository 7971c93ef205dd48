-- What another attempt on the spent one-time token t gets.
if t_state == 2 and revokes == 1 then
  @revoke t 2
  return '!replayed'
end
@rewrite t 2
if t_state == 4 then return '!revoked' end
return '!forgiven'
