-- byte, char, sub, reverse, upper, rep: many short calls into the string library.
local byte, char, sub = string.byte, string.char, string.sub
local text = ("The quick brown fox jumps over the lazy dog. "):rep(200)
local sum, vowels, rotated = 0, 0, {}
for _ = 1, 150 do
  for i = 1, #text do sum = (sum * 31 + byte(text, i)) % 1000003 end
  for i = 1, #text do
    local c = sub(text, i, i)
    if c == "a" or c == "e" or c == "i" or c == "o" or c == "u" then vowels = vowels + 1 end
  end
end
for _ = 1, 100 do
  for i = 1, #text do
    local b = byte(text, i)
    if b >= 97 and b <= 122 then b = (b - 97 + 13) % 26 + 97 end
    rotated[i] = char(b)
  end
end
local twice = table.concat(rotated):upper():lower():reverse()
assert(#twice == #text)
print(string.format("string_bytes %d %d", sum, vowels))
