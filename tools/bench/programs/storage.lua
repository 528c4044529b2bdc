-- Trees of arrays that are filled one by one and thrown away.
local Random = {}
function Random.new() return setmetatable({seed = 74755}, {__index = Random}) end
function Random:next() self.seed = (self.seed * 1309 + 13849) % 65536; return self.seed end
local S = {count = 0}
function S:run() local r = Random.new(); self.count = 0; self:tree(7, r); return self.count end
function S:tree(d, r)
  self.count = self.count + 1
  if d == 1 then local t = {}; for i = 1, r:next() % 10 + 1 do t[i] = false end return t end
  local a = {}
  for i = 1, 4 do a[i] = self:tree(d - 1, r) end
  return a
end
local count
for _ = 1, 120 do count = S:run() end
assert(count == 5461)
print("storage " .. count)
