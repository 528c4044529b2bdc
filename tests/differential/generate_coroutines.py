"""Random programs about coroutines: resumed, wrapped, closed, yielded out of and into everything that calls functions.

A program has three leaf functions L, which call nothing that yields, and several functions F, which call leaves and the functions
before them. Five coroutines and five wrapped ones run them in rounds; everything is logged. `budget` ends all recursion.
`program(seed)` gives the same text for the same seed, always.
"""
import random

PRELUDE = r"""
local resume, yield, wrap, create, status, close, running, isyieldable =
  coroutine.resume, coroutine.yield, coroutine.wrap, coroutine.create, coroutine.status, coroutine.close, coroutine.running, coroutine.isyieldable
local pcall, xpcall, error, select, pack, unpack = pcall, xpcall, error, select, table.pack, table.unpack
local budget, lines = 500, 0
local function show(v)
  local t = type(v)
  if t == "table" then return rawget(v, "tag") and "T:" .. v.tag or "table" end
  if t == "function" or t == "thread" then return t end
  return tostring(v)
end
local function log(...)
  lines = lines + 1
  if lines > 3000 then return end
  local p = {}
  for i = 1, select("#", ...) do p[i] = show((select(i, ...))) end
  print(table.concat(p, " "))
end
local function tick() budget = budget - 1 return budget <= 0 end
local cos, ws, F, L = {}, {}, {}, {}
local function go(f, ...) if budget <= 0 then return end return f(...) end
local function closer(tag, f, ...)
  local args = pack(...)
  return setmetatable({tag = tag}, {__close = function(o, e) log("close", tag, e) if f then f(e, unpack(args, 1, args.n)) end end})
end
local function meta(f)
  return setmetatable({tag = "m"}, {__index = f, __newindex = f, __call = f, __add = f, __sub = f, __concat = f, __eq = f, __lt = f,
    __le = f, __len = f, __unm = f, __idiv = f, __band = f, __shl = f})
end
local function thrower(v) error(v, 0) end
"""

LEAVES, COROUTINES = 3, 5
WIDTHS = [0, 1, 1, 1, 2, 2, 3, 3, 5, 9, 12]  # numbers of values; more than a few take other ways
ERRORS = ['error("e%d")', 'error({tag = "e%d"})', 'error("e%d", 0)', 'error("e%d", 2)', 'error()', 'error(nil)', 'error(false, 1)',
          'local q = nil; q.z = 1', 'local q = nil; q()', 'x = 1 + {}', 'assert(false)', 'assert(nil, "as%d")',
          'assert(false, {tag = "as"})', 'string.rep()', 'x = #5', 'setmetatable(1, 2)', 'ipairs()']
OPERATIONS = ['meta({0}).k', 'meta({0})(a, b)', 'meta({0}) + 1', '2 - meta({0})', 'meta({0}) .. "z"', '#meta({0})', '-meta({0})',
              'meta({0}) < 1', 'meta({0}) <= meta({0})', 'meta({0}) // 2', '3 & meta({0})', 'meta({0})[1]', 'meta({0}) << 1',
              'meta({0}) > 2 and 1 or 2', 'not (meta({0}) < 3)', 'meta({0}) == meta({0})']
# Statements in which {i} is a number of their own, {f} a function, {l} a leaf, {c} a coroutine, {w} a wrapped one, {a} some
# arguments, each with a comma in front, {v} values, {e} an error, {o} an operation with a metamethod.
PLAIN = """
log({i}, a, b, x)
x = (x and 1 or 0) + {i}
{c} = create({f})
{c} = create({f})
{w} = wrap({f})
x = {{}}
collectgarbage("step")
do local t = {{}} for k = 1, 20 do t = {{t}} end end
{e}
log({i}, {l}(x))
log({i}, pcall({l}{a}))
log({i}, go({f}{a}))
x = go({f}{a})
log({i}, pcall(go, {f}{a}))
log({i}, pcall({f}{a}))
log({i}, xpcall({f}, function(m) return m end{a}))
log({i}, xpcall({f}, show{a}))
log({i}, select("#", pcall(pcall, {f}{a})))
local c{i} <close> = closer("c{i}")
local c{i} <close> = closer("c{i}", {f}{a})
local c{i} <close> = closer("c{i}", thrower)
local c{i} <close> = closer("c{i}", log)
log({i}, {o})
meta({f}).k = a
meta({l})[{{}}] = 1
if meta({f}) == meta({f}) then x = 1 else x = 2 end
if {c} then log({i}, resume({c}{a})) end
if {c} then log({i}, resume({c}{a})) end
if {c} then x = resume({c}{a}) end
if {c} then resume({c}{a}) end
if {c} then local p, q, t = resume({c}, ...) log({i}, p, q, t) end
if {w} then log({i}, pcall({w}{a})) end
if {w} then log({i}, {w}({v})) end
if {w} then x = {w}({v}) end
if {c} then log({i}, status({c})) end
if {c} and (status({c}) == "dead" or status({c}) == "suspended") then log({i}, close({c})) end
if {c} then log({i}, pcall(close, {c})) end
if {c} and not pcall({w}) then log({i}, close(create(print))) end
log({i}, isyieldable(), select(2, running()))
if isyieldable() then log({i}, yield({i}{a})) end
if isyieldable() then x = yield({i}{a}) end
if isyieldable() then yield() end
if isyieldable() then yield({i}, ...) end
if isyieldable() then local p, q, t = yield({i}) log({i}, p, q, t) end
if isyieldable() then log({i}, pcall(yield, {i}{a})) end
log({i}, (string.gsub("ab", ".", function(c) log("g", pcall(wrap({f}), c)) end)))
log({i}, (string.gsub("ab", ".", function(c) return {l}(c) and nil end)))
log({i}, (string.gsub("ab", ".", function(c) local k = create({f}) log(resume(k, c)) log(resume(k)) log(pcall(close, k)) end)))
do local t = {{2, 1}} pcall(table.sort, t, function(p, q) log("s", pcall(wrap({f}), p)) return p < q end) log({i}) end
do local t = {{2, 1}} pcall(table.sort, t, function(p, q) {l}(p) return p < q end) log({i}) end
for v, u in wrap({f}) do log({i}, v, u) if tick() or v == 2 then break end end
for v in wrap({f}) do if tick() then break end if isyieldable() then yield(v) end end
for v in string.gmatch("abc", ".") do x = v if tick() then break end end
local up = x {w} = wrap(function(...) up = up and 1 or {i} log({i}, up, x) x = up end)
log({i}, load("local y = coroutine.isyieldable and {i} return y, ...")(a))
log({i}, resume(create(load(string.dump(function(...) return select("#", ...), coroutine.isyieldable() end))), a, b))
log({i}, resume(running()))
""".strip().split("\n")
# The same with blocks in {B} and {C}.
NESTED = """
for k = 1, 3 do if tick() then break end {B} end
while not tick() do do {B} end break end
if x then {B} else {C} end
if budget % 3 == 0 then {B} else {C} end
do {B} end
log({i}, pcall(function(...) {B} end{a}))
{c} = create(function(a, b, ...) local x {B} end)
""".strip().split("\n")
RETURNS = ['x, a', '...', 'a', 'go({f}{a})', '{f}(a)', 'isyieldable() and yield({i})', 'pcall({f}, b)', 'resume(create({f}), a)',
           'select(1, ...)', 'wrap({f})(b)', 'meta({f})(a)']
# What leaves must not do: call what may call them, or ask whether they may yield. In callbacks of libraries, which call leaves,
# coroutines may yield here but not in Lua.
NOT_IN_LEAVES = ("{f}", "{w}", "{o}", "yield(", "resume(", "isyieldable")


class Program:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = self.random.randint(3, 8)
        self.callable = 0  # functions F that may be called from where we are
        self.ids = 0

    def value(self):
        plain = str(self.random.randint(0, 99))
        return self.random.choice(["a", "b", "a", "x", "...", plain, f'"s{plain}"', "nil", "true", "false", "{}", "x"])

    def values(self):
        return [self.value() for _ in range(self.random.choice(WIDTHS))]

    def function(self):
        leaf = f"L[{self.random.randint(1, LEAVES)}]"
        return f"F[{self.random.randint(1, self.callable)}]" if self.callable else leaf

    def fill(self, template, depth, leaf):
        self.ids += 1
        pick = self.random
        error = pick.choice(ERRORS) if pick.random() < 0.25 else "log(%d)"
        words = {
            "i": self.ids, "f": self.function(), "l": f"L[{pick.randint(1, LEAVES)}]", "c": f"cos[{pick.randint(1, COROUTINES)}]",
            "w": f"ws[{pick.randint(1, COROUTINES)}]", "a": "".join(", " + v for v in self.values()), "v": ", ".join(self.values()),
            "e": error.replace("%d", str(self.ids)), "o": pick.choice(OPERATIONS).format(self.function()), "B": "", "C": "",
        }
        if "{B}" in template:
            words["B"], words["C"] = self.block(depth - 1, leaf), self.block(depth - 1, leaf)
        return template.format(**words)

    def statement(self, depth, leaf):
        choices = PLAIN + NESTED if depth > 0 else PLAIN
        while True:
            template = self.random.choice(choices)
            if not (leaf and any(word in template for word in NOT_IN_LEAVES)):
                return self.fill(template, depth, leaf)

    def block(self, depth, leaf):
        lines = [self.statement(depth, leaf) for _ in range(self.random.randint(1, 4))]
        if self.random.random() < 0.12:
            lines.append("do return " + self.fill(self.random.choice(RETURNS[:3] if leaf else RETURNS), 0, leaf) + " end")
        return "\n" + "\n".join(lines) + "\n"

    def text(self):
        out = [PRELUDE]
        for k in range(1, LEAVES + 1):
            out.append(f"L[{k}] = function(a, b, ...) if tick() then return end local x = a {self.block(1, True)} end")
        for k in range(1, self.count + 1):
            out.append(f"F[{k}] = function(a, b, ...) if tick() then return end local x {self.block(2, False)} {self.block(2, False)} end")
            self.callable = k
        for k in range(1, COROUTINES + 1):
            out.append(f"cos[{k}], ws[{k}] = create({self.function()}), wrap({self.function()})")
        out.append(f"""for round = 1, 12 do
  log("round", round)
  for k = 1, {COROUTINES} do if cos[k] then log(k, status(cos[k])) log(k, resume(cos[k], round, "r")) end end
  for k = 1, {COROUTINES} do log(k, pcall(ws[k], round)) end
  for k = 1, {self.count} do if budget < 0 then break end log(k, pcall(F[k], round)) end
end
for k = 1, {COROUTINES} do
  log("end", k, status(cos[k]))
  if status(cos[k]) == "suspended" or status(cos[k]) == "dead" then log(pcall(close, cos[k])) end
  log(status(cos[k]))
end""")
        return "\n".join(out)


def program(seed):
    return Program(seed).text()
