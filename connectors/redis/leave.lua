-- Flights that are over or wait give back their places, and at their end the tokens that they reserved and did not use.
-- KEYS: gates, sets of flights and hashes of reservations, as they are named.
-- ARGV[1]: JSON {"departures": [[flights, reservations, member, used, gate, …], …]}; used is -1 of
--   what waits; all places are in KEYS, from 1. Units as in admit.lua, the rule is gcra.settle.
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local batch = cjson.decode(ARGV[1])
local freed, reserving = {}, {}

local function settle(reserved, used)
  for _, one in ipairs(cjson.decode(reserved)) do
    local key, interval, burst, cost = one[1], one[2], one[3], one[4]
    local tat = tonumber(redis.call('GET', key) or now)
    local more = math.min(used, burst) - cost
    if more > 0 then
      tat = math.max(tat, now) + more * interval
    elseif tat > now then
      tat = math.max(now, tat + more * interval)
    end
    local keep = math.max(0, math.ceil((tat - now) / 1000)) + 1000
    redis.call('SET', key, string.format('%.3f', tat), 'PX', string.format('%.0f', keep))
  end
end

for _, one in ipairs(batch.departures) do
  local flights, reservations, member, used = one[1], one[2], one[3], one[4]
  if redis.call('ZREM', KEYS[flights], member) == 1 then
    for n = 5, #one do freed[one[n]] = (freed[one[n]] or 0) + 1 end
  end
  if used >= 0 then
    if reserving[reservations] == nil then
      reserving[reservations] = redis.call('EXISTS', KEYS[reservations]) == 1
    end
    local reserved = reserving[reservations] and redis.call('HGET', KEYS[reservations], member)
    if reserved then
      redis.call('HDEL', KEYS[reservations], member)
      settle(reserved, used)
    end
  end
end

for gate, count in pairs(freed) do
  if redis.call('DECRBY', KEYS[gate], count) <= 0 then redis.call('DEL', KEYS[gate]) end
end
return 0
