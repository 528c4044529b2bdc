-- Recursive calls with one argument and one result, and nothing else.
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local result = fib(32)
assert(result == 2178309)
print(string.format("fib %d", result))
