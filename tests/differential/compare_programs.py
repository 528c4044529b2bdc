#!/usr/bin/env python3
"""Runs generated programs in our interpreter and in Lua's, and compares all they print, error messages included."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = 12
# lua5.4.4 gives a division by zero in an expression of several lines the line where its left operand ends; corrected later.
LINE_OF_DIVISION = re.compile(r":\d+: (attempt to perform 'n%+0'|attempt to divide by zero)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interpreter", default=str(HERE.parent.parent / "build" / "baton"))
    parser.add_argument("--lua", default="lua5.4")
    parser.add_argument("--seed", type=int, default=54)
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus"
        subprocess.run([sys.executable, HERE / "generate_programs.py", "--seed", str(options.seed), "--count", str(options.count), corpus], check=True)
        answers = []
        for program in (options.interpreter, options.lua):
            done = subprocess.run([program, HERE / "execute.script", corpus], capture_output=True)
            if done.returncode != 0:
                print(f"{program} ended with {done.returncode}: {done.stderr.decode(errors='replace')[:500]}")
            answers.append(LINE_OF_DIVISION.sub(r": \1", done.stdout.decode(errors="replace")).split("\n")[:-1])
    ours, theirs = answers
    failed = abs(options.count - len(ours)) + abs(options.count - len(theirs))
    for index, (mine, other) in enumerate(zip(ours, theirs)):
        if mine == other:
            continue
        failed += 1
        if failed <= SHOWN:
            pairs = zip(mine.split(";"), other.split(";"))
            place, (a, b) = next(((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]), (-1, ("(length)", "(length)")))
            print(f"program {index}, output {place}:\n  ours:  {a[:300]}\n  lua's: {b[:300]}")
    if failed:
        print("generate_programs.py --show N prints a program")
    print(f"{max(0, options.count - failed)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
