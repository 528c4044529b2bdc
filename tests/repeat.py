#!/usr/bin/env python3
"""The second chance of failed tests: lists them from meson's record, and puts the records of their second run in place.

    repeat.py --failed RECORD            prints the names of the failed tests, one a line
    repeat.py --merge RECORD SECOND      replaces in RECORD what SECOND ran again; names what passed then as flaky
"""
import json
import pathlib
import sys

GOOD = ("OK", "EXPECTEDFAIL", "SKIP")


def read(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.strip()]


def plain_name(record):
    """Meson records "project:suite / name"; it takes "name" back."""
    return record["name"].split(" / ", 1)[-1]


def merge(path, second):
    again = {record["name"]: record for record in read(second)} if pathlib.Path(second).exists() else {}
    merged = []
    for record in read(path):
        replacement = again.get(record["name"], record) if record["result"] not in GOOD else record
        if replacement is not record and replacement["result"] in GOOD:
            print(f"flaky: {plain_name(record)} failed once and passed alone")
        merged.append(replacement)
    pathlib.Path(path).write_text("".join(json.dumps(record) + "\n" for record in merged))


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--failed":
        for record in read(sys.argv[2]):
            if record["result"] not in GOOD:
                print(plain_name(record))
    elif len(sys.argv) == 4 and sys.argv[1] == "--merge":
        merge(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
