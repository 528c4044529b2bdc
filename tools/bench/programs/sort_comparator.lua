-- table.sort that calls back into the script, over numbers and over records.
local seed = 42
local function random() seed = (seed * 16807) % 2147483647; return seed end
local n = 60000
local numbers, records = {}, {}
for i = 1, n do
  numbers[i] = random()
  records[i] = {name = "n" .. random() % 1000, age = random() % 90}
end
table.sort(numbers, function(a, b) return a > b end)
table.sort(records, function(a, b)
  if a.age ~= b.age then return a.age < b.age end
  return a.name < b.name
end)
for i = 2, n do
  assert(numbers[i - 1] >= numbers[i])
  assert(records[i - 1].age <= records[i].age)
end
print(string.format("sort_comparator %d %s", records[n / 2].age, records[n / 2].name))
