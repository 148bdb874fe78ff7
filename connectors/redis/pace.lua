-- The fleet's pace for several deployments; the rule is domain/pacing (bucket.py, share.py). Times are seconds.
-- KEYS: one a deployment. ARGV[1]: JSON {"worker": name, "asks": [{"wanted": [[tokens, ...], ...], "heard": [{...}]}]},
--   in the order of KEYS; ARGV[2]: milliseconds after which a deployment nobody calls is forgotten.
--   and "away" and "went" in each ask. Answers, as JSON, [[mode, [calls, ...], again, rate, queue, back], ...].

local LONGEST_BLOCK, LEAST_RATE, OPEN_FROM, FELT_BURST, CUT_EVERY = 300, 0.1, 2000, 0.25, 0.5
local BACK, RESERVE, MOST_RESERVE, ONE = 2.5, 0.1, 2, 1 - 1e-6
local PROBE_AGAIN, SOONEST, LATEST, MOST_DOUBLINGS, FRESH = 0.05, 0.01, 1, 20, 1
local RISE_FROM, RISE_BURST, RISE_BY, PROVEN, LONGEST_STEP, SUSTAINED = 30, 4, 3, 200, 0.1, 0.85
local AGAIN_FROM, AGAIN_BY, SLACK, USUAL = 40, 6, 25, 2
local WEIGHTS = {16, 4, 1}
-- times count from 2023-11-14 so that a double holds microseconds with room to spare
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = tonumber(clock[1]) - EPOCH + tonumber(clock[2]) / 1000000

local function fresh()
  return {
    mode = 'unknown', at = now, since = 0, probes = 0, rate = 0, capacity = 0, level = 0, token_rate = 0,
    token_capacity = 0, token_level = 0, ['until'] = 0, ceiling = 0, cut = now - CUT_EVERY, back = 0, virtual = 0,
    reached = 0, short = false, opened = false,
    tags = {0, 0, 0}, waiting = {},
  }
end

local function rising(b) return b.mode == 'felt' and b.ceiling == 0 end

local function limited(b) return b.mode == 'told' or (b.mode == 'felt' and b.ceiling > 0) end

local function set_felt(b, rate)
  b.rate = rate
  b.capacity = math.max(1, rate * FELT_BURST)
  b.level = math.min(b.level, b.capacity)
end

local function grow(b, passed)
  local near = 0.7 * b.ceiling <= b.rate and b.rate <= 1.3 * b.ceiling
  local step = near and 0.02 * b.ceiling or 1 + 0.25 * b.rate
  set_felt(b, b.rate + passed * step)
  if b.rate >= OPEN_FROM then b.mode = 'open' end
end

local function set_rising(b, rate)
  b.mode = rate >= PROVEN and 'open' or 'felt'
  b.opened = b.opened or b.mode == 'open'
  b.rate, b.ceiling, b.capacity = rate, 0, RISE_BURST
end

local function rise(b, passed)
  local used = USUAL * b.reached
  if b.mode == 'open' then
    if b.reached < SLACK then
      b.level = RISE_BURST
      set_rising(b, math.max(used, AGAIN_FROM))
    end
  elseif b.short then
    set_rising(b, b.rate * math.exp((b.opened and AGAIN_BY or RISE_BY) * math.min(passed, LONGEST_STEP)))
  elseif b.reached < SLACK then
    set_rising(b, math.min(b.rate, math.max(used, b.opened and AGAIN_FROM or RISE_FROM)))
  else
    set_rising(b, PROVEN)
  end
end

local function advance(b, went)
  local passed = math.max(0, now - b.at)
  b.at = now
  -- a state that an older version kept has no `reached`
  b.reached = (b.reached or 0) * math.exp(-passed) + went
  if b.mode == 'open' or rising(b) then
    rise(b, passed)
  elseif b.mode == 'felt' then
    grow(b, math.min(passed, 1))
  end
  b.level = math.min(b.capacity, b.level + passed * b.rate)
  b.token_level = math.min(b.token_capacity, b.token_level + passed * b.token_rate)
end

local function gauged(gauge, age, rate, capacity, level)
  local limit, remaining = gauge[1], gauge[2]
  local new = capacity ~= limit
  rate = gauge[3] or (new and limit / 60 or rate)
  local most = new and remaining or math.min(limit, remaining + rate * age)
  return rate, limit, capacity == 0 and most or math.min(level, most)
end

local function tell(b, heard)
  local known = b.mode == 'told'
  if not known then
    b.rate, b.capacity, b.token_rate, b.token_capacity = 0, 0, 0, 0
  end
  b.mode = 'told'
  if heard.requests then
    b.rate, b.capacity, b.level = gauged(heard.requests, heard.latency, b.rate, b.capacity, b.level)
  elseif not known then
    b.rate, b.capacity, b.level = OPEN_FROM, OPEN_FROM, OPEN_FROM
  end
  if heard.tokens then
    b.token_rate, b.token_capacity, b.token_level =
      gauged(heard.tokens, heard.latency, b.token_rate, b.token_capacity, b.token_level)
  end
end

local function refused(b, heard)
  if heard.requests or heard.tokens then
    tell(b, heard)
  elseif not limited(b) then
    local reached = math.max(b.reached, heard.calls, 1)
    b.ceiling = rising(b) and SUSTAINED * reached or OPEN_FROM
    b.mode, b.cut = 'felt', now
    set_felt(b, reached / 2)
  elseif now - b.cut >= CUT_EVERY then
    b.mode, b.cut, b.ceiling = 'felt', now, b.rate
    set_felt(b, math.max(b.rate / 2, LEAST_RATE))
  end
  b.level = math.min(b.level, 0)
  if heard.after then b['until'] = math.max(b['until'], now + math.min(heard.after, LONGEST_BLOCK)) end
end

local function hear(b, heard)
  if heard.limited then
    refused(b, heard)
  elseif heard.requests or heard.tokens then
    tell(b, heard)
  elseif b.mode == 'told' then
    b.mode, b.ceiling = 'felt', 0
    b.token_rate, b.token_capacity, b.token_level = 0, 0, 0
  elseif b.mode == 'unknown' then
    b.level = RISE_BURST
    set_rising(b, math.max(RISE_FROM, heard.calls))
    if b.mode == 'open' then b.reached = heard.calls end
  end
end

local function probe(b, wanted)
  local calls = {0, 0, 0}
  if #wanted[1] + #wanted[2] + #wanted[3] == 0 then return calls end
  if b.probes == 0 then b.since = now end
  local left = 2 ^ math.min(MOST_DOUBLINGS, math.floor(now - b.since)) - b.probes
  for n = 1, 3 do
    calls[n] = math.max(0, math.min(left, #wanted[n]))
    left = left - calls[n]
    b.probes = b.probes + calls[n]
  end
  return calls
end

local function again(b, calls, tokens)
  local wait = b.rate > 0 and math.max(calls, 0) / b.rate or LATEST
  if tokens > 0 and b.token_rate > 0 then wait = math.max(wait, tokens / b.token_rate) end
  return math.min(math.max(wait, SOONEST), LATEST)
end

-- the lane whose call goes next, and whether one of ours waits in any
local function next_lane(b, wanted, calls, elsewhere, ahead)
  local best, lowest, mine
  for n = 1, 3 do
    local here = calls[n] < #wanted[n]
    mine = mine or here
    if here or elsewhere[n] > 0 then
      local tag = math.max(b.tags[n] + ahead[n], b.virtual)
      if not best or tag < lowest then best, lowest = n, tag end
    end
  end
  return best, mine
end

local function share(b, wanted, elsewhere)
  local calls, ahead = {0, 0, 0}, {0, 0, 0}
  local level = b.level - math.max(0, math.min(MOST_RESERVE, RESERVE * b.capacity, b.capacity - 1))
  while true do
    local lane, mine = next_lane(b, wanted, calls, elsewhere, ahead)
    if not mine then return calls, SOONEST end
    if calls[lane] >= #wanted[lane] then
      elsewhere[lane] = elsewhere[lane] - 1
      ahead[lane] = ahead[lane] + 1 / WEIGHTS[lane]
      level = level - 1
      if level < ONE then return calls, again(b, 1 - level, 0) end
    else
      local tokens = b.token_rate > 0 and math.min(wanted[lane][calls[lane] + 1], b.token_capacity) or 0
      if level < ONE or b.token_level < tokens then return calls, again(b, 1 - level, tokens - b.token_level) end
      local start = math.max(b.tags[lane], b.virtual)
      b.tags[lane], b.virtual = start + 1 / WEIGHTS[lane], start
      b.level, b.token_level = b.level - 1, b.token_level - tokens
      calls[lane] = calls[lane] + 1
      level = level - 1
    end
  end
end

local function grant(b, wanted, elsewhere)
  if b.mode == 'open' then return {#wanted[1], #wanted[2], #wanted[3]}, SOONEST end
  if b.mode == 'unknown' then return probe(b, wanted), PROBE_AGAIN end
  if now < b['until'] then return {0, 0, 0}, math.max(b['until'] - now, SOONEST) end
  return share(b, wanted, elsewhere)
end

local function others(b, worker)
  local sum = {0, 0, 0}
  for name, row in pairs(b.waiting) do
    if now - row[1] > FRESH then
      b.waiting[name] = nil
    elseif name ~= worker then
      for n = 1, 3 do sum[n] = sum[n] + row[n + 1] end
    end
  end
  return sum
end

local function one(key, stored, worker, ask)
  local b = stored and cmsgpack.unpack(stored) or fresh()
  advance(b, ask.went)
  for _, heard in ipairs(ask.heard) do hear(b, heard) end
  local wanted = ask.wanted
  local elsewhere = others(b, worker)
  local theirs = elsewhere[1] + elsewhere[2] + elsewhere[3]
  local calls, wait = grant(b, wanted, elsewhere)
  local known = limited(b)
  local back = math.max(b.back, b['until'], now + BACK)
  if ask.away > 0 then b.back = back + (known and ask.away / b.rate or 0) end
  local left = {#wanted[1] - calls[1], #wanted[2] - calls[2], #wanted[3] - calls[3]}
  local mine = left[1] + left[2] + left[3]
  b.reached = b.reached + calls[1] + calls[2] + calls[3]
  b.short = mine + theirs > 0
  b.waiting[worker] = mine > 0 and {now, left[1], left[2], left[3]} or nil
  if b.mode == 'open' or #ask.heard + ask.away + #wanted[1] + #wanted[2] + #wanted[3] > 0 then
    redis.call('SET', key, cmsgpack.pack(b), 'PX', ARGV[2])
  end
  local queue = 0
  for _, row in pairs(b.waiting) do queue = queue + row[2] + row[3] + row[4] end
  return {b.mode, calls, wait, known and b.rate or 0, queue, back - now}
end

local given = cjson.decode(ARGV[1])
local stored = redis.call('MGET', unpack(KEYS))
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = one(key, stored[i], given.worker, given.asks[i])
end
return cjson.encode(answers)
