-- A large live heap while small garbage is made: what the collector costs when most of what it sees stays.
local live = {}
for i = 1, 150000 do live[i] = {i, {name = "n" .. i % 5000}, i + 0.5} end
local sum = 0
for i = 1, 1500000 do
  local t = {i}
  sum = (sum + t[1]) % 1000003
  if i % 8 == 0 then live[i % 150000 + 1] = {i, {name = "m"}, 0.5} end
end
assert(#live == 150000)
print(string.format("large_heap %d", sum))
