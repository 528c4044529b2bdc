-- table.sort by the built-in order: random, sorted, reversed, many equal.
local seed = 42
local function random() seed = (seed * 16807) % 2147483647; return seed end
local n, sum = 100000, 0
local inputs = {
  function() return random() end,
  function(i) return i end,
  function(i) return n - i end,
  function() return random() % 10 end,
}
for _, make in ipairs(inputs) do
  local t = {}
  for i = 1, n do t[i] = make(i) end
  table.sort(t)
  for i = 2, n do assert(t[i - 1] <= t[i]) end
  sum = (sum + t[n / 2]) % 1000003
end
print(string.format("sort_numbers %d", sum))
