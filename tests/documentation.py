#!/usr/bin/env python3
"""Runs every example of the documentation: README.md and all other Markdown files of the tree, or the ones named.

A fenced block says behind its three backticks what it is:
  lua                a script of its own. Where it prints, `--> text` marks stand as in the conformance scripts (run_scripts.py):
                     with marks, all it prints must be marked; without, it only has to end well. `--> error: text` works too,
                     and header lines such as `-- arguments: a b`
  lua file=NAME      the same, kept under this name: later blocks of the document may run or require it
  lua continued      the block before this one stands in front of it: both are run as one script
  lua fragment       only compiled: part of something larger, or it needs the outside world
  console            `$ command` lines, run by sh with `baton` on the PATH; below each what it prints (stdout and stderr). `...`
                     within a line stands for any text, as a line of its own for any lines. `> ` continues a command
  cpp                compiled, not run: a program if it has a main, else the body of a function that gets `baton::VM& vm`
  text, sh, others   not run. Every fence must say something; use `sh` only for what installs, builds or needs a terminal
All blocks of a document run in one temporary folder, in order. Links within the tree are followed: file and heading must exist.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import types
import urllib.parse

import run_scripts

TIMEOUT_S = 60
FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})(.*)$")
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")


def blocks_of(text):
    """The fenced blocks of a document: first line of the body (from 1), words of the fence, body."""
    lines, found, number = text.split("\n"), [], 0
    while number < len(lines):
        match = FENCE.match(lines[number])
        number += 1
        if not match:
            continue
        start, body = number, []
        while number < len(lines) and not lines[number].strip().startswith(match.group(2)):
            body.append(lines[number].removeprefix(match.group(1)))
            number += 1
        number += 1
        found.append(types.SimpleNamespace(line=start + 1, words=match.group(3).split(), body="\n".join(body) + "\n"))
    return found


def without_blocks(text):
    outside, fence = [], None
    for line in text.split("\n"):
        match = FENCE.match(line)
        if fence is None and match:
            fence = match.group(2)
        elif fence is not None and line.strip().startswith(fence):
            fence = None
        elif fence is None:
            outside.append(line)
    return outside


def check_indentation(path):
    """Indented blocks would be examples that nobody runs."""
    problems, before = [], ""
    for line in without_blocks(path.read_text()):
        if line.startswith("    ") and line.strip() and before == "blank":
            problems.append(f"{path}: an indented block; fence it and say what it is: {line.strip()}")
        if line.strip():
            before = "list" if re.match(r"\s*([-*+]|\d+\.) |\s", line) else "text"
        elif before == "text":
            before = "blank"
    return problems


def anchors_of(path):
    """The names that GitHub gives to the headings of a document."""
    names, seen = set(), {}
    for line in without_blocks(path.read_text()):
        match = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if not match:
            names.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).lower()
        name = "".join("-" if c == " " else c for c in text if c.isalnum() or c in " -_")
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def check_links(path):
    problems = []
    for line in without_blocks(path.read_text()):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = urllib.parse.unquote(target).partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists():
                problems.append(f"{path}: link to {target}: there is no such file")
            elif anchor and file.suffix == ".md" and anchor not in anchors_of(file):
                problems.append(f"{path}: link to {target}: there is no such heading")
    return problems


class Document:
    """One Markdown file and the temporary folder its examples run in."""

    def __init__(self, path, folder, options):
        self.path, self.folder, self.options = path, pathlib.Path(folder).resolve(), options
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BATON_")}
        self.environment.update(NO_COLOR="1", LC_ALL="C.UTF-8", HOME=str(self.folder), TERM="dumb",
                                PATH=os.path.dirname(options.interpreter) + os.pathsep + os.environ["PATH"])
        self.before = ""  # the last script, for `continued`
        self.counts = {}
        self.fragments = []  # C++ without a main

    def check(self):
        problems = check_links(self.path) + check_indentation(self.path)
        for block in blocks_of(self.path.read_text()):
            problems += self.check_block(block)
        return problems + self.compile_fragments()

    def check_block(self, block):
        if not block.words:
            return [f"{self.path}:{block.line}: this block does not say what it is (lua, console, text ...)"]
        kind = block.words[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "lua":
            return self.check_script(block)
        if kind == "console":
            return self.check_commands(block)
        if kind == "cpp":
            if "int main" in block.body:
                return self.compile(block.body, block.line)
            self.fragments.append(block)
        return []

    def check_script(self, block):
        words, line, text = block.words[1:], block.line, block.body
        name = next((w[len("file="):] for w in words if w.startswith("file=")), "example.script")
        unknown = [w for w in words if w not in ("continued", "fragment") and not w.startswith("file=")]
        if unknown:
            return [f"{self.path}:{line}: '{unknown[0]}' is not known behind 'lua'"]
        if "continued" in words:
            line -= self.before.count("\n")
            text = self.before + text
        self.before = text
        script = self.folder / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(text)
        if "fragment" in words:
            self.counts["fragment"] = self.counts.get("fragment", 0) + 1
            return self.explain(self.run_plain(["--check", name]), script, line)
        expectation = run_scripts.Expectation(script)
        if expectation.empty():
            return self.explain(self.run_plain([name]), script, line)
        return self.explain(run_scripts.run(expectation, [self.options.interpreter]), script, line)

    def explain(self, problems, script, line):
        """Problems with a script, told with lines of the document."""
        def place(match):
            return f"{self.path}:{line - 1 + int(match.group(1))}"
        known = re.escape(str(script))
        moved = [re.sub(known + r":(\d+)", place, p).replace(str(script), f"{self.path}:{line}") for p in problems]
        return [p if str(self.path) in p else f"{self.path}:{line}: {p}" for p in moved]

    def run_plain(self, arguments):
        done = self.run([self.options.interpreter, *arguments])
        if done is None:
            return ["still running after a minute"]
        if done.returncode == 0 and not done.stderr:
            return []
        return [f"exit status {done.returncode}\n{done.stderr[-2000:]}"]

    def run(self, command, **options):
        try:
            return subprocess.run(command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, encoding="utf-8",
                                  errors="replace", timeout=TIMEOUT_S, **{"capture_output": True, **options})
        except subprocess.TimeoutExpired:
            return None

    def check_commands(self, block):
        problems, lines, number = [], block.body.rstrip("\n").split("\n"), 0
        if not lines[0].startswith("$ "):
            return [f"{self.path}:{block.line}: a console block begins with '$ command'"]
        while number < len(lines):
            command, expected, line = lines[number][2:], [], block.line + number
            number += 1
            while number < len(lines) and lines[number].startswith("> "):
                command += "\n" + lines[number][2:]
                number += 1
            while number < len(lines) and not lines[number].startswith("$ "):
                expected.append(lines[number])
                number += 1
            done = self.run(["sh", "-c", command], capture_output=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done is None:
                problems.append(f"{self.path}:{line}: still running after a minute: {command}")
            elif not re.fullmatch(pattern_of(expected), done.stdout):
                problems.append(f"{self.path}:{line}: {command}\n    printed:\n{done.stdout[-2000:]}    instead of:\n" +
                                "".join(l + "\n" for l in expected))
        return problems

    def compile_fragments(self):
        if not self.fragments:
            return []
        text = "#include <baton/baton.hpp>\n#include <cstdio>\n#include <string>\n#include <vector>\n"
        for number, block in enumerate(self.fragments):
            text += f"void example_{number}([[maybe_unused]] baton::VM& vm) {{\n#line {block.line}\n{block.body}}}\n"
        return self.compile(text, self.fragments[0].line)

    def compile(self, text, line):
        if not self.options.compiler:
            return []
        command = [*self.options.compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++",
                   f"-I{self.options.include}", "example.cpp"]
        (self.folder / "example.cpp").write_text(text)
        done = self.run(command)
        if done is None:
            return [f"{self.path}:{line}: the compiler takes more than a minute"]
        return [] if done.returncode == 0 else [f"{self.path}:{line}: {done.stderr[:3000]}"]


def pattern_of(lines):
    """A regular expression for what a command prints."""
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    return pattern


def check_document(path, options):
    with tempfile.TemporaryDirectory(prefix="baton_example_") as folder:
        document = Document(path, folder, options)
        return document.check(), document.counts


def documents_of(root):
    files = list(root.glob("*.md"))
    for folder in ("runtime", "stdlib", "scripts", "tests", "tools"):
        files += (root / folder).rglob("*.md")
    return sorted(files)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(root / "build" / "baton"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="documents (default: all of the tree)")
    options = parser.parse_args()
    options.interpreter = os.path.abspath(options.interpreter)
    options.include = root / "runtime" / "include"
    options.compiler = shlex.split(os.environ.get("CXX") or shutil.which("clang++-19") or shutil.which("g++") or "")
    paths = [p.resolve() for p in options.paths] or documents_of(root)
    failed, counts = 0, {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for problems, seen in pool.map(lambda path: check_document(path, options), paths):
            failed += bool(problems)
            for problem in problems:
                print(problem)
            for kind, count in seen.items():
                counts[kind] = counts.get(kind, 0) + count
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    print(f"{len(paths) - failed} documents passed, {failed} failed; blocks: {summary}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
