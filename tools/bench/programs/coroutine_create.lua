-- A coroutine's whole life: created, resumed once, finished.
local create, resume = coroutine.create, coroutine.resume
local function body(x) return x + 1 end
local total = 0
for i = 1, 1000000 do
  local _, value = resume(create(body), i)
  total = total + value
end
assert(total == 500001500000)
print(string.format("coroutine_create %.0f", total))
