-- All placements of queens by backtracking: recursion with small arrays.
local n, found = 9, 0
local rounds = 30
local function safe(a, row, column)
  for r = 1, row - 1 do
    local c = a[r]
    if c == column or c - r == column - row or c + r == column + row then return false end
  end
  return true
end
local function place(a, row)
  if row > n then found = found + 1; return end
  for column = 1, n do
    if safe(a, row, column) then
      a[row] = column
      place(a, row + 1)
    end
  end
end

for _ = 1, rounds do place({}, 1) end
assert(found == rounds * 352)
print(string.format("queens %d", found))
