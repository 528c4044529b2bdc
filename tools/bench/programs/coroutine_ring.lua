-- Resume and yield, nothing else: coroutines in a ring hand a number on.
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local ring = {}
for i = 1, 100 do
  ring[i] = create(function(value)
    while true do value = yield(value + 1) end
  end)
end
local value = 0
for _ = 1, 25000 do
  for i = 1, 100 do
    local _, next_value = resume(ring[i], value)
    value = next_value
  end
end
assert(value == 2500000)
print(string.format("coroutine_ring %d", value))
