-- Primes by crossing out: writes and reads of booleans in an array part.
local count = 0
for _ = 1, 4 do
  local n, flags = 800000, {}
  count = 0
  for i = 1, n do flags[i] = true end
  for i = 2, n do
    if flags[i] then
      count = count + 1
      for k = i * i, n, i do flags[k] = false end
    end
  end
end
assert(count == 63951)
print(string.format("sieve %d", count))
