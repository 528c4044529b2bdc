-- One-way constraints over a chain of variables: planning by strength, objects with inheritance and dynamic dispatch.
-- Written after the idea of the DeltaBlue constraint solver.
local REQUIRED, STRONG, NORMAL, WEAKEST = 1, 2, 3, 9

local function class(parent)
  local c = {}
  c.__index = c
  if parent then setmetatable(c, {__index = parent}) end
  return c
end

local Variable = class()
function Variable.new(name, value)
  return setmetatable({name = name, value = value, constraints = {}, strength = WEAKEST, mark = 0, stay = true}, Variable)
end
function Variable:attach(c) self.constraints[#self.constraints + 1] = c end
function Variable:detach(c)
  local list = self.constraints
  for i = #list, 1, -1 do if list[i] == c then table.remove(list, i) end end
  if self.determined_by == c then self.determined_by = nil end
end

local Constraint = class()
function Constraint:stronger(other) return self.strength < other end
function Constraint:inputs_known(mark)
  local input = self:input()
  return not input or input.mark == mark or input.stay or not input.determined_by
end

local Stay = class(Constraint)
function Stay.new(v, strength)
  local c = setmetatable({v = v, strength = strength}, Stay)
  v:attach(c)
  return c
end
function Stay:input() return nil end
function Stay:output() return self.v end
function Stay:execute() end
function Stay:recalculate() self.v.strength = self.strength; self.v.stay = true end

local Edit = class(Stay)
function Edit.new(v, strength)
  local c = setmetatable({v = v, strength = strength}, Edit)
  v:attach(c)
  return c
end
function Edit:recalculate() self.v.strength = self.strength; self.v.stay = false end

local Scale = class(Constraint)
function Scale.new(source, factor, offset, target, strength)
  local c = setmetatable({source = source, factor = factor, offset = offset, target = target, strength = strength}, Scale)
  source:attach(c)
  target:attach(c)
  return c
end
function Scale:input() return self.source end
function Scale:output() return self.target end
function Scale:execute() self.target.value = (self.source.value * self.factor + self.offset) % 1000003 end
function Scale:recalculate()
  local source, target = self.source, self.target
  target.strength = math.max(self.strength, source.strength)
  target.stay = source.stay
  if target.stay then self:execute() end
end

local Planner = class()
function Planner.new() return setmetatable({mark = 0}, Planner) end
function Planner:satisfy(c)
  self.mark = self.mark + 1
  local queue, first = {c}, 1
  while queue[first] do
    local current = queue[first]
    first = first + 1
    local out = current:output()
    if current == out.determined_by or current:stronger(out.strength) then
      out.determined_by = current
      out.mark = self.mark
      current:recalculate()
      for _, next_one in ipairs(out.constraints) do
        if next_one ~= current and next_one:output() ~= out then queue[#queue + 1] = next_one end
      end
    end
  end
end
function Planner:plan(start)
  self.mark = self.mark + 1
  local plan, queue, first = {}, {start}, 1
  while queue[first] do
    local c = queue[first]
    first = first + 1
    local out = c:output()
    if out.mark ~= self.mark and c:inputs_known(self.mark) then
      plan[#plan + 1] = c
      out.mark = self.mark
      for _, next_one in ipairs(out.constraints) do
        if next_one ~= c and next_one == next_one:output().determined_by then queue[#queue + 1] = next_one end
      end
    end
  end
  return plan
end

local function chain_test(n)
  local planner, variables = Planner.new(), {}
  for i = 1, n do variables[i] = Variable.new("v" .. i, 0) end
  for i = 1, n - 1 do
    planner:satisfy(Scale.new(variables[i], i % 3 + 1, i, variables[i + 1], REQUIRED))
  end
  planner:satisfy(Stay.new(variables[n], NORMAL))
  local edit = Edit.new(variables[1], STRONG)
  planner:satisfy(edit)
  local plan, sum = planner:plan(edit), 0
  for i = 1, 100 do
    variables[1].value = i
    for step = 1, #plan do plan[step]:execute() end
    sum = (sum + variables[n].value) % 1000003
  end
  variables[1]:detach(edit)
  return #plan, sum
end

local length, sum
for _ = 1, 30 do length, sum = chain_test(400) end
assert(length == 400, length)
print(string.format("deltablue %d %d", length, sum))
