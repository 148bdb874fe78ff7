-- Flights of a tenant that began more than ARGV[1] microseconds ago, ARGV[2] at most; they count as begun now, so that
-- nobody else looks at them meanwhile. KEYS: its set of flights, the set that names the sets of flights.
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, tonumber(ARGV[2]))
for _, member in ipairs(found) do redis.call('ZADD', KEYS[1], 'XX', now, member) end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], KEYS[1]) end
return found
