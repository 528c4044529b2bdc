#!/usr/bin/env python3
"""Runs the program with the options of `lua` and with bad input, and checks exit status, output and messages.

`--oracle lua5.4` asks Lua instead; cases about what only Baton has are left out then. In expectations PROGRAM stands for the
name the program gives itself in its messages."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CASES = []
ADDED = re.compile(r"^ +(\d+ |)[|=] .*\n", re.MULTILINE)  # " 3 | source", "   |  ^", "   = hint"


def case(name, arguments, out="", err=None, status=0, given="", files=(), only=None, env=None, whole=False):
    """One run: `err` is the beginning of standard error (None: must be empty); `files` are written into its folder first.
    The lines of source and hints that Baton adds to errors are looked at only if `whole` is set."""
    CASES.append(dict(name=name, arguments=arguments, out=out, err=err, status=status, given=given, files=dict(files), only=only, env=env, whole=whole))


HELLO = {"hello.script": 'print("hello", ...)\n'}
ARG = {"arg.script": 'print(arg[0], arg[1], arg[2], #arg, arg[-1] ~= nil, select("#", ...))\n'}

case("a script runs", ["hello.script"], "hello\n", files=HELLO)
case("arguments reach the script", ["hello.script", "a", "b c"], "hello\ta\tb c\n", files=HELLO)
case("arg holds the arguments", ["arg.script", "x", "y"], "arg.script\tx\ty\t2\ttrue\t2\n", files=ARG)
case("arguments that look like options are the script's", ["arg.script", "-e", "-v"], "arg.script\t-e\t-v\t2\ttrue\t2\n", files=ARG)
case("-e runs a statement", ["-e", "print(1 + 1)"], "2\n")
case("-e with its text attached", ["-eprint(3)"], "3\n")
case("several -e run in order", ["-e", "x = 1", "-e", "print(x)"], "1\n")
case("-e before a script", ["-e", "greeting = 'set'", "s.script"], "set\n", files={"s.script": "print(greeting)\n"})
case("-e without text", ["-e"], err="PROGRAM: '-e' needs argument\nusage:", status=1)
case("-e with a syntax error", ["-e", "x = = 1"], err="PROGRAM: (command line):1: unexpected symbol near '='", status=1)
case("-e with an error", ["-e", "error('E')"], err="PROGRAM: (command line):1: E\nstack traceback:\n", status=1)
case("-l requires a module into a global", ["-l", "string", "-e", "print(type(string.rep))"], "function\n")
case("-l finds a file", ["-l", "mod", "-e", "print(mod.x)"], "7\n", files={"mod.lua": "return {x = 7}\n"})
case("-l with another name", ["-l", "m=mod", "-e", "print(m.x)"], "7\n", files={"mod.lua": "return {x = 7}\n"})
case("-l of a missing module", ["-l", "no_such_module"], err="PROGRAM: module 'no_such_module' not found:", status=1)
case("- reads the script from standard input", ["-", "a"], "got\ta\n", given="print('got', ...)\n")
case("standard input that is no terminal is a script", [], "from stdin\n", given="print('from stdin')\n")
case("-- ends the options", ["--", "hello.script"], "hello\n", files=HELLO)
case("an unknown option", ["-x"], err="PROGRAM: unrecognized option '-x'\nusage:", status=1)
case("-v with -e still runs", ["-v", "-e", "print('ran')"], None)
case("-W shows warnings", ["-W", "-e", "warn('careful')"], err="Lua warning: careful\n")
case("-E ignores the environment", ["-E", "-e", "print('quiet')"], "quiet\n", env={"LUA_INIT": "print('init')"})
case("-i without a terminal reads statements", ["-i"], None, given="print(1)\n")
case("the exit status of os.exit", ["-e", "os.exit(7)"], status=7)
case("a failing script", ["f.script"], err="PROGRAM: f.script:2: broken\nstack traceback:\n\t[C]: in function 'error'\n", status=1,
     files={"f.script": "local x\nerror('broken')\n"})
case("a script that cannot be opened", ["missing.script"], err="PROGRAM: cannot open missing.script", status=1)
case("a folder instead of a script", ["."], err="PROGRAM: cannot read .", status=1)
case("an unfinished string", ["u.script"], err="PROGRAM: u.script:1: unfinished string near '\"abc'", status=1, files={"u.script": 'x = "abc\n'})
case("binary rubbish", ["r.script"], err="PROGRAM: ", status=1, files={"r.script": b"\x7fELF\x02\x01\x00\xff\xfe" * 50})
case("a damaged binary chunk", ["b.script"], err="PROGRAM: ", status=1, files={"b.script": b"\x1bLua\x54\x00rest"})
case("an empty script", ["e.script"], "", files={"e.script": ""})
case("a first line for the shell", ["s.script"], "fine\n", files={"s.script": "#!/usr/bin/env baton\nprint('fine')\n"})
case("an error object with a text", ["-e", "error(setmetatable({}, {__tostring = function() return 'text' end}))"], err="PROGRAM: text\n", status=1)
case("an error object without a text", ["-e", "error({})"], err="PROGRAM: (error object is a table value)\n", status=1)
case("output is complete when the script fails", ["-e", "io.write('partial') error('x')"], "partial", err="PROGRAM: ", status=1)
case("output is complete at os.exit", ["-e", "io.write('all of it') os.exit(0)"], "all of it")
case("a finalizer runs at the end", ["-e", "x = setmetatable({}, {__gc = function() print('bye') end})"], "bye\n")

BATON = "baton"
case("the version names the language", ["-e", "print(_VERSION)"], "Lua 5.4\n")
case("an interrupt ends the other threads too, and closes what they hold", ["i.script"], "closed\n", err="PROGRAM: i.script:4: interrupted!\n", status=1,
     only=BATON, files={"i.script": """local thread, process = require "thread", require "process"
local started = thread.event()
thread.spawn(function() local c <close> = setmetatable({}, {__close = function() print "closed" end}) started:set() while true do end end)
started:wait() process.shell("kill -INT " .. process.pid()) while true do end
"""})
case("the version of the program", ["-e", "print(type(require('baton')._VERSION))"], "string\n", only=BATON)
case("a memory cap makes an error, not a death", ["--max-memory=20M", "-e", "local t = {} print(pcall(function() for i = 1, 1e9 do t[i] = {i} end end)) t = nil print('alive')"],
     "false\tnot enough memory\nalive\n", only=BATON)
case("a switch interval can be given", ["--switch-interval=0.001", "-e", "print(require('gil').switch_interval())"], "0.001\n", only=BATON)
case("a bad memory cap", ["--max-memory=lots", "-e", ""], err="PROGRAM: ", status=1, only=BATON)
case(".script modules are found first", ["-l", "m", "-e", "print(m)"], "script\n", files={"m.script": "return 'script'\n", "m.lua": "return 'lua'\n"}, only=BATON)
case("init files of folders are found", ["-l", "pkg", "-e", "print(pkg)"], "init\n", files={"pkg/init.script": "return 'init'\n"}, only=BATON)
case("modules beside the script are found", ["sub/main.script"], "beside\tsub/beside_it.script\n", files={"sub/main.script": "print(require 'beside_it')\n", "sub/beside_it.script": "return 'beside'\n"}, only=BATON)


def fails(name, text, shown, **more):
    """A script `s.script` that fails: what is printed below the first line, up to the traceback."""
    first, rest = shown.split("\n", 1)
    case(name, ["s.script"], err=f"PROGRAM: s.script:{first}\n{rest}", status=1, files={"s.script": text, **more}, only=BATON, whole=True)


fails("a misspelt global", "local x = 1\nprnt(x)\n", "2: attempt to call a nil value (global 'prnt')\n 2 | prnt(x)\n   | ^~~~\n   = did you mean 'print'?\nstack traceback:\n\ts.script:2: in main chunk\n")
fails("a misspelt field", "print(string.fromat('x'))\n", "1: attempt to call a nil value (field 'fromat')\n 1 | print(string.fromat('x'))\n   |              ^~~~~~\n   = did you mean 'format'?\nstack traceback:\n")
fails("a misspelt method", "local s = 'x'\nreturn s:uper() .. s:upper()\n", "2: attempt to call a nil value (method 'uper')\n 2 | return s:uper() .. s:upper()\n   |          ^~~~\n   = did you mean 'upper'?\n")
fails("a misspelt field of a local table", "local p = {at = {value = 1}}\nprint(p.at.vlaue + 1)\n", "2: attempt to perform arithmetic on a nil value (field 'vlaue')\n 2 | print(p.at.vlaue + 1)\n   |            ^~~~~\n   = did you mean 'value'?\n")
fails("a module that was not required", "async.sleep(1)\n", "1: attempt to index a nil value (global 'async')\n 1 | async.sleep(1)\n   | ^~~~~\n   = 'async' is a module: local async = require \"async\"\n")
fails("a misspelt local", "local counter = 1\nlocal function f() return conter + 1 end\nprint(counter, f())", "2: attempt to perform arithmetic on a nil value (global 'conter')\n 2 | local function f() return conter + 1 end\n   |                           ^~~~~~\nstack traceback:\n")
fails("a line with tabs", "\tlocal t = nil\n\tt.x = 1\n", "2: attempt to index a nil value (local 't')\n 2 |     t.x = 1\n   |     ^\n")
fails("an error in a task, awaited", "local function inner() error('E') end\nlocal t = require('async').spawn(function() inner() end)\nt:await()\n",
      "1: E\n 1 | local function inner() error('E') end\n   |                        ^~~~~\nstack traceback:\n\t[C]: in function 'error'\n\ts.script:1: in upvalue 'inner'\n\ts.script:2: in function <s.script:2>\nspawned at s.script:2\nawaited by:\nstack traceback:\n")
fails("an unclosed block", "local function f()\n  if x then\n    y()\n  z()\nend\n", "6: 'end' expected (to close 'function' at line 1) near <eof>\n 5 | end\n   |    ^\n   = this 'if' seems to lack its 'end':\n 2 |   if x then\n   |   ^~\n")
fails("a compound assignment", "local x = 1\nx += 1\n", "2: syntax error near '+'\n 2 | x += 1\n   |   ^\n   = write x = x + ...\n")
fails("not equal as elsewhere", "if x != 3 then end\n", "1: 'then' expected near '!'\n 1 | if x != 3 then end\n   |      ^\n   = not equal is written ~=\n")
fails("a token that stands twice in its line", "print(1)) print(2)\n", "1: unexpected symbol near ')'\n 1 | print(1)) print(2)\n   |         ^\n")
case("a long line is cut to the terminal's width", ["s.script"], err="PROGRAM: s.script:1: attempt to call a nil value (global 'nothing_here')\n 1 | ~", status=1,
     files={"s.script": "local a = '" + "x" * 200 + "' nothing_here()"}, only=BATON, whole=True, env={"COLUMNS": "40"})
case("no colours without a terminal", ["-e", "error('E')"], err="PROGRAM: (command line):1: E\n 1 | error('E')\n   | ^~~~~\nstack traceback:\n", status=1, only=BATON, whole=True)
case("the value of an error has Lua's text only", ["-e", "print(pcall(function() prnt() end))"], "false\t(command line):1: attempt to call a nil value (global 'prnt')\n", only=BATON)
case("an unknown long option", ["--chekc"], err="PROGRAM: unrecognized option '--chekc'\nusage: baton [options] [script [arguments]]   (baton --help tells more)\ndid you mean '--check'?\n", status=1, only=BATON)
case("--check compiles and runs nothing", ["--check", "good.script"], files={"good.script": "print('never')"}, only=BATON)
case("--check looks at every file", ["--check", "bad.script", "good.script", "worse.script"], err="PROGRAM: bad.script:1: syntax error near <eof>\nPROGRAM: worse.script:2: unexpected symbol near '='\n",
     status=1, files={"good.script": "print('never')", "bad.script": "x", "worse.script": "x = 1\ny = = 2"}, only=BATON)
case("a script that breaks the libraries gets a report", ["-e", "string.gsub, string.find, debug.getinfo, io.open = nil\nlocal t\nt.x = 1"],
     err="PROGRAM: (command line):3: attempt to index a nil value (local 't')\n", status=1, only=BATON)
case("a sub-command wins over a file", ["test"], None, err=None, status=1, files={"test": "print('the file')\n", "x_test.script": "it('fails', function() error('x') end)"}, only=BATON)

STACK_TEST = """describe("stack", function()
  local stack
  before_each(function() stack = {1, 2} end)
  it("pops", function() expect(table.remove(stack)):to_be(2) end)
  it("is fresh for each test", function() expect(#stack):to_be(2) end)
  it("waits", function() require("async").sleep(0.01) assert.same({1, 2}, stack) end)
end)
"""
FAILING_TEST = """it("compares", function() expect({a = 1, b = {2, 3}}):to_equal({a = 1, b = {2, 4}}) end)
it("has an error", function() local t; t.x = 1 end)
pending("not yet")
"""
case("tests that pass", ["test"], None, files={"sub/stack_test.script": STACK_TEST}, only=BATON)
case("tests that pass have status 0, one by one", ["test", "--verbose", "--jobs=1", "stack_test.script"], None, files={"stack_test.script": STACK_TEST}, only=BATON)
case("one test that fails has status 1", ["test"], None, status=1, files={"a_test.script": STACK_TEST, "b_test.lua": FAILING_TEST}, only=BATON)
case("a test file that ends its process fails", ["test"], None, status=1, files={"a_test.script": "it('a', function() end) os.exit(0)"}, only=BATON)
case("a test file that does not compile fails", ["test"], None, status=1, files={"a_test.script": "x = = 1"}, only=BATON)
case("a filter leaves tests out", ["test", "--filter=pops", "--list"], "a_test.script: stack > pops\n", files={"a_test.script": STACK_TEST}, only=BATON)
case("a folder without tests is told", ["test"], err="baton test: no *_test.script files here\n", status=1, only=BATON)
case("an unknown option of test", ["test", "--fliter=x"], err="baton test: unrecognized option '--fliter=x'\nusage: baton test", status=1, only=BATON)
case("a file called like a sub-command runs with its path", ["./test"], "the file\n", files={"test": "print('the file')\n"}, only=BATON)
case("a difference is shown by lines and by its place", ["test", "b_test.script"], """FAIL b_test.script (3)
  FAIL compares
  FAIL has an error
  todo not yet

FAIL b_test.script: compares
  b_test.script:1: expected (-) and got (+):
  - {a = 1, b = {2, 4}}
  + {a = 1, b = {2, 3}}
  first difference at .b[2]: 4 and 3

FAIL b_test.script: has an error
  b_test.script:2: attempt to index a nil value (local 't')
   2 | it("has an error", function() local t; t.x = 1 end)
     |                                        ^
  stack traceback:
  \tb_test.script:2: in function <b_test.script:2>

FAILED 0 passed, 2 failed, 1 pending, 1 files, SECONDS
""", status=1, files={"b_test.script": FAILING_TEST}, only=BATON)
case("init writes a project that its own test passes", ["-e", "os.exit(os.execute(arg[0] .. ' init p && cd p && ' .. arg[0] .. ' test && ' .. arg[0] .. ' --check main.script'))"],
     None, only=BATON)
case("init changes nothing that is there", ["init"], "written  .luarc.json\nkept     .luacheckrc\nwritten  stylua.toml\nwritten  main.script\nwritten  main_test.script\n", files={".luacheckrc": "-- mine"}, only=BATON)
case("bench compares the ways to call a function", ["bench", "b.script", "--times=4", "--rounds=1"], None, files={"b.script": "return function() local s = 0 for i = 1, 10000 do s = s + i end return s end"}, only=BATON)
case("bench of a file without a function", ["bench", "b.script"], err="baton bench: b.script: returns no function\n", status=1, files={"b.script": "print()"}, out=None, only=BATON)
case("the prompt without a terminal", ["repl"], "2\n4\n{1, {2}}\n10\n", given="1 + 1\n_ * 2\n{1, {2}}\nfor i = 10, 10 do\nprint(i)\nend\n", only=BATON)
case("values at the prompt", ["repl"], '{self = <the table itself, again>}\n{{{{...}}}}\n"a\\nb"\nnil\n{1, 2, x = 1}\n', given="t = {} t.self = t\nt\n{{{{1}}}}\n'a\\nb'\nnil\n{x = 1, 1, 2}\n", only=BATON)
case("an error at the prompt", ["repl"], "5\n", err="stdin:1: attempt to call a nil value (global 'prnt')\n 1 | prnt()\n   | ^~~~\n   = did you mean 'print'?\n", given="prnt()\n5\n", only=BATON, whole=True)
case("a profile of a script", ["--profile=p.json", "s.script"], err="profile: ", files={"s.script": "local s = 0 for i = 1, 1e6 do s = s + i end"}, only=BATON)
case("a profile of a script that exits", ["--profile=p.svg", "s.script"], err="profile: ", status=3, files={"s.script": "os.exit(3)"}, only=BATON)
case("a profile that cannot be written", ["--profile=no/such/p.svg", "s.script"], err="PROGRAM: ENOENT: no such file or directory: no/such/p.svg\n", status=1, files={"s.script": "os.exit(3)"}, only=BATON)


for _text, _hint in {"x = {a: 1}": "fields of a table are written name = value", "x++": "write x = x + 1", "else": "no 'if' is open here",
                     "return 1 print(2)": "'return' must be the last statement of its block", "f(1,)": "something is missing before ')', or it is one too many",
                     "local function f() end end": "there is one 'end' more than blocks"}.items():
    case(f"a hint about {_text}", ["s.script"], err="PROGRAM: s.script:1: ", status=1, files={"s.script": _text}, only=BATON)
    CASES[-1]["hint"] = f"   = {_hint}\n"


def documented(program):
    """Every option of --help stands in the manual page and in the completions of all shells. Returns: what is missing."""
    folder = pathlib.Path(__file__).resolve().parent.parent / "tools" / "baton"
    text = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60).stdout
    lines = text.split("\n")
    problems = [f"--help has {len(lines) - 1} lines"] if len(lines) - 1 > 24 else []
    problems += [f"--help: a line of {len(line)} columns" for line in lines if len(line) > 80]
    for name in re.findall(r"--[a-z][a-z-]+", text):
        for file, form in (("baton.1", name.replace("-", "\\-")), ("completions/baton.bash", name), ("completions/_baton", name), ("completions/baton.fish", "-l " + name[2:])):
            if form not in (folder / file).read_text():
                problems.append(f"{file} does not name {name}")
    return problems


def completions():
    """The shells that are here can read their completions. Returns: what is wrong."""
    folder, problems = pathlib.Path(__file__).resolve().parent.parent / "tools" / "baton" / "completions", []
    for shell, file in (("bash", "baton.bash"), ("zsh", "_baton"), ("fish", "baton.fish")):
        if shutil.which(shell):
            done = subprocess.run([shell, "-n", folder / file], capture_output=True, text=True, timeout=60)
            problems += [f"{file}: {done.stderr}"] if done.returncode != 0 else []
    return problems


def run(item, program):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in item["files"].items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        env = {**os.environ, **(item["env"] or {})}
        try:
            done = subprocess.run([program, *item["arguments"]], cwd=folder, input=item["given"].encode(), capture_output=True, timeout=120, env=env)
        except subprocess.TimeoutExpired:
            return ["still running after 120 s"]
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    problems = []
    if done.returncode != item["status"]:
        problems.append(f"exit status {done.returncode}, expected {item['status']}")
    out = re.sub(r"\d+\.\d\d s$", "SECONDS", out, flags=re.MULTILINE)
    if item["out"] is not None and out != item["out"]:
        problems.append(f"printed {out!r}, expected {item['out']!r}")
    if item.get("hint", "") not in err:
        problems.append(f"no hint {item['hint']!r} in {err!r}")
    expected = (item["err"] or "").replace("PROGRAM", os.path.basename(program))
    got = err.replace(program + ": ", os.path.basename(program) + ": ")
    if not item["whole"]:
        got = ADDED.sub("", got)
    if item["err"] is None and err and item["out"] is not None:
        problems.append(f"standard error: {err!r}, expected nothing")
    elif item["err"] and not got.startswith(expected):
        problems.append(f"standard error: {got!r}, expected {expected!r}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interpreter", default=str(pathlib.Path(__file__).resolve().parent.parent / "build" / "baton"))
    parser.add_argument("--oracle", metavar="LUA")
    options = parser.parse_args()
    program = options.oracle or os.path.abspath(options.interpreter)
    problems = [] if options.oracle else documented(program) + completions()
    failed, passed, skipped = len(problems), 0, 0
    for problem in problems:
        print(problem)
    for item in CASES:
        if options.oracle and item["only"]:
            skipped += 1
            continue
        problems = run(item, program)
        failed, passed = failed + bool(problems), passed + (not problems)
        for problem in problems:
            print(f"{item['name']}: {problem}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
