-- Building strings: operator .., table.concat, numbers turned to text.
local function by_operator(n)
  local s = ""
  for i = 1, n do s = s .. "x" .. i % 10 end
  return #s
end
local function by_buffer(n)
  local t = {}
  for i = 1, n do t[#t + 1] = "item " .. i .. "," end
  return #table.concat(t, " ")
end
local first, second, third = 0, 0, 0
for _ = 1, 10 do first = first + by_operator(6000) end
for _ = 1, 6 do second = second + by_buffer(80000) end
for i = 1, 800000 do
  local key = "k" .. i % 1000
  third = third + #key
end
assert(first == 120000)
print(string.format("string_concat %d %d %d", first, second, third))
