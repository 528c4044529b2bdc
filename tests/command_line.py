#!/usr/bin/env python3
"""Runs the program with the options of `lua` and with bad input, and checks exit status, output and messages.

`--oracle lua5.4` asks Lua instead; cases about what only Baton has are left out then. In expectations PROGRAM stands for the
name the program gives itself in its messages."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

CASES = []


def case(name, arguments, out="", err=None, status=0, given="", files=(), only=None, env=None):
    """One run: `err` is the beginning of standard error (None: must be empty); `files` are written into its folder first."""
    CASES.append(dict(name=name, arguments=arguments, out=out, err=err, status=status, given=given, files=dict(files), only=only, env=env))


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
case("the version of the program", ["-e", "print(type(require('baton')._VERSION))"], "string\n", only=BATON)
case("a memory cap makes an error, not a death", ["--max-memory=20M", "-e", "local t = {} print(pcall(function() for i = 1, 1e9 do t[i] = {i} end end)) t = nil print('alive')"],
     "false\tnot enough memory\nalive\n", only=BATON)
case("a switch interval can be given", ["--switch-interval=0.001", "-e", "print(require('gil').switch_interval())"], "0.001\n", only=BATON)
case("a bad memory cap", ["--max-memory=lots", "-e", ""], err="PROGRAM: ", status=1, only=BATON)
case(".script modules are found first", ["-l", "m", "-e", "print(m)"], "script\n", files={"m.script": "return 'script'\n", "m.lua": "return 'lua'\n"}, only=BATON)
case("init files of folders are found", ["-l", "pkg", "-e", "print(pkg)"], "init\n", files={"pkg/init.script": "return 'init'\n"}, only=BATON)
case("modules beside the script are found", ["sub/main.script"], "beside\tsub/beside_it.script\n", files={"sub/main.script": "print(require 'beside_it')\n", "sub/beside_it.script": "return 'beside'\n"}, only=BATON)


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
    if item["out"] is not None and out != item["out"]:
        problems.append(f"printed {out!r}, expected {item['out']!r}")
    expected = (item["err"] or "").replace("PROGRAM", os.path.basename(program))
    got = err.replace(program + ": ", os.path.basename(program) + ": ")
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
    failed = skipped = passed = 0
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
