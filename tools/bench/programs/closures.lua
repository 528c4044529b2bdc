-- Making closures, sharing an upvalue between them, calling them.
local function counter(start)
  local value = start
  return function() value = value + 1; return value end, function(v) value = v end
end

local total = 0
for i = 1, 1000000 do
  local increment, set = counter(i)
  increment()
  set(3)
  total = total + increment()
end

local function compose(f, g) return function(x) return f(g(x)) end end
local function add_one(x) return x + 1 end
local function twice(x) return x * 2 % 1000003 end
local chain = add_one
for _ = 1, 30 do chain = compose(chain, twice); chain = compose(chain, add_one) end
local value = 0
for i = 1, 20000 do value = (value + chain(i)) % 1000003 end

assert(total == 4000000)
print(string.format("closures %d %d", total, value))
