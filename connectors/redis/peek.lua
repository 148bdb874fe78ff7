-- What a look at limits and gates tells; spends nothing. KEYS: the boot key, one key a limit, one key a gate.
-- ARGV: (burst - 1) intervals of each limit in microseconds. Units as in admit.lua.
-- Answers microseconds by which each limit's TAT is ahead of now, then each gate's count.
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local stored = redis.call('MGET', unpack(KEYS))
local booted = tonumber(stored[1]) or now
local found = {}
for i = 2, #KEYS do
  local tolerance = ARGV[i - 1]
  if tolerance then
    local tat = tonumber(stored[i]) or booted + tonumber(tolerance)
    found[i - 1] = math.max(0, math.ceil(tat - now))
  else
    found[i - 1] = tonumber(stored[i]) or 0
  end
end
return found
