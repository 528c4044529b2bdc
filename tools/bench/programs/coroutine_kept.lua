-- Coroutines created and kept alive, suspended, all at once.
-- row: apart
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local function body(x) local y = yield(x) return x + y end
local alive, n, total = {}, 100000, 0
for i = 1, n do
  alive[i] = create(body)
  resume(alive[i], i)
end
for i = 1, n do
  local _, value = resume(alive[i], 1)
  total = total + value
end
assert(total == n * (n + 1) / 2 + n)
print(string.format("coroutine_kept %.0f", total))
