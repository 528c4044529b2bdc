-- Variable arguments: packed into tables, counted, selected, passed on.
local unpack = table.unpack or unpack
local select = select

local function sum(...)
  local total = 0
  for i = 1, select("#", ...) do total = total + (select(i, ...)) end
  return total
end
local function collect(...) local t = {...}; return #t, t end
local function pass(...) return ... end
local function drop(_, ...) return ... end

local total, count = 0, 0
for i = 1, 700000 do
  total = total + sum(i, 2, 3, 4)
  local n, t = collect(pass(i, i, i))
  count = count + n + select("#", unpack(t))
  total = total + (drop(pass(1, i)))
end
assert(count == 6 * 700000)
print(string.format("varargs %d %d", total, count))
