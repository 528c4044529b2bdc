-- Millions of small records with three fields that die young.
local function point(x, y, z) return {x = x, y = y, z = z} end
local kept, sum = {}, 0
for i = 1, 2500000 do
  local p = point(i, i + 1, i + 2)
  sum = (sum + p.y) % 1000003
  if i % 100 == 0 then kept[i / 100 % 1000 + 1] = p end
end
local count = 0
for _, p in pairs(kept) do count = count + (p.z - p.x) / 2 end
assert(count == 1000)
print(string.format("many_objects %d", sum))
