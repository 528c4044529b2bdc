-- Finding loops in a control flow graph: depth-first numbering, union-find, sets as tables. After Havlak's algorithm.
local function build_graph(diamonds)
  local successors, predecessors, n = {}, {}, 0
  local function node() n = n + 1; successors[n], predecessors[n] = {}, {}; return n end
  local function edge(a, b)
    local s, p = successors[a], predecessors[b]
    s[#s + 1] = b
    p[#p + 1] = a
  end
  local function straight(from, count)
    for _ = 1, count do local x = node(); edge(from, x); from = x end
    return from
  end
  local function diamond(from)
    local left, right, join = node(), node(), node()
    edge(from, left); edge(from, right); edge(left, join); edge(right, join)
    return join
  end
  local function loop(from)
    local header = straight(from, 1)
    local first = diamond(header)
    local inner = straight(first, 1)
    local second = diamond(inner)
    edge(second, inner)
    local bottom = straight(second, 1)
    edge(bottom, header)
    return straight(bottom, 1)
  end
  local at = node()
  for _ = 1, diamonds do at = loop(at) end
  return successors, predecessors, n
end

local function number_nodes(successors, n)
  local number, order, last, current = {}, {}, {}, 0
  local stack, position = {1}, {1}
  current = 1
  number[1], order[1] = 1, 1
  while #stack > 0 do
    local top = stack[#stack]
    local index = position[#stack]
    local successor = successors[top][index]
    if successor then
      position[#stack] = index + 1
      if not number[successor] then
        current = current + 1
        number[successor], order[current] = current, successor
        stack[#stack + 1] = successor
        position[#stack] = 1
      end
    else
      last[number[top]] = current
      stack[#stack], position[#stack] = nil, nil
    end
  end
  return number, order, last, current
end

local function find(parent, x)
  local root = x
  while parent[root] ~= root do root = parent[root] end
  while parent[x] ~= root do parent[x], x = root, parent[x] end
  return root
end

local function find_loops(successors, predecessors, n)
  local number, order, last, count = number_nodes(successors, n)
  local back, other, parent, loops = {}, {}, {}, 0
  for w = 1, count do
    back[w], other[w], parent[w] = {}, {}, w
    for _, v in ipairs(predecessors[order[w]]) do
      local d = number[v]
      if d then
        if w <= d and d <= last[w] then back[w][#back[w] + 1] = d else other[w][#other[w] + 1] = d end
      end
    end
  end
  for w = count, 1, -1 do
    local body, work = {}, {}
    for _, v in ipairs(back[w]) do
      local root = find(parent, v)
      if root ~= w and not body[root] then body[root] = true; work[#work + 1] = root end
    end
    local is_loop = #back[w] > 0
    while #work > 0 do
      local x = table.remove(work)
      for _, y in ipairs(other[x]) do
        local root = find(parent, y)
        if root ~= w and not body[root] and w <= root and root <= last[w] then
          body[root] = true
          work[#work + 1] = root
        end
      end
    end
    if is_loop then
      loops = loops + 1
      for x in pairs(body) do parent[x] = w end
    end
  end
  return loops
end

local successors, predecessors, n = build_graph(1000)
local loops
for _ = 1, 14 do loops = find_loops(successors, predecessors, n) end
assert(loops == 2000, loops)
print(string.format("havlak %d %d", n, loops))
