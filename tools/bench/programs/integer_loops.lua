-- Integer arithmetic in nested loops: addition, multiplication, modulo, comparison.
local count, sum = 0, 0
for i = 1, 3000 do
  for j = 1, 3000 do
    local k = i * 7 + j
    if k % 3 == 0 then count = count + 1 end
    sum = sum + k
    if sum > 1000000007 then sum = sum - 1000000007 end
  end
end
assert(count == 3000000)
print(string.format("integer_loops %d %d", count, sum))
