-- Reading and writing upvalues of two levels in a tight loop.
local a, b, c = 0, 1, 2

local function outer()
  local d = 0
  local function inner(n)
    for i = 1, n do
      a = a + b
      d = d + c
      b, c = c, b
      if i % 3 == 0 then a = a - d % 7 end
    end
    return d
  end
  return inner
end

local inner = outer()
local d = 0
for _ = 1, 20 do d = inner(250000) end
assert(d == 7500000)
print(string.format("upvalues %d %d", a, d))
