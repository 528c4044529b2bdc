-- find, match, gmatch, gsub with patterns over generated text.
local words = {}
for i = 1, 2000 do words[i] = (i % 7 == 0) and ("key" .. i .. " = value" .. i * 3 .. ";") or ("word" .. i) end
local text = table.concat(words, " ")
local pairs_found, letters, replaced, upper, found = 0, 0, 0, 0, 0
for _ = 1, 80 do
  for key, value in text:gmatch("(%w+)%s*=%s*(%w+);") do
    if #key > 3 and #value > 5 then pairs_found = pairs_found + 1 end
  end
  for word in text:gmatch("%a+") do letters = letters + #word end
  local _, n = text:gsub("%d+", "<%0>")
  replaced = replaced + n
  local changed = text:gsub("%a+", function(w) if #w == 4 then return w:upper() end end)
  upper = upper + #changed
  if text:find("word1999", 1, true) then found = found + 1 end
  if text:match("^.-(value%d+); word%d+ word%d+ word%d+ word1999") == nil then found = found + 1 end
end
assert(pairs_found > 0)
print(string.format("string_patterns %d %d %d %d %d", pairs_found, letters, replaced, upper, found))
