-- Float arithmetic in a loop: a series, a running mean, Newton's square root.
local sum, sign = 0.0, 1.0
for i = 0, 12000000 do
  sum = sum + sign / (2.0 * i + 1.0)
  sign = -sign
end
local root = 0.0
for i = 1, 1000000 do
  local x = i * 0.5
  for _ = 1, 5 do x = 0.5 * (x + i / x) end
  root = root + x
end
assert(math.abs(sum * 4 - math.pi) < 1e-6)
print(string.format("float_loops %.6f %.3f", sum * 4, root))
