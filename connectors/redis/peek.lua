-- How long one event would wait, in microseconds; spends nothing. KEYS: the boot key, then one key a limit.
-- ARGV: tolerance of each limit in microseconds. Units and rule as in admit.lua.
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local stored = redis.call('MGET', unpack(KEYS))
local booted = tonumber(stored[1]) or now
local at = now
for i, tolerance in ipairs(ARGV) do
  local tat = tonumber(stored[i + 1]) or booted + tonumber(tolerance)
  at = math.max(at, tat - tonumber(tolerance))
end
if at - now <= 1 then return 0 end
return math.ceil(at - now)
