-- Arithmetic, comparison, concatenation and call through metamethods of a small vector type.
local Vector = {}
Vector.__index = Vector
local function new(x, y) return setmetatable({x = x, y = y}, Vector) end
Vector.__add = function(a, b) return new(a.x + b.x, a.y + b.y) end
Vector.__mul = function(a, k) return new(a.x * k, a.y * k) end
Vector.__unm = function(a) return new(-a.x, -a.y) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vector.__lt = function(a, b) return a.x < b.x end
Vector.__call = function(a, dx) return a.x + dx end

local position, step, smaller, equal, called = new(0, 0), new(1, 2), 0, 0, 0
for i = 1, 300000 do
  position = position + step * 2 + -step
  if step < position then smaller = smaller + 1 end
  if position == new(i, 2 * i) then equal = equal + 1 end
  called = called + step(i)
end
assert(position.x == 300000 and equal == 300000)

-- __index and __newindex as functions: a proxy that counts
local reads, writes, store = 0, 0, {}
local proxy = setmetatable({}, {
  __index = function(_, k) reads = reads + 1; return store[k] end,
  __newindex = function(_, k, v) writes = writes + 1; store[k] = v end,
})
for i = 1, 600000 do proxy[i % 50] = (proxy[i % 50] or 0) + 1 end
assert(reads == 600000 and writes == 600000)
print(string.format("metamethods %d %d %d", position.y, smaller, called))
