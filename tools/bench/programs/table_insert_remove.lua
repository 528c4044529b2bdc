-- table.insert and table.remove at the end and in the middle; a queue; the length operator.
local insert, remove = table.insert, table.remove
local stack, sum = {}, 0
for _ = 1, 15 do
  for i = 1, 60000 do insert(stack, i) end
  for _ = 1, 60000 do sum = sum + remove(stack) end
end
local t = {}
for i = 1, 3000 do insert(t, 1, i) end
for i = 1, 3000 do insert(t, #t / 2 - #t / 2 % 1 + 1, i) end
for _ = 1, 3000 do remove(t, 1) end
for i = 1, 2000000 do t[#t + 1] = i; t[#t] = nil end
assert(#t == 3000 and #stack == 0)
print(string.format("table_insert_remove %.0f", sum))
