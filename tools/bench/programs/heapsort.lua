-- Heapsort written in the script: array swaps and integer arithmetic.
local floor = math.floor
local function heapsort(n, a)
  local l, ir = floor(n / 2) + 1, n
  while true do
    local value
    if l > 1 then
      l = l - 1
      value = a[l]
    else
      value = a[ir]
      a[ir] = a[1]
      ir = ir - 1
      if ir == 1 then a[1] = value; return end
    end
    local i, j = l, l * 2
    while j <= ir do
      if j < ir and a[j] < a[j + 1] then j = j + 1 end
      if value >= a[j] then break end
      a[i] = a[j]
      i, j = j, j * 2
    end
    a[i] = value
  end
end

local seed, n, a = 42, 200000, {}
for i = 1, n do seed = (seed * 16807) % 2147483647; a[i] = seed / 2147483647 end
heapsort(n, a)
for i = 2, n do assert(a[i - 1] <= a[i]) end
print(string.format("heapsort %.9f", a[n]))
