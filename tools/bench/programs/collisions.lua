-- Moving points sorted into a grid: vectors as short-lived objects, a red-black tree of lists, closures over it.
local List = {}
function List.new() return setmetatable({items = {}, first = 1, last = 1}, {__index = List}) end
function List:append(item)
  self.items[self.last] = item
  self.last = self.last + 1
end
function List:each(visit)
  for i = self.first, self.last - 1 do visit(self.items[i]) end
end
local V3 = {}
function V3.new(x, y, z) return setmetatable({x = x, y = y, z = z}, {__index = V3}) end
function V3:plus(o) return V3.new(self.x + o.x, self.y + o.y, self.z + o.z) end
function V3:minus(o) return V3.new(self.x - o.x, self.y - o.y, self.z - o.z) end
function V3:dot(o) return self.x * o.x + self.y * o.y + self.z * o.z end
function V3:squared() return self:dot(self) end
function V3:magnitude() return math.sqrt(self:squared()) end
function V3:times(a) return V3.new(self.x * a, self.y * a, self.z * a) end
local V2 = {}
function V2.new(x, y) return setmetatable({x = x, y = y}, {__index = V2}) end
local function order(a, b) if a == b then return 0 elseif a < b then return -1 else return 1 end end
function V2:compare(o) local r = order(self.x, o.x); if r ~= 0 then return r end return order(self.y, o.y) end
function V2:plus(o) return V2.new(self.x + o.x, self.y + o.y) end
local Node = {}
function Node.new(k, v)
  return setmetatable({key = k, value = v, left = nil, right = nil, parent = nil, color = 'red'}, {__index = Node})
end
local Tree = {}
function Tree.new() return setmetatable({root = nil}, {__index = Tree}) end
function Tree:get(key)
  local x = self.root
  while x do
    local c = key:compare(x.key)
    if c == 0 then return x.value end
    if c < 0 then x = x.left else x = x.right end
  end
end
function Tree:rotL(x)
  local y = x.right
  x.right = y.left
  if y.left then y.left.parent = x end
  y.parent = x.parent
  if not x.parent then self.root = y elseif x == x.parent.left then x.parent.left = y else x.parent.right = y end
  y.left = x; x.parent = y
end
function Tree:rotR(y)
  local x = y.left
  y.left = x.right
  if x.right then x.right.parent = y end
  x.parent = y.parent
  if not y.parent then self.root = x elseif y == y.parent.left then y.parent.left = x else y.parent.right = x end
  x.right = y; y.parent = x
end
function Tree:insert(k, v)
  local y, x = nil, self.root
  while x do
    y = x
    local c = k:compare(x.key)
    if c < 0 then x = x.left elseif c > 0 then x = x.right else return {isNew = false, node = x} end
  end
  local z = Node.new(k, v)
  return {isNew = true, node = z, p = y}
end
function Tree:put(k, v)
  local r = self:insert(k, v)
  if not r.isNew then r.node.value = v; return end
  local x = r.node
  x.parent = r.p
  if not r.p then self.root = x elseif k:compare(r.p.key) < 0 then r.p.left = x else r.p.right = x end
  while x ~= self.root and x.parent.color == 'red' do
    local g = x.parent.parent
    if x.parent == g.left then
      local u = g.right
      if u and u.color == 'red' then x.parent.color = 'black'; u.color = 'black'; g.color = 'red'; x = g
      else
        if x == x.parent.right then x = x.parent; self:rotL(x) end
        x.parent.color = 'black'; g.color = 'red'; self:rotR(g)
      end
    else
      local u = g.left
      if u and u.color == 'red' then x.parent.color = 'black'; u.color = 'black'; g.color = 'red'; x = g
      else
        if x == x.parent.left then x = x.parent; self:rotR(x) end
        x.parent.color = 'black'; g.color = 'red'; self:rotL(g)
      end
    end
  end
  self.root.color = 'black'
end
function Tree:each(fn) local function go(n) if n then go(n.left); fn(n.key, n.value); go(n.right) end end go(self.root) end
local function run()
  local map = Tree.new()
  local total = 0
  for s = 1, 60 do
    local time = s / 10
    for a = 0, 39 do
      local p = V3.new(time, math.cos(time) * 2 + a * 3, 10)
      local q = V3.new(time + .1, math.cos(time + .1) * 2 + a * 3, 10)
      local cell = V2.new(math.floor(p.x / 2), math.floor(p.y / 2))
      for dx = -1, 1 do for dy = -1, 1 do
        local c = cell:plus(V2.new(dx, dy))
        local v = map:get(c)
        if not v then v = List.new(); map:put(c, v) end
        v:append(q:minus(p))
      end end
    end
  end
  map:each(function(k, v) v:each(function(d) total = total + d:magnitude() end) end)
  return total
end
local total
for _ = 1, 5 do total = run() end
assert(math.abs(total - 3690.228075) < 1e-5)
print(string.format("collisions %.6f", total))
