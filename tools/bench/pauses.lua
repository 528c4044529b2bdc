-- How long a program stands still for the collector: a histogram of the gaps in its CPU time while it works on a large live
-- heap. Every kind of object is in it, also weak tables and ephemerons (with "weak": large ones). Gaps below 10 us are not
-- counted as pauses. Time given to other programs does not count, since the clock is that of the process.
--
--     build/baton tools/bench/pauses.lua [megabytes] [weak]          200 by default; lua5.4 runs it as well
local megabytes = tonumber(arg and arg[1]) or 200
local with_weak = arg and arg[2] == "weak"
local clock = os.clock
local pauses, worst, count, longest_at = {}, 0, 0, ""
local last = clock()
local phase = "building"

local function tick()
  local now = clock()
  local gap = (now - last) * 1e6
  last = now
  if gap >= 10 then
    count = count + 1
    pauses[count] = gap
    if gap > worst then worst, longest_at = gap, phase end
    if count % 65536 == 0 then last = clock() end
  end
end

-- Live data: chunks, so that no table is rehashed with more than some ten thousand entries.
local live, weak_keys, weak_values = {}, {}, {}
local function record(i)
  local r = {id = i, name = "record " .. i, position = {i, i + 1}, get = function() return i end}
  return r
end
local total = 0
while collectgarbage("count") < megabytes * 1024 do
  local chunk = {}
  local keys, values = setmetatable({}, {__mode = "k"}), setmetatable({}, {__mode = "v"})
  for i = 1, 2000 do
    local r = record(total + i)
    chunk[i] = r
    if i % 10 == 0 then keys[r] = {r} values[i] = r end
    tick()
  end
  total = total + 2000
  live[#live + 1] = chunk
  weak_keys[#weak_keys + 1], weak_values[#weak_values + 1] = keys, values
end
local large = setmetatable({}, {__mode = "k"})
if with_weak then
  phase = "building the weak table"
  for i = 1, #live do for k = 1, 2000, 2 do large[live[i][k]] = {live[i][k]} tick() end end
end

phase = "working"
local random = 42
for i = 1, 4000000 do
  random = random * 16807 % 2147483647
  local chunk = live[random % #live + 1]
  local t = {i, random}
  if i % 4 == 0 then chunk[random % 2000 + 1] = record(i) end
  tick()
end
table.sort(pauses)
local limits = {20, 50, 100, 200, 300, 500, 800, 1000, 1500, 2000, 3000, 5000, 10000, 100000}
print(string.format("live %.0f MB, %d objects of four kinds; %d pauses", collectgarbage("count") / 1024, total * 6, count))
local from = 1
for i, limit in ipairs(limits) do
  local to = from
  while pauses[to] and pauses[to] < limit do to = to + 1 end
  if to > from then print(string.format("  below %6d us %8d", limit, to - from)) end
  from = to
end
local function quantile(q) return pauses[math.max(1, math.ceil(count * q))] or 0 end
print(string.format("p50 %.0f us, p90 %.0f us, p99 %.0f us, max %.0f us (%s)", quantile(0.5), quantile(0.9), quantile(0.99), worst, longest_at))
