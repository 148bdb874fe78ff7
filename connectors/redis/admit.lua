-- GCRA (ITU-T I.371) over a batch; the rule is domain/admission/gcra.py.
-- KEYS: the boot key, then one key a limit. Values are theoretical arrival times (TAT) in microseconds.
-- ARGV[1]: JSON {"limits": [[interval, tolerance], ...], "groups": [[count, reject, limit, ...], ...]}; a group is
--   `count` equal events in a row, `limit` counts from 1.
-- Answers the wait of each event in microseconds.

-- times count from 2023-11-14 so that a double still holds fractions of a microsecond
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])

local batch = cjson.decode(ARGV[1])
local limits, groups = batch.limits, batch.groups
local stored = redis.call('MGET', unpack(KEYS))

local booted = tonumber(stored[1])
if not booted then
  -- new or wiped: no limit starts with its burst (rule D2)
  booted = now
  redis.call('SET', KEYS[1], string.format('%.0f', booted))
end

local tats, touched = {}, {}
for i, limit in ipairs(limits) do
  tats[i] = tonumber(stored[i + 1]) or booted + limit[2]
end

local function admission(group)
  local at = now
  for m = 3, #group do
    local i = group[m]
    local earliest = tats[i] - limits[i][2]
    if earliest > at then at = earliest end
  end
  -- a microsecond of rounding is no wait
  if at - now <= 1 then return now end
  return at
end

local function spend(group, at)
  for m = 3, #group do
    local i = group[m]
    tats[i] = math.max(tats[i], at) + limits[i][1]
    touched[i] = true
  end
end

local waits = {}
for _, group in ipairs(groups) do
  for _ = 1, group[1] do
    local at = admission(group)
    waits[#waits + 1] = math.ceil(at - now)
    if at == now or group[2] == 0 then spend(group, at) end
  end
end

for i in pairs(touched) do
  -- once its TAT is past, a limit is as good as new; the second more is for clocks that are set back
  local keep = math.ceil((tats[i] - now) / 1000) + 1000
  redis.call('SET', KEYS[i + 1], string.format('%.3f', tats[i]), 'PX', string.format('%.0f', keep))
end
return waits
