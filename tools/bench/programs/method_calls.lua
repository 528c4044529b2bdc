-- Objects with methods found through __index, one level and two levels of inheritance.
local Toggle = {}
Toggle.__index = Toggle
function Toggle.new(state) return setmetatable({state = state}, Toggle) end
function Toggle:value() return self.state end
function Toggle:activate() self.state = not self.state; return self end

local NthToggle = setmetatable({}, {__index = Toggle})
NthToggle.__index = NthToggle
function NthToggle.new(state, max)
  return setmetatable({state = state, max = max, counter = 0}, NthToggle)
end
function NthToggle:activate()
  self.counter = self.counter + 1
  if self.counter >= self.max then self.state = not self.state; self.counter = 0 end
  return self
end

local n = 2000000
local toggle, nth, on = Toggle.new(true), NthToggle.new(true, 3), 0
for _ = 1, n do
  if toggle:activate():value() then on = on + 1 end
  if nth:activate():value() then on = on + 1 end
end
assert(on == 2 * (n / 2) + 1)
print(string.format("method_calls %d", on))
