#!/usr/bin/env python3
"""Runs random programs about coroutines in our interpreter and in Lua's, and compares all they print.

The depth at which calls overflow the machine stack is each implementation's own. A program that meets it in either of them is
left out, also where the message is hidden: the functions that return error messages are watched for it in further runs.
usage: compare_coroutines.py --interpreter PATH [--lua PATH] [--seed N] [--count N] [--show SEED]
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import generate_coroutines

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = 5
WATCH = """
local function seen(e)
  if type(e) == "string" and (e:find("overflow", 1, true) or e:find("error in error handling", 1, true)) then
    io.stderr:write("hidden overflow\\n")
  end
end
local function watch(f)
  return function(...)
    local r = table.pack(f(...))
    for i = 1, r.n do seen(r[i]) end
    return table.unpack(r, 1, r.n)
  end
end
pcall, xpcall, load = watch(pcall), watch(xpcall), watch(load)
coroutine.resume, coroutine.close = watch(coroutine.resume), watch(coroutine.close)
"""


def run(program, path):
    done = subprocess.run([program, path.name], capture_output=True, cwd=path.parent, timeout=500)
    return done.returncode, done.stdout


def overflows(programs, path, outputs):
    if any(b"overflow" in output or b"error in error handling" in output for output in outputs):
        return True
    watched = path.with_suffix(".watched")
    watched.write_text(WATCH + path.read_text())
    return any(b"hidden overflow" in subprocess.run([program, watched.name], capture_output=True, cwd=path.parent, timeout=500).stderr
               for program in programs)


def compare(job):
    seed, options, folder = job
    path = pathlib.Path(folder) / f"p{seed}"
    path.write_text(generate_coroutines.program(seed))
    (ours, mine), (theirs, other) = run(options.interpreter, path), run(options.lua, path)
    if (ours, mine) == (theirs, other):
        return None
    if ours in (0, 1) and overflows((options.lua, options.interpreter), path, (mine, other)):
        return None
    lines = list(zip(mine.split(b"\n"), other.split(b"\n")))
    line, pair = next(((i + 1, pair) for i, pair in enumerate(lines) if pair[0] != pair[1]), (len(lines), (b"(length)", b"(length)")))
    return f"seed {seed}, status {ours} (lua's {theirs}), line {line}:\n  ours:  {pair[0][:300]}\n  lua's: {pair[1][:300]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(HERE.parent.parent / "build" / "baton"))
    parser.add_argument("--lua", default="lua5.4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--show", type=int)
    options = parser.parse_args()
    options.interpreter = os.path.abspath(options.interpreter)  # programs run in a folder of their own
    if options.show is not None:
        print(generate_coroutines.program(options.show))
        return 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [(seed, options, folder) for seed in range(options.seed, options.seed + options.count)]
        failures = [failure for failure in pool.map(compare, jobs) if failure is not None]
    print("\n".join(failures[:SHOWN]))
    print(f"{options.count - len(failures)} passed, {len(failures)} failed; --show SEED prints a program")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
