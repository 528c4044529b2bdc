#!/usr/bin/env python3
"""Compares our parser with liblua5.4's on a generated corpus: the same verdict on every source, and for a refused one the same
line. Sources listed in exceptions.txt may differ. The messages' wording is compared too and reported; --strict makes a
different wording a failure."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LINE = re.compile(rb"error s:(\d+): ")
SHOWN = 15


def read_sources(path):
    data, sources, at = path.read_bytes(), [], 0
    while at < len(data):
        end = data.index(b"\n", at)
        length = int(data[at:end])
        sources.append(data[end + 1:end + 1 + length])
        at = end + 2 + length
    return sources


def exceptions():
    """index -> reason, for the default seed and count."""
    path = HERE / "exceptions.txt"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        match = re.match(r"(\d+): (.+)", line)
        if match:
            found[int(match.group(1))] = match.group(2)
    return found


def verdict(answer):
    """What must be equal: accepted, or refused at that line (no line: refused without position)."""
    if answer == b"ok":
        return "accepted"
    match = LINE.match(answer)
    return f"refused at line {match.group(1).decode()}" if match else "refused without a line"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(HERE.parent.parent / "build" / "baton"))
    parser.add_argument("--reference", required=True, help="the program built from reference.cpp")
    parser.add_argument("--seed", type=int, default=54)
    parser.add_argument("--count", type=int, default=7000)
    parser.add_argument("--strict", action="store_true", help="wordings must be equal too")
    options = parser.parse_args()
    listed = exceptions() if options.seed == 54 else {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus"
        subprocess.run([sys.executable, HERE / "generate.py", "--seed", str(options.seed), "--count", str(options.count), corpus], check=True)
        sources = read_sources(corpus)
        answers = []
        for command in ([options.interpreter, HERE / "ours.script", corpus], [options.reference, corpus]):
            done = subprocess.run(command, capture_output=True)
            if done.returncode != 0:
                print(f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[:500]}")
            lines = done.stdout.split(b"\n")
            answers.append(lines[:-1] if lines and lines[-1] == b"" else lines)
    failed = wording = excepted = accepted = 0
    if len(answers[0]) != len(sources) or len(answers[1]) != len(sources):
        print(f"{len(sources)} sources, {len(answers[0])} answers of ours, {len(answers[1])} of the reference")
        failed += abs(len(sources) - len(answers[0])) + abs(len(sources) - len(answers[1]))
    for index, (source, ours, theirs) in enumerate(zip(sources, *answers)):
        accepted += theirs == b"ok"
        same_verdict, same_words = verdict(ours) == verdict(theirs), ours == theirs
        wording += same_verdict and not same_words
        if same_verdict and (same_words or not options.strict):
            if same_words or wording > SHOWN:
                continue
            print(f"source {index}: wording\n  ours:  {ours.decode(errors='replace')}\n  lua's: {theirs.decode(errors='replace')}")
            continue
        if index in listed:
            excepted += 1
            continue
        failed += 1
        if failed <= SHOWN:
            print(f"source {index}: {verdict(ours)}, the reference: {verdict(theirs)}\n  ours:  {ours.decode(errors='replace')}\n  lua's: {theirs.decode(errors='replace')}")
            print("  " + repr(source[:300]))
    print(f"{accepted} of {len(sources)} sources are valid; {wording} messages are worded differently; {excepted} listed exceptions")
    print(f"{len(sources) - failed - excepted} passed, {failed} failed" + (f", {excepted} skipped" if excepted else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
