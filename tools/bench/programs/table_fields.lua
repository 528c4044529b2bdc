-- Tables used as maps: string keys made and found, iteration with pairs, deletion while iterating.
local names = {}
for i = 1, 500 do names[i] = "field_" .. i end
local map, total = {}, 0
for round = 1, 8000 do
  for i = 1, 500 do
    local name = names[i]
    map[name] = (map[name] or 0) + round
  end
end
for _ = 1, 3000 do
  for _, v in pairs(map) do total = total + v end
end
for round = 1, 1500 do
  local t = {}
  for i = 1, 500 do t[names[i]] = i end
  for k in pairs(t) do t[k] = nil end
  assert(next(t) == nil)
  total = total + round
end
print(string.format("table_fields %.0f", total))
