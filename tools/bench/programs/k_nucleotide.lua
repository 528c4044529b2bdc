-- Counting short substrings of a long one: sub, tables keyed by short strings, sort by count.
local seed = 42
local function random() seed = (seed * 3877 + 29573) % 139968; return seed / 139968 end
local letters, t = {"a", "c", "g", "t"}, {}
for i = 1, 60000 do t[i] = letters[math.floor(random() * random() * 4) + 1] end
local sequence = table.concat(t)

local function count(length)
  local counts, sub = {}, string.sub
  for i = 1, #sequence - length + 1 do
    local key = sub(sequence, i, i + length - 1)
    counts[key] = (counts[key] or 0) + 1
  end
  return counts
end

local out = {}
for _, length in ipairs {1, 2, 3, 4, 6, 12, 18} do
  local counts, keys = count(length), {}
  for key in pairs(counts) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  out[#out + 1] = #keys .. ":" .. counts[keys[1]]
end
print("k_nucleotide " .. table.concat(out, " "))
