-- `for_identity` of grant.rs: is the one-time token t for the identity of the event?
if t_state == 1 then
  if t_identity == '' then
    if resolved == 0 then return 'unresolved' end
  elseif t_identity ~= identity then
    return 'identity'
  end
elseif t_state == 2 and t_identity ~= identity then
  return 'identity'
end
