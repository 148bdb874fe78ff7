-- Flights that are over or wait give back their places, and at their end the tokens that they reserved and did not use.
-- KEYS: gates, sets of flights and hashes of reservations, as they are named.
-- ARGV[1]: JSON [[flights, reservations, [gate, …], [member, …], [used, …]], …]; used is -1 of what waits; flights,
--   reservations and gates are places in KEYS, from 1. Units as in admit.lua, the rule is gcra.settle.
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local groups = cjson.decode(ARGV[1])
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

local function give_back(reservations, members, used)
  local reserved = redis.call('HMGET', reservations, unpack(members))
  for n, member in ipairs(members) do
    if used[n] >= 0 and reserved[n] then
      redis.call('HDEL', reservations, member)
      settle(reserved[n], used[n])
    end
  end
end

for _, group in ipairs(groups) do
  local flights, reservations, gates, members, used = unpack(group)
  local gone = redis.call('ZREM', KEYS[flights], unpack(members))
  for _, gate in ipairs(gates) do freed[gate] = (freed[gate] or 0) + gone end
  if reserving[reservations] == nil then
    reserving[reservations] = redis.call('EXISTS', KEYS[reservations]) == 1
  end
  if reserving[reservations] then give_back(KEYS[reservations], members, used) end
end

for gate, count in pairs(freed) do
  if count > 0 and redis.call('DECRBY', KEYS[gate], count) <= 0 then redis.call('DEL', KEYS[gate]) end
end
return 0
