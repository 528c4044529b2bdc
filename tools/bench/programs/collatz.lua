-- while loops on integers with a branch each way.
local longest, start = 0, 0
for n = 1, 100000 do
  local x, steps = n, 0
  while x ~= 1 do
    if x % 2 == 0 then x = x / 2 else x = 3 * x + 1 end
    steps = steps + 1
  end
  if steps > longest then longest, start = steps, n end
end
assert(start == 77031 and longest == 350)
print(string.format("collatz %d %d", start, longest))
