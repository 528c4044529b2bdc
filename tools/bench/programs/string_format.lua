-- string.format with the everyday conversions.
local format = string.format
local length = 0
for i = 1, 220000 do
  length = length + #format("%d %5d %05d", i, i, i)
  length = length + #format("%s=%s", "name", i)
  length = length + #format("%.2f|%8.3f", i / 7, i * 1.5)
  length = length + #format("%x %q", i, "a\nb")
end
print(string.format("string_format %d", length))
