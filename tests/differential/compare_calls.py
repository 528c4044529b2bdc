#!/usr/bin/env python3
"""Runs library_calls.script (random calls of the string, table, math and utf8 functions) under baton and under lua5.4 with the
same seeds: they must print the same bytes, results and error messages alike."""
import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = 5
TIMEOUT_S = 120


def output(command):
    done = subprocess.run(command, cwd=HERE, capture_output=True, timeout=TIMEOUT_S)
    return done.stdout.split(b"\n") + [b"exit status %d" % done.returncode] + done.stderr.split(b"\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(HERE.parent.parent / "build" / "baton"))
    parser.add_argument("--lua", default="lua5.4")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--calls", type=int, default=2000, help="calls for each seed")
    options = parser.parse_args()
    differing = 0
    options.interpreter = str(pathlib.Path(options.interpreter).resolve())  # the calls run in another folder
    for seed in range(options.first, options.first + options.seeds):
        ours, reference = (output([program, "library_calls.script", str(seed), str(options.calls)])
                           for program in (options.interpreter, options.lua))
        if ours == reference:
            continue
        differing += 1
        pairs = [(a, b) for a, b in zip(ours, reference) if a != b] or [(b"%d lines" % len(ours), b"%d lines" % len(reference))]
        for a, b in pairs[:SHOWN]:
            print(f"seed {seed}\n  ours:   {a.decode('utf-8', 'replace')}\n  lua5.4: {b.decode('utf-8', 'replace')}")
    print(f"{options.seeds - differing} of {options.seeds} seeds agree")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
