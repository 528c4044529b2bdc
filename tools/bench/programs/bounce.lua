-- Balls in a box: objects whose fields are read and written by methods, each with a metatable of its own.
local Random = {}
function Random.new() return setmetatable({seed = 74755}, {__index = Random}) end
function Random:next() self.seed = (self.seed * 1309 + 13849) % 65536; return self.seed end
local Ball = {}
function Ball.new(r)
  local o = {x = r:next() % 500, y = r:next() % 500, xv = (r:next() % 300) - 150, yv = (r:next() % 300) - 150}
  return setmetatable(o, {__index = Ball})
end
function Ball:bounce()
  local xl, yl, b = 500, 500, false
  self.x = self.x + self.xv
  self.y = self.y + self.yv
  if self.x > xl then self.x = xl; self.xv = 0 - math.abs(self.xv); b = true end
  if self.x < 0 then self.x = 0; self.xv = math.abs(self.xv); b = true end
  if self.y > yl then self.y = yl; self.yv = 0 - math.abs(self.yv); b = true end
  if self.y < 0 then self.y = 0; self.yv = math.abs(self.yv); b = true end
  return b
end
local function run()
  local r, n, bounces = Random.new(), 100, 0
  local balls = {}
  for i = 1, n do balls[i] = Ball.new(r) end
  for _ = 1, 50 do for i = 1, #balls do if balls[i]:bounce() then bounces = bounces + 1 end end end
  return bounces
end
local bounces
for _ = 1, 250 do bounces = run() end
assert(bounces == 1331)
print("bounce " .. bounces)
