-- Short-lived trees beside a long-lived one: allocation, collection, recursion.
local function bottom_up(depth)
  if depth == 0 then return {} end
  return {bottom_up(depth - 1), bottom_up(depth - 1)}
end
local function check(tree)
  if tree[1] then return 1 + check(tree[1]) + check(tree[2]) end
  return 1
end
local n, total = 16, 0
local long_lived = bottom_up(n)
for depth = 4, n, 4 do
  local count = 2 ^ (n - depth + 2)
  for _ = 1, count do total = total + check(bottom_up(depth)) end
end
assert(check(long_lived) == 2 ^ (n + 1) - 1)
print(string.format("binary_trees %.0f", total))
