-- Fast Fourier transform in place over two float arrays, forward and back.
local sin, cos, pi = math.sin, math.cos, math.pi

local function transform(re, im, n, sign)
  local j = 1
  for i = 1, n - 1 do
    if i < j then re[i], re[j], im[i], im[j] = re[j], re[i], im[j], im[i] end
    local m = n / 2
    while m >= 1 and j > m do j = j - m; m = m / 2 end
    j = j + m
  end
  local length = 2
  while length <= n do
    local half, angle = length / 2, sign * 2 * pi / length
    local wr, wi, ur, ui = cos(angle), sin(angle), 1, 0
    for k = 1, half do
      for a = k, n, length do
        local b = a + half
        local tr, ti = re[b] * ur - im[b] * ui, re[b] * ui + im[b] * ur
        re[b], im[b] = re[a] - tr, im[a] - ti
        re[a], im[a] = re[a] + tr, im[a] + ti
      end
      ur, ui = ur * wr - ui * wi, ur * wi + ui * wr
    end
    length = length * 2
  end
end

local n = 32768
local re, im = {}, {}
for i = 1, n do re[i], im[i] = i % 17 - 8, 0 end
for _ = 1, 3 do
  transform(re, im, n, 1)
  transform(re, im, n, -1)
  for i = 1, n do re[i], im[i] = re[i] / n, im[i] / n end
end
local worst = 0
for i = 1, n do worst = math.max(worst, math.abs(re[i] - (i % 17 - 8))) end
assert(worst < 1e-6)
print("fft ok")
