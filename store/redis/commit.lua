-- One Commit: conditions first, then every write, so that a conflict has
-- written nothing. Redis runs a script alone; it refuses the first write when
-- it cannot take writes (memory, disk, replica) and never a later one. The
-- first must be one that needs memory: a removal is let through by a server
-- that is full, and with it everything after it.
--
-- KEYS[1] is the token of this Commit. It is remembered for a while, so that a
-- repetition on the wire, whose first answer was lost, is answered like the
-- first and does nothing: it says done once everything is. Because the token is a key that does not exist yet,
-- Cluster answers TRYAGAIN while the slot is being moved, before anything ran.
--
-- KEYS[2..] are the documents, the index positions to be written and the logs,
-- in the order of the steps. The index positions to be REMOVED are found in the
-- document itself and cannot be declared; they carry the same hash tag.
--
-- ARGV: publish command, channel, token's life in ms, clock offset in us, then
--   P condition id index-prefix value ttl n (field score){n}
--   D condition id index-prefix
--   A value
--   T through
-- condition: '' none, 'c' must not exist, else the exact version.
-- ttl: milliseconds, 0 for none.
-- A document is a hash: v version, d value, 'i' .. name:key -> score.
-- Answers 0, or the number of the first step whose condition did not hold.
local before = redis.call('GET', KEYS[1])
if before == 'done' then
  return 0
elseif before then
  return redis.error_reply('ERR this commit failed on its way')
end

local k, a = 1, 4
local function key()
  k = k + 1
  return KEYS[k]
end
local function arg()
  a = a + 1
  return ARGV[a]
end

-- The number of the last entry of a log, 0 for none.
local function newest(log)
  local entry = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return entry and tonumber(string.match(entry[1], '^%d+')) or 0
end

-- Where somebody took the last entries away by hand, Redis goes on from the number
-- that it gave out last, and so does this: what is missing stays a gap.
local function goon(log)
  local about = redis.call('XINFO', 'STREAM', log)
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then
      return tonumber(string.match(about[i + 1], '^%d+'))
    end
  end
end

local steps, last = {}, {}
while a < #ARGV do
  local s = { what = arg(), key = key() }
  if s.what == 'A' or s.what == 'T' then
    s.value = arg()
    if not last[s.key] then
      last[s.key] = newest(s.key)
    end
  else
    local condition = arg()
    s.id, s.prefix = arg(), arg()
    s.version = redis.call('HGET', s.key, 'v')
    if condition == 'c' then
      if s.version then
        return #steps + 1
      end
    elseif condition ~= '' and condition ~= s.version then
      return #steps + 1
    end
    if s.what == 'P' then
      s.fields = { 'v', string.format('%.0f', (tonumber(s.version) or 0) + 1), 'd', arg() }
      s.ttl = arg()
      s.places, s.kept = {}, {}
      for _ = 1, tonumber(arg()) do
        local field, score = arg(), arg()
        s.fields[#s.fields + 1] = field
        s.fields[#s.fields + 1] = score
        s.places[#s.places + 1] = { key(), score }
        s.kept[field] = true
      end
    end
  end
  steps[#steps + 1] = s
end

redis.call('SET', KEYS[1], '', 'PX', ARGV[3])
local at
for _, s in ipairs(steps) do
  if s.what == 'A' then
    if not at then
      local t = redis.call('TIME')
      at = string.format('%.0f', t[1] * 1000000 + t[2] + ARGV[4])
    end
    last[s.key] = last[s.key] + 1
    local added = redis.pcall('XADD', s.key, string.format('%.0f-0', last[s.key]), 't', at, 'd', s.value)
    if type(added) == 'table' and added.err then
      last[s.key] = goon(s.key) + 1
      redis.call('XADD', s.key, string.format('%.0f-0', last[s.key]), 't', at, 'd', s.value)
    end
  elseif s.what == 'T' then
    local from = math.min(tonumber(s.value) + 1, last[s.key])
    if from > 0 then
      redis.call('XTRIM', s.key, 'MINID', string.format('%.0f-0', from))
    end
  else
    if s.version then
      for _, field in ipairs(redis.call('HKEYS', s.key)) do
        if string.sub(field, 1, 1) == 'i' and not (s.kept and s.kept[field]) then
          redis.call('ZREM', s.prefix .. string.sub(field, 2), s.id)
        end
      end
      redis.call('DEL', s.key)
    end
    if s.what == 'P' then
      redis.call('HSET', s.key, unpack(s.fields))
      if s.ttl ~= '0' then
        redis.call('PEXPIRE', s.key, s.ttl)
      end
      for _, place in ipairs(s.places) do
        redis.call('ZADD', place[1], place[2], s.id)
      end
    end
  end
end

redis.call('SET', KEYS[1], 'done', 'PX', ARGV[3])
redis.call(ARGV[1], ARGV[2], '')
return 0
