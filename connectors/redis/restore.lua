-- Tells flights again that the ledger knows of, after a wipe (rule D2). KEYS: the key that says that flights are known,
-- the tenant's set of flights, one key a gate, last the set that names the sets of flights. ARGV[1]: JSON [[member, gate, …], …]; gates are places in KEYS.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local EPOCH = 1700000000
local clock = redis.call('TIME')
local now = (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])
for _, one in ipairs(cjson.decode(ARGV[1])) do
  if redis.call('ZADD', KEYS[2], 'NX', now, one[1]) == 1 then
    for n = 2, #one do redis.call('INCR', KEYS[one[n]]) end
    redis.call('SADD', KEYS[#KEYS], KEYS[2])
  end
end
return 1
