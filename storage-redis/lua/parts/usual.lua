local call, byte, sub, pack, unpack = redis.call, string.byte, string.sub, struct.pack, struct.unpack
local min, max = math.min, math.max
