-- Matrices as tables of rows; the inner loop reads two arrays and adds.
local function matrix(n)
  local m, factor = {}, 1 / n / n
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = factor * (i - j) * (i + j - 2) end
    m[i] = row
  end
  return m
end
local function transpose(m, n)
  local t = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = m[j][i] end
    t[i] = row
  end
  return t
end
local function multiply(a, b, n)
  local c, t = {}, transpose(b, n)
  for i = 1, n do
    local ai, row = a[i], {}
    for j = 1, n do
      local tj, sum = t[j], 0
      for k = 1, n do sum = sum + ai[k] * tj[k] end
      row[j] = sum
    end
    c[i] = row
  end
  return c
end

local n = 220
local c = multiply(matrix(n), matrix(n), n)
local trace = 0
for i = 1, n do trace = trace + c[i][i] end
assert(trace < 0)
print(string.format("matrix_multiply %.6f", trace))
