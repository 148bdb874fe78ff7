-- GCRA (ITU-T I.371) over a batch, and the places of those in flight; the rules are domain/admission.
-- KEYS: the boot key, the key that says that flights are known, one key a limit, one a gate, one set of flights a
--   tenant, one hash of reservations a tenant, last the set that names the sets of flights. Values of limits are theoretical arrival times (TAT) in microseconds,
--   those of gates are counts.
-- ARGV[1]: JSON
--   limits    [[interval, burst, 1 for tokens], …]
--   gates     [[places, -1 for no end, 1 where it rejects], …]
--   profiles  [[reject, tokens, flights, reservations, [limit, …], [gate, …]], …]; places count from 1, 0 is none;
--             flights and reservations are places in KEYS
--   events    [profile, …]
--   members   [name of the flight, …], empty where no event has one
-- Answers for each event its wait in microseconds, or minus the place of the gate that is full; "unknown" when flights
-- are to be told first.

-- times count from 2023-11-14 so that a double still holds fractions of a microsecond
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local batch = cjson.decode(ARGV[1])
local limits, gates, profiles = batch.limits, batch.gates, batch.profiles
local stored = redis.call('MGET', unpack(KEYS, 1, 2 + #limits + #gates))

if #gates > 0 and not stored[2] then return 'unknown' end

local booted = tonumber(stored[1])
if not booted then
  -- new or wiped: no limit starts with its burst (rule D2)
  booted = now
  redis.call('SET', KEYS[1], string.format('%.0f', booted))
end

local tats, spent, counts, entered, flying = {}, {}, {}, {}, {}
for i, limit in ipairs(limits) do
  tats[i] = tonumber(stored[i + 2]) or booted + (limit[2] - 1) * limit[1]
end
for i = 1, #gates do
  counts[i] = tonumber(stored[i + 2 + #limits]) or 0
end

local function cost(limit, tokens)
  if limit[3] == 0 then return 1 end
  return math.max(1, math.min(tokens, limit[2]))
end

local function admission(profile)
  local at = now
  for _, i in ipairs(profile[5]) do
    local limit = limits[i]
    local earliest = tats[i] - (limit[2] - cost(limit, profile[2])) * limit[1]
    if earliest > at then at = earliest end
  end
  -- a microsecond of rounding is no wait
  if at - now <= 1 then return now end
  return at
end

local function spend(profile, at, member)
  local reserved = {}
  for _, i in ipairs(profile[5]) do
    local limit = limits[i]
    local n = cost(limit, profile[2])
    tats[i] = math.max(tats[i], at) + n * limit[1]
    spent[i] = true
    if limit[3] == 1 then reserved[#reserved + 1] = { KEYS[i + 2], limit[1], limit[2], n } end
  end
  if profile[4] > 0 and #reserved > 0 then
    redis.call('HSET', KEYS[profile[4]], member, cjson.encode(reserved))
    redis.call('PEXPIRE', KEYS[profile[4]], 86400000)
  end
end

local function count(profile, more)
  for _, i in ipairs(profile[6]) do
    counts[i] = counts[i] + more
    entered[i] = true
  end
end

-- the gate that has no place; none when it is in flight now, or was before. Who was told by the ledger may be somebody
-- who only asks now: it keeps its place unless there are more than may be.
local function full(profile, member)
  local flights, known = KEYS[profile[3]], false
  for _, i in ipairs(profile[6]) do
    local places = gates[i][1]
    if places >= 0 and counts[i] >= places then
      known = known or redis.call('ZSCORE', flights, member)
      if not known then return i end
      if counts[i] > places then
        redis.call('ZREM', flights, member)
        count(profile, -1)
        return i
      end
    end
  end
  if redis.call('ZADD', flights, 'NX', now, member) == 1 then
    count(profile, 1)
    flying[flights] = true
  end
end

local answers = {}
for n, place in ipairs(batch.events) do
  local profile, member = profiles[place], batch.members[n]
  local reject = profile[1] == 1
  local at = admission(profile)
  local answer = math.ceil(at - now)
  if at > now then
    if not reject then spend(profile, at, member) end
  else
    local gate = profile[3] > 0 and full(profile, member)
    if gate then answer = -gate end
    if not (gate and reject and gates[gate][2] == 1) then spend(profile, at, member) end
  end
  answers[n] = answer
end

for i in pairs(spent) do
  -- once its TAT is past, a limit is as good as new; the second more is for clocks that are set back
  local keep = math.ceil((tats[i] - now) / 1000) + 1000
  redis.call('SET', KEYS[i + 2], string.format('%.3f', tats[i]), 'PX', string.format('%.0f', keep))
end
for i in pairs(entered) do
  redis.call('SET', KEYS[i + 2 + #limits], counts[i])
end
for flights in pairs(flying) do
  redis.call('SADD', KEYS[#KEYS], flights)
end
return answers
