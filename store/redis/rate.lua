-- One Take of the generic cell rate algorithm, over several rates of one workspace:
-- all of them are charged or none is.
--
-- KEYS are the rates. Each holds the time at which its burst is whole again, in unix
-- microseconds, and expires then.
-- ARGV: clock offset in us, then for each key: interval, burst (both in us).
-- Answers for each key: allowed (1 or 0), remaining, reset, retry (both in us).
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2] + ARGV[1]
local cells, all = {}, true
for i, key in ipairs(KEYS) do
  local c = { interval = tonumber(ARGV[2 * i]), burst = tonumber(ARGV[2 * i + 1]) }
  c.full = math.max(tonumber(redis.call('GET', key) or now), now)
  c.wait = c.full + c.interval - c.burst - now
  all = all and c.wait <= 0
  cells[i] = c
end
local answer = {}
local function say(...)
  for _, n in ipairs({ ... }) do
    answer[#answer + 1] = n
  end
end
for i, c in ipairs(cells) do
  if all then
    c.full = c.full + c.interval
    redis.call('SET', KEYS[i], string.format('%.0f', c.full), 'PX', math.ceil((c.full - now) / 1000))
  end
  if c.wait > 0 then
    say(0, 0, c.full - now, c.wait)
  else
    say(1, math.floor((now + c.burst - c.full) / c.interval), c.full - now, 0)
  end
end
return answer
