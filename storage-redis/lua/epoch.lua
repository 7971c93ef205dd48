-- The epoch; where there is none it becomes the instant of the event. Behind it stands the fence: the
-- primaries that were last seen, each by its run and its replication id, and the ids of those whose
-- place another has taken. KEYS: the epoch.
@usual
local now, raises, asked_of, next_byte = unpack('>I6BB', ARGV[1])
local e = call('GET', KEYS[1])
local epoch, known, replaced = now, {}, {}
if e then
  if byte(e) > 1 then return 'version' end
  local count, at
  epoch, count, at = unpack('>xI6B', e)
  for i = 1, count do
    known[i] = {}
    known[i].run, known[i].id, at = unpack('>c20c20', e, at)
  end
  count, at = unpack('>B', e, at)
  for i = 1, count do
    replaced[i], at = unpack('>c20', e, at)
  end
end

local changed, failed_over, strangers = not e, false, {}
for i = 1, asked_of do
  local one = {}
  one.run, one.id, one.former, next_byte = unpack('>c20c20c20', ARGV[1], next_byte)
  for _, id in ipairs(replaced) do
    if one.id == id then return 'replaced' end
  end
  local found
  for _, primary in ipairs(known) do
    if primary.id == one.id then found = primary end
  end
  if not found and not string.find(one.former, '[^%z]') then
    -- The same process all the while: it draws a new id when its first replica comes, or the last
    -- has been gone for long.
    for _, primary in ipairs(known) do
      if primary.run == one.run then found = primary end
    end
  end
  if not found then
    strangers[#strangers + 1] = one
  elseif found.id ~= one.id then
    found.id, changed = one.id, true
  end
  if found then found.here = true end
end

for _, one in ipairs(strangers) do
  changed = true
  -- A replica that was promoted names whom it followed. A server that was started again names
  -- nobody, but somebody is missing; where nobody is, it has joined the others.
  local missing = 0
  for number, primary in ipairs(known) do
    if primary.id == one.former then
      table.insert(replaced, 1, primary.id)
      table.remove(known, number)
      failed_over = true
      break
    end
  end
  for _, primary in ipairs(known) do
    if not primary.here then missing = missing + 1 end
  end
  if missing > 0 then failed_over = true end
  known[#known + 1] = {run = one.run, id = one.id, here = true}
end
if failed_over then
  -- Whoever is missing has been answered for. It may yet come back, as one that joins.
  for number = #known, 1, -1 do
    if not known[number].here then table.remove(known, number) end
  end
end

if failed_over and raises == 1 then epoch = max(epoch + 1, now) end
if not changed then return '~' .. pack('>I6B', epoch, 0) end
local record = pack('>BI6B', 1, epoch, #known)
for _, primary in ipairs(known) do
  record = record .. primary.run .. primary.id
end
local kept = min(#replaced, 16)
record = record .. pack('>B', kept) .. table.concat(replaced, '', 1, kept)
call('SET', KEYS[1], record)
return '+' .. pack('>I6B', epoch, failed_over and 1 or 0)
