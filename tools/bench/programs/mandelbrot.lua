-- Float loop with an early exit, no tables.
local n, limit, inside = 500, 50, 0
for py = 0, n - 1 do
  local ci = 2 * py / n - 1
  for px = 0, n - 1 do
    local cr = 2 * px / n - 1.5
    local zr, zi, zr2, zi2, k = 0.0, 0.0, 0.0, 0.0, 0
    while k < limit and zr2 + zi2 <= 4 do
      zi = 2 * zr * zi + ci
      zr = zr2 - zi2 + cr
      zr2, zi2 = zr * zr, zi * zi
      k = k + 1
    end
    if k == limit then inside = inside + 1 end
  end
end
assert(inside > 90000 and inside < 110000)
print(string.format("mandelbrot %d", inside))
