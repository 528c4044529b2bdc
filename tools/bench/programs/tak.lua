-- Takeuchi's function and Ackermann's: deep recursion, three arguments, comparisons.
local function tak(x, y, z)
  if y >= x then return z end
  return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y))
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local first, second = tak(18, 12, 6), 0
for _ = 1, 120 do first = first + tak(18, 12, 6) end
for _ = 1, 80 do second = second + ackermann(2, 250) end
assert(first == 121 * 7 and second == 80 * 503)
print(string.format("tak %d %d", first, second))
