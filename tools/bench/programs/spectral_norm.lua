-- Largest eigenvalue by power iteration: small float function, array access.
local function a(i, j)
  local ij = i + j - 1
  return 1.0 / (ij * (ij - 1) * 0.5 + i)
end
local function multiply(n, x, y)
  for i = 1, n do
    local sum = 0
    for j = 1, n do sum = sum + x[j] * a(i, j) end
    y[i] = sum
  end
end
local function multiply_transposed(n, x, y)
  for i = 1, n do
    local sum = 0
    for j = 1, n do sum = sum + x[j] * a(j, i) end
    y[i] = sum
  end
end

local n = 400
local u, v, t = {}, {}, {}
for i = 1, n do u[i] = 1 end
for _ = 1, 10 do
  multiply(n, u, t); multiply_transposed(n, t, v)
  multiply(n, v, t); multiply_transposed(n, t, u)
end
local vbv, vv = 0, 0
for i = 1, n do
  vbv = vbv + u[i] * v[i]
  vv = vv + v[i] * v[i]
end
local result = math.sqrt(vbv / vv)
assert(math.abs(result - 1.274224) < 1e-4)
print(string.format("spectral_norm %.6f", result))
