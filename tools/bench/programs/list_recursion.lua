-- Linked lists of objects, made, compared and rotated by recursive methods; fields that are nil at first.
local Element = {}
function Element.new(n) return setmetatable({val = n, next = nil}, {__index = Element}) end
function Element:length() if self.next == nil then return 1 end return 1 + self.next:length() end
function Element:get_next() return self.next end
function Element:set_next(n) self.next = n end
local List = {}
function List:make(len) if len == 0 then return nil end local e = Element.new(len); e:set_next(self:make(len - 1)); return e end
function List:shorter(x, y)
  local a, b = x, y
  while b do if not a then return true end a = a:get_next() b = b:get_next() end
  return false
end
function List:tail(x, y, z)
  if self:shorter(y, x) then
    return self:tail(self:tail(x:get_next(), y, z), self:tail(y:get_next(), z, x), self:tail(z:get_next(), x, y))
  end
  return z
end
local length
for _ = 1, 150 do length = List:tail(List:make(15), List:make(10), List:make(6)):length() end
assert(length == 10)
print("list_recursion " .. length)
