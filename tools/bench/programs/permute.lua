-- All orders of six elements: recursive methods, an array in a field, loops that count down.
local P = {count = 0, v = nil}
function P:run() self.count = 0; self.v = {}; for i = 1, 6 do self.v[i] = i - 1 end self:permute(6); return self.count end
function P:permute(n)
  self.count = self.count + 1
  if n ~= 0 then
    local n1 = n - 1
    self:permute(n1)
    for i = n1, 0, -1 do self:swap(n1 + 1, i + 1); self:permute(n1); self:swap(n1 + 1, i + 1) end
  end
end
function P:swap(i, j) local t = self.v[i]; self.v[i] = self.v[j]; self.v[j] = t end
local count
for _ = 1, 250 do count = P:run() end
assert(count == 8660)
print("permute " .. count)
