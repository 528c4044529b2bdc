-- All permutations through a coroutine used as a generator.
local yield, wrap = coroutine.yield, coroutine.wrap
local function generate(a, n)
  if n <= 1 then yield(a) return end
  for i = 1, n do
    a[n], a[i] = a[i], a[n]
    generate(a, n - 1)
    a[n], a[i] = a[i], a[n]
  end
end
local function permutations(n)
  local a = {}
  for i = 1, n do a[i] = i end
  return wrap(function() generate(a, n) end)
end
local count, check = 0, 0
for _ = 1, 3 do
  for p in permutations(9) do
    count = count + 1
    check = (check * 3 + p[1] + p[9] * 7) % 1000003
  end
end
assert(count == 3 * 362880)
print(string.format("permutations %d %d", count, check))
