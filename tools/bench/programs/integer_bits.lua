-- Bit operators, shifts and integer division: a generator of random numbers and population counts.
-- needs: 5.4
local state, bits, divided = 88172645463325252, 0, 0
for i = 1, 5000000 do
  state = state ~ (state << 13)
  state = state ~ (state >> 7)
  state = state ~ (state << 17)
  local x = state & 0xffffffff
  x = x - ((x >> 1) & 0x55555555)
  x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
  x = (x + (x >> 4)) & 0x0f0f0f0f
  bits = bits + ((x * 0x01010101) >> 24 & 0xff)
  divided = divided + i // 3
end
assert(bits > 79000000 and bits < 81000000)
print(string.format("integer_bits %d %d", bits, divided))
