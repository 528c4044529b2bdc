#!/usr/bin/env python3
"""Runs the scripts under tests/ whose expectations stand beside the lines that print them.

    print(1 + 2)                     --> 3
    print("a\\nb")                    --> a
                                     --> b
    print(os.time())                 --> ~ \\d+
    io.stderr:write("note\\n")        --> stderr: note
    local x = nil; x()               --> error: attempt to call a nil value (local 'x')

The rule: all `-->` marks, read from top to bottom, are the lines of standard output, in the order of printing: not one more,
not one less. A loop that prints lists its lines below itself.
  `--> ~ pattern`                a regular expression for the whole line
  `--> stderr: text`             the next line of standard error (`~ pattern` may follow)
  `--> error: text`              the script ends here with this error: first line of standard error is
                                 `program: file:LINE: text`, LINE being the line of the mark; exit status 1
  `--> error at 3: text`         the same, raised at line 3
  `--> error without position: text`
Header lines (comments in front of the first statement) may say
  `-- options: -W`               options of the interpreter    `-- arguments: a b`   arguments of the script
  `-- input: text`               a line of standard input      `-- exit: 3`          the exit status
  `-- differs: reason`           lua5.4 does something else here: the oracle run skips it; DIFFERENCES.md must name the file
  `-- baton only`                about something Lua does not have; the oracle run skips it
  `-- heavy`                     too much for the stress build, which collects and moves stacks all the time (--without-heavy)
A script runs in its own folder, with nothing but its file name as script name.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys

MARK = re.compile(r"(?:^|\s)-->(?: (.*))?$")
ERROR = re.compile(r"error(?: at (\d+)| (without position))?: (.*)$")
HEADER = re.compile(r"-- (options|arguments|input|exit|differs): (.*)$")
TIMEOUT_S = 60


class Expectation:
    """What one script must do, read from its text."""

    def __init__(self, path):
        self.path = path
        self.out, self.err = [], []  # (line number, text)
        self.error = None  # (line number of the mark, position text, message)
        self.header = {"options": [], "arguments": [], "input": [], "exit": [], "differs": []}
        self.baton_only = False
        self.heavy = False
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        in_header = True
        for number, line in enumerate(text.split("\n"), 1):
            line = line.rstrip("\r")
            if in_header and line.strip() and not line.startswith(("--", "#")):
                in_header = False
            if in_header:
                if line.strip() == "-- baton only":
                    self.baton_only = True
                if line.strip() == "-- heavy":
                    self.heavy = True
                match = HEADER.match(line)
                if match:
                    self.header[match.group(1)].append(match.group(2))
                    continue
            match = MARK.search(line)
            if match:
                self.add(number, (match.group(1) or "").rstrip())

    def add(self, number, text):
        match = ERROR.match(text)
        if match:
            where = "" if match.group(2) else f"{self.path.name}:{match.group(1) or number}: "
            self.error = (number, where + match.group(3))
        elif text.startswith("stderr: "):
            self.err.append((number, text[len("stderr: "):]))
        else:
            self.out.append((number, text))

    def empty(self):
        return not (self.out or self.err or self.error or self.header["exit"])

    def exit_status(self):
        if self.header["exit"]:
            return int(self.header["exit"][0])
        return 1 if self.error else 0


def matches(expected, got):
    if expected.startswith("~ "):
        return re.fullmatch(expected[2:].strip(), got) is not None
    return expected.rstrip() == got.rstrip()


def compare(stream, expected, got, problems, path):
    for index in range(max(len(expected), len(got))):
        if index >= len(expected):
            problems.append(f"{path}: more on {stream} than expected, first: {got[index]!r}")
            return
        number, text = expected[index]
        if index >= len(got):
            problems.append(f"{path}:{number}: expected on {stream}: {text!r}, got nothing more")
            return
        if not matches(text, got[index]):
            problems.append(f"{path}:{number}: expected on {stream}: {text!r}\n    got: {got[index]!r}")
            return  # what follows is mostly the same failure, shifted


def lines_of(data):
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return lines


def run(expectation, interpreter):
    """The list of problems with one script; empty when it did what it says."""
    path, header = expectation.path, expectation.header
    if expectation.empty():
        return [f"{path}: says nothing about what it prints"]
    command = [*interpreter, *(o for text in header["options"] for o in shlex.split(text)), path.name,
               *(a for text in header["arguments"] for a in shlex.split(text))]
    given = "".join(line + "\n" for line in header["input"]).encode()
    try:
        done = subprocess.run(command, cwd=path.parent, input=given, capture_output=True, timeout=TIMEOUT_S * SLOWNESS)
    except subprocess.TimeoutExpired:
        return [f"{path}: still running after {TIMEOUT_S * SLOWNESS} s"]
    except OSError as error:
        return [f"{path}: {error}"]
    problems = []
    out, err = lines_of(done.stdout), lines_of(done.stderr)
    compare("stdout", expectation.out, out, problems, path)
    if expectation.error:
        number, text = expectation.error
        notes, err = err[:len(expectation.err)], err[len(expectation.err):]
        compare("stderr", expectation.err, notes, problems, path)
        got = err[0].partition(": ")[2] if err else "(nothing)"
        if not matches(text, got):
            problems.append(f"{path}:{number}: expected error: {text!r}\n    got: {got!r}")
    else:
        compare("stderr", expectation.err, err, problems, path)
    if done.returncode != expectation.exit_status():
        shown = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        problems.append(f"{path}: {shown}, expected {expectation.exit_status()}")
        if not expectation.error and not expectation.err:
            problems.extend("    " + line for line in err[:12])
    return problems


def check_list_of_differences(expectations, listing):
    """Every file marked `-- differs:` is named in DIFFERENCES.md and the other way round."""
    text = listing.read_text() if listing.exists() else ""
    named = set(re.findall(r"`([\w/]+\.script)`", text))
    marked = {f"{e.path.parent.name}/{e.path.name}" for e in expectations if e.header["differs"]}
    return ([f"{listing}: does not name {name}, which says `-- differs:`" for name in sorted(marked - named)] +
            [f"{listing}: names {name}, which does not say `-- differs:`" for name in sorted(named - marked)])


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(here.parent / "build" / "baton"), help="the program to test")
    parser.add_argument("--oracle", metavar="LUA", help="ask this Lua whether it agrees, instead of testing ours")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--slowness", type=int, default=1, help="multiplies the time limit (sanitizers)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth script (slow builds)")
    parser.add_argument("--without-heavy", action="store_true", help="skip what the stress build takes too long for")
    parser.add_argument("--differences", type=pathlib.Path, help="the list of known differences to check")
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="files or folders (default: conformance, limits, regression)")
    options = parser.parse_args()

    global SLOWNESS
    SLOWNESS = options.slowness
    roots = options.paths or [p for p in (here / "conformance", here / "limits", here / "regression") if p.exists()]
    scripts = sorted(p for r in roots for p in ([r] if r.is_file() else r.rglob("*.script")))
    scripts = scripts[::options.every]
    interpreter = [options.oracle] if options.oracle else [os.path.abspath(options.interpreter)]
    expectations = [Expectation(p.resolve()) for p in scripts]
    failures = check_list_of_differences(expectations, options.differences) if options.differences else []
    unlisted, failed, skipped = len(failures), 0, 0
    if options.oracle:
        wanted = [e for e in expectations if not e.header["differs"] and not e.baton_only]
        skipped = len(expectations) - len(wanted)
        expectations = wanted
    if options.without_heavy:
        wanted = [e for e in expectations if not e.heavy]
        skipped += len(expectations) - len(wanted)
        expectations = wanted
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for problems in pool.map(lambda e: run(e, interpreter), expectations):
            failures.extend(problems)
            failed += bool(problems)
    base = str(here) + os.sep
    for line in failures:
        print(line.replace(base, "").encode("utf-8", "backslashreplace").decode())
    print(f"{len(expectations) - failed} passed, {failed + unlisted} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or unlisted or not expectations else 0


SLOWNESS = 1

if __name__ == "__main__":
    sys.exit(main())
