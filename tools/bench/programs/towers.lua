-- Towers of Hanoi with disks as linked objects: recursive methods, an array of lists in a field.
local Disk = {}
function Disk.new(n) return setmetatable({size = n, next = nil}, {__index = Disk}) end
local T = {}
function T:push(d, p)
  local top = self.piles[p]
  if top and d.size >= top.size then error("no") end
  d.next = top
  self.piles[p] = d
end
function T:pop(p)
  local top = self.piles[p]
  if not top then error("empty") end
  self.piles[p] = top.next
  top.next = nil
  return top
end
function T:top(a, b) self:push(self:pop(a), b); self.moved = self.moved + 1 end
function T:move(n, a, b)
  if n == 1 then self:top(a, b); return end
  local o = 6 - a - b
  self:move(n - 1, a, o); self:top(a, b); self:move(n - 1, o, b)
end
function T:run()
  self.piles, self.moved = {}, 0
  for i = 13, 0, -1 do self:push(Disk.new(i), 1) end
  self:move(13, 1, 2)
  return self.moved
end
local moved
for _ = 1, 100 do moved = T:run() end
assert(moved == 8191)
print("towers " .. moved)
