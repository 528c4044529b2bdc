-- Protected calls that succeed.
local pcall = pcall
local function f(a, b) return a + b end
local total = 0
for i = 1, 6000000 do
  local ok, value = pcall(f, i, 1)
  if ok then total = total + value end
end
print(string.format("pcall_success %.0f", total))
