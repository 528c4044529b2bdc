-- Micro-operations of the allocator, tables and strings, each timed by itself. tools/bench/micro runs this file and compares;
-- each line is "name nanoseconds-per-operation result". An argument keeps the operations whose names contain it.
local only = arg and arg[1]
local clock, unpack = os.clock, table.unpack or unpack
local floor, format, rep, sub, byte, char = math.floor, string.format, string.rep, string.sub, string.byte, string.char
local insert, remove, concat, sort = table.insert, table.remove, table.concat, table.sort

local function bench(name, count, body)
  if only and not string.find(name, only, 1, true) then return end
  collectgarbage() collectgarbage()
  local started = clock()
  local result = body(count)
  local elapsed = clock() - started
  print(format("%s\t%.3f\t%s", name, elapsed / count * 1e9, tostring(result)))
end

-- tables: making ---------------------------------------------------------------------------------------------------------
bench("new {}", 1500000, function(n) local t for _ = 1, n do t = {} end return #t end)
bench("new {1}", 1000000, function(n) local t for i = 1, n do t = {i} end return t[1] end)
bench("new {1,2,3}", 800000, function(n) local t for i = 1, n do t = {i, 2, 3} end return #t end)
bench("new {x,y}", 800000, function(n) local t for i = 1, n do t = {x = i, y = 2} end return t.x + t.y end)
bench("new {x,y,z}", 600000, function(n) local t for i = 1, n do t = {x = i, y = 2, z = 3} end return t.x + t.z end)
bench("new {8 fields}", 300000, function(n)
  local t for i = 1, n do t = {a = i, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8} end return t.a + t.h
end)
bench("new {} then fields", 300000, function(n)
  local t for i = 1, n do t = {} t.x = i t.y = 2 t.z = 3 end return t.x + t.z
end)
bench("new {} then 1..10", 150000, function(n)
  local t for i = 1, n do t = {} for k = 1, 10 do t[k] = i end end return #t
end)
bench("new {20 values}", 150000, function(n)
  local t for i = 1, n do t = {i, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20} end return #t
end)
bench("new object+metatable", 400000, function(n)
  local class = {} class.__index = class
  local o for i = 1, n do o = setmetatable({x = i, y = 0}, class) end return o.x
end)
bench("tree node kept", 400000, function(n)
  local root = {} for i = 1, n do root = {root, i} if i % 1000 == 0 then root = {} end end return #root
end)
bench("live list of {i}", 300000, function(n)
  local t = {} for i = 1, n do t[i] = {i} end return #t
end)
bench("live list of {k=i}", 200000, function(n)
  local t = {} for i = 1, n do t[i] = {key = i, name = "x"} end return #t
end)
-- closures ---------------------------------------------------------------------------------------------------------------
bench("closure no upvalue", 1000000, function(n) local f for _ = 1, n do f = function(x) return x end end return f(1) end)
bench("closure 1 upvalue", 600000, function(n)
  local f for i = 1, n do f = function() return i end end return f()
end)
bench("closure shared upvalue", 800000, function(n)
  local shared, f = 1, nil for _ = 1, n do f = function() return shared end end return f()
end)
bench("closure 3 upvalues", 400000, function(n)
  local f for i = 1, n do local a, b = i, i f = function() return i + a + b end end return f()
end)
-- tables: access ---------------------------------------------------------------------------------------------------------
bench("append t[#t+1]", 1000000, function(n) local t = {} for i = 1, n do t[#t + 1] = i end return #t end)
bench("append t[i]", 2000000, function(n) local t = {} for i = 1, n do t[i] = i end return #t end)
bench("fill reversed", 300000, function(n) local t = {} for i = n, 1, -1 do t[i] = i end return #t end)
bench("integer keys sparse insert", 300000, function(n)
  local t = {} for i = 1, n do t[i * 7919 % 1000003 + 2000000] = i end return t[2007919]
end)
bench("integer keys sparse lookup", 1000000, function(n)
  local t, sum = {}, 0
  for i = 1, 1000 do t[i * 1024 + 5] = i end
  for i = 1, n do sum = sum + t[(i % 1000 + 1) * 1024 + 5] end return sum
end)
bench("string keys insert", 150000, function(n)
  local names, t = {}, {}
  for i = 1, n do names[i] = "key" .. i end
  for i = 1, n do t[names[i]] = i end return t.key77
end)
bench("string keys lookup dynamic", 1500000, function(n)
  local names, t, sum = {}, {}, 0
  for i = 1, 64 do names[i] = "key" .. i t[names[i]] = i end
  for i = 1, n do sum = sum + t[names[i % 64 + 1]] end return sum
end)
bench("table keys", 500000, function(n)
  local keys, t, sum = {}, {}, 0
  for i = 1, 1000 do keys[i] = {} t[keys[i]] = i end
  for i = 1, n do sum = sum + t[keys[i % 1000 + 1]] end return sum
end)
bench("float keys", 500000, function(n)
  local t, sum = {}, 0
  for i = 1, 100 do t[i + 0.5] = i end
  for i = 1, n do sum = sum + t[i % 100 + 1.5] end return sum
end)
bench("boolean keys", 1000000, function(n)
  local t, sum = {[true] = 1, [false] = 2}, 0
  for i = 1, n do sum = sum + t[i % 2 == 0] end return sum
end)
bench("insert/delete churn", 600000, function(n)
  local t = {} for i = 1, n do t[i % 977 + 5000] = i t[(i + 500) % 977 + 5000] = nil end
  local c = 0 for _ in pairs(t) do c = c + 1 end return c
end)
bench("queue head/tail", 800000, function(n)
  local q, head, tail, sum = {}, 1, 0, 0
  for i = 1, n do
    tail = tail + 1 q[tail] = i
    if i % 100 > 3 then sum = sum + q[head] q[head] = nil head = head + 1 end
  end
  return sum
end)
bench("set field nil<->value", 1000000, function(n)
  local t = {a = 1, b = 2} for i = 1, n do t.c = i t.c = nil end return t.a
end)
bench("next pairs hash", 2000000, function(n)
  local t, sum = {}, 0
  for i = 1, 100 do t["k" .. i] = i end
  for _ = 1, n / 100 do for _, v in pairs(t) do sum = sum + v end end return sum
end)
bench("next pairs array", 2000000, function(n)
  local t, sum = {}, 0
  for i = 1, 100 do t[i] = i end
  for _ = 1, n / 100 do for _, v in pairs(t) do sum = sum + v end end return sum
end)
bench("next() function", 1000000, function(n)
  local t, sum, k = {}, 0, nil
  for i = 1, 50 do t["k" .. i] = i end
  local v
  for _ = 1, n do k, v = next(t, k) if v then sum = sum + v end end return sum > 0
end)
bench("ipairs", 2000000, function(n)
  local t, sum = {}, 0
  for i = 1, 100 do t[i] = i end
  for _ = 1, n / 100 do for _, v in ipairs(t) do sum = sum + v end end return sum
end)
bench("#t changing", 1000000, function(n)
  local t, sum = {}, 0
  for i = 1, 1000 do t[i] = i end
  for i = 1, n do t[#t] = nil t[#t + 1] = i sum = sum + #t end return sum
end)
bench("stack push/pop", 1500000, function(n)
  local t, top = {}, 0
  for i = 1, n do top = top + 1 t[top] = i if top > 50 then for _ = 1, 50 do t[top] = nil top = top - 1 end end end return top
end)
-- library: table ---------------------------------------------------------------------------------------------------------
bench("table.insert end", 1000000, function(n) local t = {} for i = 1, n do insert(t, i) end return #t end)
bench("table.insert/remove end", 800000, function(n)
  local t, s = {1, 2, 3}, 0 for i = 1, n do insert(t, i) s = s + remove(t) end return s
end)
bench("table.insert front 50", 300000, function(n)
  local t = {} for i = 1, n do insert(t, 1, i) if #t > 50 then t = {} end end return #t
end)
bench("table.remove front 50", 300000, function(n)
  local t = {} for i = 1, 50 do t[i] = i end
  for i = 1, n do local first = remove(t, 1) t[#t + 1] = first end return #t
end)
bench("table.concat 10", 150000, function(n)
  local t, r = {"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj"}, nil
  for _ = 1, n do r = concat(t, ",") end return r
end)
bench("table.concat 1000 numbers", 300, function(n)
  local t, r = {}, nil for i = 1, 1000 do t[i] = i end
  for _ = 1, n do r = concat(t, ",") end return #r
end)
bench("table.unpack 3", 1000000, function(n)
  local t, s = {1, 2, 3}, 0 for _ = 1, n do local a, b, c = unpack(t) s = s + a + b + c end return s
end)
bench("sort 1000 integers", 100, function(n)
  local t, r = {}, 0
  for _ = 1, n do local x = 42 for i = 1, 1000 do x = x * 16807 % 2147483647 t[i] = x end sort(t) r = t[500] end return r
end)
bench("sort 200 comparator", 300, function(n)
  local t, r = {}, 0
  for _ = 1, n do
    local x = 42 for i = 1, 200 do x = x * 16807 % 2147483647 t[i] = x end
    sort(t, function(a, b) return a > b end) r = t[100]
  end return r
end)
bench("sort 1000 strings", 30, function(n)
  local t, r = {}, 0
  for _ = 1, n do local x = 42 for i = 1, 1000 do x = x * 16807 % 2147483647 t[i] = "s" .. x end sort(t) r = t[500] end return r
end)
bench("sort 10 integers", 50000, function(n)
  local r for i = 1, n do local t = {5, 2, 9, i % 7, 7, 1, 8, 3, 6, 4} sort(t) r = t[5] end return r
end)
-- strings ----------------------------------------------------------------------------------------------------------------
bench("concat short .. int", 800000, function(n) local s for i = 1, n do s = "k" .. i % 1000 end return s end)
bench("concat new short", 600000, function(n) local s for i = 1, n do s = "k" .. i end return s end)
bench("concat two strings", 1000000, function(n)
  local parts, s = {"ab", "cd", "ef", "gh"}, nil
  for i = 1, n do s = parts[i % 4 + 1] .. "suffix" end return s
end)
bench("concat 5 operands", 500000, function(n) local s for i = 1, n do s = "a" .. i % 100 .. "b" .. i % 10 .. "c" end return s end)
bench("concat long", 400000, function(n)
  local base, s = rep("x", 100), nil for i = 1, n do s = base .. i % 10 end return #s
end)
bench("concat grow 2000", 100000, function(n)
  local s = "" for i = 1, n do s = s .. "x" if i % 2000 == 0 then s = "" end end return #s
end)
bench("tostring(int)", 600000, function(n) local s for i = 1, n do s = tostring(i) end return s end)
bench("tostring(float)", 200000, function(n) local s for i = 1, n do s = tostring(i + 0.25) end return s end)
bench("tonumber", 800000, function(n) local s = 0 for i = 1, n do s = s + tonumber("1234") end return s end)
bench("tonumber float", 500000, function(n) local s = 0 for i = 1, n do s = s + tonumber("12.25") end return s end)
bench("format %d", 500000, function(n) local s for i = 1, n do s = format("%d", i) end return s end)
bench("format %s=%s", 400000, function(n) local s for i = 1, n do s = format("%s=%s", "key", "value") end return s end)
bench("format %.2f", 300000, function(n) local s for i = 1, n do s = format("%.2f", i / 3) end return s end)
bench("format %5d %-8s|%x", 200000, function(n) local s for i = 1, n do s = format("%5d %-8s|%x", i, "ab", i) end return s end)
bench("format %g", 200000, function(n) local s for i = 1, n do s = format("%g", i / 8) end return s end)
bench("rep 10", 600000, function(n) local s for i = 1, n do s = rep("ab", 10) end return s end)
bench("sub 1 char", 1500000, function(n) local t, s = "hello world", nil for i = 1, n do s = sub(t, i % 11 + 1, i % 11 + 1) end return s end)
bench("sub 5 chars", 1000000, function(n) local t, s = "hello world", nil for i = 1, n do s = sub(t, 2, 6) end return s end)
bench("sub method s:sub", 1000000, function(n) local t, s = "hello world", nil for i = 1, n do s = t:sub(2, -2) end return s end)
bench("byte", 2000000, function(n) local t, s = "hello world", 0 for i = 1, n do s = s + byte(t, i % 11 + 1) end return s end)
bench("s:byte", 2000000, function(n) local t, s = "hello world", 0 for i = 1, n do s = s + t:byte(i % 11 + 1) end return s end)
bench("char", 1500000, function(n) local s for i = 1, n do s = char(i % 26 + 97) end return s end)
bench("char 4", 800000, function(n) local s for i = 1, n do s = char(97, 98, 99, i % 26 + 97) end return s end)
bench("upper", 800000, function(n) local s for i = 1, n do s = ("hello"):upper() end return s end)
bench("upper long", 200000, function(n) local t, s = rep("hello", 40), nil for i = 1, n do s = t:upper() end return #s end)
bench("reverse", 800000, function(n) local s for i = 1, n do s = ("hello"):reverse() end return s end)
bench("string ==", 2000000, function(n)
  local a, c = {"abc", "abd"}, 0 for i = 1, n do if a[i % 2 + 1] == "abc" then c = c + 1 end end return c
end)
bench("string <", 1500000, function(n)
  local a, c = {"abc", "abd", "ab", "b"}, 0 for i = 1, n do if a[i % 4 + 1] < "abd" then c = c + 1 end end return c
end)
bench("#string", 2000000, function(n) local s, c = "hello", 0 for i = 1, n do c = c + #s end return c end)
-- patterns ---------------------------------------------------------------------------------------------------------------
local text = rep("the quick brown fox jumps over the lazy dog ", 20)
bench("find plain", 100000, function(n) local r for i = 1, n do r = text:find("lazy cat", 1, true) end return r end)
bench("find literal short", 500000, function(n) local r for i = 1, n do r = ("key=value"):find("=") end return r end)
bench("find pattern", 30000, function(n) local r for i = 1, n do r = text:find("l%a+y%s+cat") end return r end)
bench("match anchored", 300000, function(n) local k for i = 1, n do k = ("key=value"):match("^(%w+)=(%w+)$") end return k end)
bench("gmatch words", 800, function(n) local c = 0 for i = 1, n do for w in text:gmatch("%a+") do c = c + 1 end end return c end)
bench("gsub string", 4000, function(n) local c = 0 for i = 1, n do local _, k = text:gsub("o", "0") c = c + k end return c end)
bench("gsub function", 1500, function(n)
  local c = 0 for i = 1, n do local r = text:gsub("%a+", function(w) return w end) c = c + #r end return c
end)
bench("gsub table", 1500, function(n)
  local c, m = 0, {the = "THE", fox = "FOX"} for i = 1, n do local r = text:gsub("%a+", m) c = c + #r end return c
end)
bench("gsub short trim", 300000, function(n) local r for i = 1, n do r = ("  x  "):gsub("^%s+", "") end return r end)
-- other ------------------------------------------------------------------------------------------------------------------
bench("setmetatable", 1500000, function(n) local t, m = {}, {} for i = 1, n do setmetatable(t, m) end return getmetatable(t) == m end)
bench("select('#')", 1500000, function(n) local s = 0 for i = 1, n do s = s + select("#", i, i, i) end return s end)
bench("vararg pack {...}", 500000, function(n)
  local function f(...) local t = {...} return #t end
  local s = 0 for i = 1, n do s = s + f(i, i, i) end return s
end)
bench("type()", 2000000, function(n) local s = 0 for i = 1, n do if type(i) == "number" then s = s + 1 end end return s end)
bench("math.floor", 2000000, function(n) local s = 0 for i = 1, n do s = s + floor(i + 0.5) end return s end)
bench("full collect 10 MB", 5, function(n)
  local live = {} for i = 1, 100000 do live[i] = {i, "x"} end
  local s = 0 for _ = 1, n do collectgarbage() s = s + #live end return s
end)
