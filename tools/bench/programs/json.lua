-- JSON written and read by the script: recursive descent over a string, tables built and walked.
local byte, find, sub, match, format = string.byte, string.find, string.sub, string.match, string.format
local concat, sort = table.concat, table.sort

local encode
local function encode_string(s) return '"' .. s:gsub('[%c"\\]', function(c) return format("\\u%04x", byte(c)) end) .. '"' end
function encode(v, out)
  local kind = type(v)
  if kind == "table" then
    if #v > 0 then
      out[#out + 1] = "["
      for i = 1, #v do
        if i > 1 then out[#out + 1] = "," end
        encode(v[i], out)
      end
      out[#out + 1] = "]"
    else
      local keys = {}
      for k in pairs(v) do keys[#keys + 1] = k end
      sort(keys)
      out[#out + 1] = "{"
      for i = 1, #keys do
        if i > 1 then out[#out + 1] = "," end
        out[#out + 1] = encode_string(keys[i]) .. ":"
        encode(v[keys[i]], out)
      end
      out[#out + 1] = "}"
    end
  elseif kind == "string" then out[#out + 1] = encode_string(v)
  else out[#out + 1] = tostring(v) end
end

local decode
local function skip(s, i) return find(s, "[^ \t\r\n]", i) or #s + 1 end
local function decode_string(s, i)
  local j = find(s, '"', i + 1, true)
  local text = sub(s, i + 1, j - 1)
  if find(text, "\\", 1, true) then
    text = text:gsub("\\u(%x%x%x%x)", function(h) return string.char(tonumber(h, 16)) end)
  end
  return text, j + 1
end
function decode(s, i)
  i = skip(s, i)
  local c = byte(s, i)
  if c == 123 then
    local t = {}
    i = skip(s, i + 1)
    while byte(s, i) ~= 125 do
      local key
      key, i = decode_string(s, i)
      i = skip(s, i)
      t[key], i = decode(s, i + 1)
      i = skip(s, i)
      if byte(s, i) == 44 then i = skip(s, i + 1) end
    end
    return t, i + 1
  elseif c == 91 then
    local t, n = {}, 0
    i = skip(s, i + 1)
    while byte(s, i) ~= 93 do
      n = n + 1
      t[n], i = decode(s, i)
      i = skip(s, i)
      if byte(s, i) == 44 then i = skip(s, i + 1) end
    end
    return t, i + 1
  elseif c == 34 then return decode_string(s, i)
  elseif sub(s, i, i + 3) == "true" then return true, i + 4
  elseif sub(s, i, i + 4) == "false" then return false, i + 5
  end
  local number = match(s, "^-?%d+%.?%d*[eE]?[-+]?%d*", i)
  return tonumber(number), i + #number
end

local data = {}
for i = 1, 120 do
  data[i] = {id = i, name = "user \"" .. i .. "\"", active = i % 2 == 0, score = i * 0.5,
             tags = {"a" .. i, "b", "c"}, nested = {x = i, y = {z = {1, 2, 3}}}}
end
local first
for _ = 1, 100 do
  local out = {}
  encode(data, out)
  local text = concat(out)
  first = first or text
  assert(text == first)
  data = decode(text, 1)
end
assert(data[120].nested.y.z[3] == 3 and data[7].name == 'user "7"')
print(string.format("json %d", #data))
