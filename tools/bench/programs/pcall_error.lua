-- Protected calls that fail: error with a table, error with a message, a failing instruction, three frames deep.
local pcall, error = pcall, error
local value = {}
local function with_table() error(value) end
local function with_message() error("message") end
local function instruction(x) return x.field.field end
local function deep(f, n) if n == 0 then f(value) else deep(f, n - 1) ; n = 0 end end
local caught = 0
for _ = 1, 280000 do
  local _, e = pcall(with_table)
  if e == value then caught = caught + 1 end
  if not pcall(with_message) then caught = caught + 1 end
  if not pcall(instruction, value) then caught = caught + 1 end
  if not pcall(deep, with_table, 3) then caught = caught + 1 end
end
assert(caught == 4 * 280000)
print(string.format("pcall_error %d", caught))
