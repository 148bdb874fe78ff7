-- When this Redis was first seen empty (rule D2), noted before a request comes. KEYS: the boot key. Units as in admit.lua.
local EPOCH = 1700000000
local clock = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%.0f', (tonumber(clock[1]) - EPOCH) * 1000000 + tonumber(clock[2])), 'NX')
