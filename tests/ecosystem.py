#!/usr/bin/env python3
"""What users of Lua already have works: luacheck is clean on our scripts, and libraries in pure Lua from Debian run unchanged."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# package: (a script, what it prints). Debian keeps some in the folder of an older Lua.
LIBRARIES = {
    "argparse": ("""
local parser = require "argparse"("prog", "An example."):add_help(false)
parser:argument("input")
parser:option("-o --output", "Output file.", "a.out")
parser:flag("-v --verbose")
local commands = parser:parse{"in.txt", "-o", "out.txt", "-v"}
print(commands.input, commands.output, commands.verbose)
print(parser:get_usage())
print(select(2, parser:pparse{"a", "--nothing"}))
""", "in.txt\tout.txt\ttrue\nUsage: prog [-o <output>] [-v] <input>\nunknown option '--nothing'\n"),
    "inspect": ("""
local inspect = require "inspect"
print(inspect({1, 2, {a = "b", c = {true}}, x = 1}))
local cycle = {} cycle.self = cycle
print(inspect(cycle))
print(inspect(setmetatable({}, {__index = 1})))
""", '{ 1, 2, {\n    a = "b",\n    c = { true }\n  },\n  x = 1\n}\n<1>{\n  self = <table 1>\n}\n{\n  <metatable> = {\n    __index = 1\n  }\n}\n'),
    "dkjson": ("""
local json = require "dkjson"
print(json.encode({1, 2.5, {a = "x\\n", b = true}}, {keyorder = {"a", "b"}}))
print(json.decode('{"k": [1, 2.5, null, "s"]}').k[4], json.decode("[1] x"))
print(json.decode("{]"))
""", '[1,2.5,{"a":"x\\n","b":true}]\ns\ttable: 0x\t4\nnil\t2\tno valid JSON value at line 1, column 2\n'),
    "pl": ("""
local List, tablex, stringx, pretty = require "pl.List", require "pl.tablex", require "pl.stringx", require "pl.pretty"
print(List{3, 1, 2}:sort():map(function(x) return x * 2 end):join ",")
print(tablex.deepcompare({1, {2}}, {1, {2}}), stringx.split("a b c")[2], stringx.strip("  x  "))
print(pretty.write({a = 1, 2}, ""))
local Animal = require "pl.class"()
function Animal:_init(name) self.name = name end
local Cat = require "pl.class"(Animal)
function Cat:__tostring() return "cat " .. self.name end
print(tostring(Cat "Tom"), Cat "Tom":is_a(Animal))
print((require "pl.template".substitute("# for i = 1, 2 do\\nrow $(i)\\n# end\\n", {_escape = "#"})))
print(require "pl.OrderedMap"{{a = 1}, {b = 2}}, (require "pl.seq".sum{1, 2, 3}))
""", "2,4,6\ntrue\tb\tx\n{2,a=1}\ncat Tom\ttrue\nrow 1\nrow 2\n\n{a=1,b=2}\t6\n"),
}


def search_path():
    return ";".join(f"/usr/share/lua/{version}/{form}" for version in ("5.4", "5.3") for form in ("?.lua", "?/init.lua")) + ";;"


def is_installed(name):
    return any(list(pathlib.Path(f"/usr/share/lua/{version}").glob(f"{name}*")) for version in ("5.4", "5.3"))


def run_library(interpreter, name):
    """Returns: what is wrong, or None; "" if it is not installed."""
    if not is_installed(name):
        return ""
    script, expected = LIBRARIES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "use.script"
        path.write_text(script)
        env = {**os.environ, "LUA_PATH": search_path()}
        done = subprocess.run([interpreter, str(path)], cwd=folder, env=env, capture_output=True, text=True, timeout=120)

    got = re.sub(r"0x[0-9a-f]+", "0x", done.stdout)
    if done.returncode == 0 and got == expected:
        return None
    return f"{name}: printed {got!r}, expected {expected!r}\n{done.stderr}"


def lint(strict):
    """Mistakes with globals are failures; all other warnings (unused variables ...) with --strict."""
    files = [str(path) for folder in ("scripts", "stdlib", "tools") for path in sorted((ROOT / folder).rglob("*.script"))]
    done = subprocess.run(["luacheck", "--no-color", "--codes", "--quiet", *([] if strict else ["--only", "0", "1", "--"]), *files], cwd=ROOT, capture_output=True, text=True, timeout=300)
    return None if done.returncode == 0 else done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interpreter", default=str(ROOT / "build" / "baton"))
    parser.add_argument("--strict", action="store_true", help="any warning of luacheck is a failure")
    options = parser.parse_args()
    problems, checked = [], 0
    if shutil.which("luacheck"):
        problems.append(lint(options.strict))
        checked += 1
    for name in LIBRARIES:
        problem = run_library(os.path.abspath(options.interpreter), name)
        if problem == "":
            print(f"{name}: not installed")
            continue
        problems.append(problem)
        checked += 1
    for problem in filter(None, problems):
        print(problem)
    print(f"{checked} checked")
    return 1 if any(problems) else 0 if checked else 77


if __name__ == "__main__":
    sys.exit(main())
