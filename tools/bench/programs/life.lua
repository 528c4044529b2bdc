-- Conway's game on a grid of tables, wrapped around.
local function new(width, height)
  local g = {}
  for y = 1, height do
    g[y] = {}
    for x = 1, width do g[y][x] = 0 end
  end
  return g
end
local function step(from, to, width, height)
  for y = 1, height do
    local up, row, down = from[(y - 2) % height + 1], from[y], from[y % height + 1]
    local out = to[y]
    for x = 1, width do
      local l, r = (x - 2) % width + 1, x % width + 1
      local n = up[l] + up[x] + up[r] + row[l] + row[r] + down[l] + down[x] + down[r]
      if n == 3 or (n == 2 and row[x] == 1) then out[x] = 1 else out[x] = 0 end
    end
  end
end
local width, height = 80, 60
local a, b = new(width, height), new(width, height)
for _, cell in ipairs {{2, 1}, {3, 2}, {1, 3}, {2, 3}, {3, 3}, {40, 30}, {41, 30}, {39, 31}, {40, 31}, {40, 32}} do
  a[cell[2]][cell[1]] = 1
end
for _ = 1, 900 do
  step(a, b, width, height)
  a, b = b, a
end
local alive = 0
for y = 1, height do for x = 1, width do alive = alive + a[y][x] end end
assert(alive > 5)
print(string.format("life %d", alive))
