#!/usr/bin/env python3
"""Adds up what meson's records of several builds say, shows what failed (last, with a list of names), and ends with
"N passed, N failed".

A test program that prints "N passed, N failed[, N skipped]" as its last line counts as that many; a Catch2 program as its
test cases; anything else as one. The exit status is 0 only when nothing failed and no build was broken.
"""
import argparse
import json
import pathlib
import re
import sys

COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
CATCH_ALL = re.compile(r"^All tests passed \(.* in (\d+) test cases?\)", re.M)
CATCH_SOME = re.compile(r"^test cases: +(\d+)((?: \| +\d+ [a-z ]+)+)", re.M)
SKIPPED_EXIT = 77
SHOWN_OUTPUT = 6000  # characters of a failed test's output


def count(record):
    """(passed, failed, skipped) of one program run; a bad exit status is at least one failure."""
    output = record.get("stdout", "") or ""
    bad = record["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")
    if record["result"] == "SKIP":
        return 0, 0, 1
    lines = COUNT_LINE.findall(output)
    if lines:
        passed, failed, skipped = (int(text or 0) for text in lines[-1])
    elif CATCH_ALL.search(output):
        passed, failed, skipped = int(CATCH_ALL.search(output).group(1)), 0, 0
    elif CATCH_SOME.search(output):
        match = CATCH_SOME.search(output)
        parts = dict((name.strip(), int(number)) for number, name in re.findall(r"\| +(\d+) ([a-z ]+)", match.group(2)))
        passed, failed, skipped = parts.get("passed", 0), parts.get("failed", 0), 0
    else:
        passed, failed, skipped = (0, 1, 0) if bad else (1, 0, 0)
    if bad and failed == 0:
        failed = 1
    return passed, failed, skipped


def show_failure(build, record, why):
    print(f"---- {build}: {record['name']} ({why})")
    for stream in ("stdout", "stderr"):
        text = (record.get(stream) or "").rstrip()
        if len(text) > SHOWN_OUTPUT:
            text = "[...]\n" + text[-SHOWN_OUTPUT:]
        if text:
            # a failed program's own count must not look like the count of everything
            print(COUNT_LINE.sub(lambda match: "(" + match.group(0) + ")", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broken", type=int, default=0, help="builds that did not come about")
    parser.add_argument("records", nargs="*", type=pathlib.Path)
    options = parser.parse_args()

    total, failures = [0, 0, 0], []
    for path in options.records:
        if not path.exists():
            continue
        for line in path.read_text(errors="replace").splitlines():
            record = json.loads(line)
            counted = count(record)
            total = [a + b for a, b in zip(total, counted)]
            if counted[1]:
                failures.append((path.stem, record, f"{counted[1]} failed, result {record['result']}"))
            else:
                skipped = f", {counted[2]} skipped" if counted[2] else ""
                print(f"{path.stem}: {record['name']}: {counted[0]} passed{skipped} ({record['duration']:.1f} s)")
    for failure in failures:
        show_failure(*failure)
    for build, record, why in failures:
        print(f"FAILED {build}: {record['name']} ({why})")
    total[1] += options.broken
    if options.broken:
        print(f"{options.broken} builds or test runs broke off")
    skipped = f", {total[2]} skipped" if total[2] else ""
    print(f"{total[0]} passed, {total[1]} failed{skipped}")
    return 1 if total[1] or total[0] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
