#!/usr/bin/env python3
"""Checks the source tree against the design's table of layers, and each file against the style's budgets.

An error (exit status 1): an include of a layer that the includer may not use, an outside library outside its folder, a
folder's `layer_uses` in meson.build that disagrees with the table, a compiler or OS conditional outside its few homes, a file
above 800 lines, a leftover marker of unfinished work, a header without `#pragma once` or without an opening comment.
A warning (listed, no error): functions above 60 lines.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The table. `*` stands for every layer above it in this list.
LAYERS = {
    "base": [],
    "bytecode": ["base"],
    "sync": ["base"],
    "fiber": ["base"],
    "value": ["base", "bytecode"],
    "syntax": ["base"],
    "compiler": ["base", "bytecode", "value", "syntax"],
    "vm": ["base", "bytecode", "value", "sync"],
    "sched": ["base", "value", "vm", "sync", "fiber"],
    "loop": ["base", "value", "vm", "sync", "sched"],
    "host": ["*"],
}
LEVEL = {"base": 0, "bytecode": 1, "sync": 1, "fiber": 1, "value": 2, "syntax": 2, "compiler": 3, "vm": 3, "sched": 4,
         "loop": 5, "host": 6}
EVERYTHING = list(LAYERS)

STDLIB = ["base", "host", "value", "vm"]
# Script modules that need more than that; the name is the file's stem up to the first underscore.
STDLIB_MORE = {
    "coroutine": ["sched", "sync"], "thread": ["sched", "sync"], "async": ["sched", "sync"], "gil": ["sched", "sync"],
    "io": ["sched", "loop"], "os": ["sched", "loop"], "time": ["sched", "loop"], "process": ["sched", "sync", "loop"],
    "net": ["sched", "sync", "loop"], "http": ["sched", "loop"], "fs": ["sched", "sync", "loop"], "signal": ["sched", "loop"],
    "profile": ["sched", "sync"],
}
TOOLS = ["base", "host", "stdlib"]
TOOLS_MORE = {"terminal": ["sync"], "disassemble": ["compiler", "syntax", "value", "bytecode"], "fuzz": ["compiler", "syntax", "value", "bytecode"]}

# (pattern of an outside include, folders where it is at home)
OUTSIDE = [
    (re.compile(r"(thread|mutex|shared_mutex|condition_variable|semaphore|future|barrier|latch|stop_token|pthread\.h|linux/futex\.h)$"),
     ["runtime/sync", "runtime/host", "tools/examples", "tools/bench", "tests"]),  # host: it meets the host's own threads
    (re.compile(r"boost/context"), ["runtime/fiber"]),
    (re.compile(r"uv\.h$"), ["runtime/loop", "tests/host"]),
    (re.compile(r"catch2/"), ["tests"]),
    (re.compile(r"(lua|lauxlib|lualib|lua5\.4/.*)\.h(pp)?$"), ["tests/differential", "tools/bench/embed"]),
]

CONDITIONAL = re.compile(r"^\s*#\s*(if|elif|ifdef|ifndef)\b.*(__clang__|__GNUC__|__linux__|__APPLE__|_WIN32|__x86_64__|__aarch64__|__SANITIZE_|__has_feature)")
CONDITIONAL_HOMES = ["runtime/base/platform.h", "runtime/fiber/", "runtime/loop/"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")

MAX_LINES = 800
LONG_FILES = {}  # path -> limit, for a file that is one list or one loop and says so at its top
FUNCTION_BUDGET = 60


def allowed_layers(path):
    """The layers a file may include, its own among them; None: no rule for this file."""
    parts = path.parts
    if parts[0] == "runtime" and len(parts) > 2:
        layer = parts[1]
        if layer == "include":
            return []  # public headers show only themselves and std
        if layer not in LAYERS:
            return None
        uses = EVERYTHING if LAYERS[layer] == ["*"] else LAYERS[layer]
        return [*uses, layer]
    if parts[0] == "stdlib":
        stem = path.stem.split("_")[0]
        return [*STDLIB, *STDLIB_MORE.get(stem, []), "stdlib"]
    if parts[0] == "tools":
        stem = path.stem.split("_")[0]
        return [*TOOLS, *TOOLS_MORE.get(stem, [])]
    if parts[0] == "tests" and len(parts) > 2:
        if parts[1] == "unit" and parts[2] in LEVEL:
            level = LEVEL[parts[2]]
            return [name for name in EVERYTHING if LEVEL[name] <= level]
        if parts[1] in ("host", "stress"):
            return []
        if parts[1] == "differential":
            return []
    return None


def check_includes(path, lines, errors):
    allowed = allowed_layers(path)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, target = match.group(1) == '"', match.group(2)
        first = target.split("/")[0]
        if quoted and allowed is not None and first in (*LAYERS, "stdlib") and "/" in target and first not in allowed:
            errors.append(f"{path}:{number}: may not include {target}")
        if quoted and first in LAYERS and not (ROOT / "runtime" / target).exists():
            errors.append(f"{path}:{number}: {target} does not exist")
        for pattern, homes in OUTSIDE:
            if pattern.match(target) and not any(str(path).startswith(home + "/") for home in homes):
                errors.append(f"{path}:{number}: <{target}> belongs to {homes[0]} only")


def check_build_files(errors):
    """The link lists of meson state the same table."""
    for layer, uses in LAYERS.items():
        file = ROOT / "runtime" / layer / "meson.build"
        if not file.exists():
            errors.append(f"runtime/{layer}/meson.build is missing")
            continue
        match = re.search(r"layer_uses = \[(.*?)\]", file.read_text(), re.S)
        stated = re.findall(r"'(\w+)'", match.group(1)) if match else []
        wanted = [name for name in EVERYTHING if name != layer] if uses == ["*"] else uses
        if sorted(stated) != sorted(wanted):
            errors.append(f"runtime/{layer}/meson.build links {stated}, the table says {wanted}")


def without_text(source):
    """The source with comments and literals blanked out, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), source)


CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum)\b|^\s*extern\s*$")


def function_lengths(source):
    """(first line, length, name) of every function body; good enough for the style in use here."""
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), without_text(source), flags=re.M)
    found, stack, since, line = [], [], 0, 1
    for position, character in enumerate(text):
        if character == "\n":
            line += 1
        elif character in ";" and not any(kind == "function" for kind, _, _ in stack):
            since = position + 1
        elif character == "{":
            head = text[since:position]
            if any(kind == "function" for kind, _, _ in stack):
                stack.append(("block", 0, ""))
            elif "(" in head and not re.match(r"\s*(class|struct|namespace|enum|union)\b[^()]*$", head):
                name = re.search(r"([\w:~]+)\s*\(", head)
                stack.append(("function", line, name.group(1) if name else "?"))
            else:
                stack.append(("container" if CONTAINER.search(head) else "block", 0, ""))
            since = position + 1
        elif character == "}" and stack:
            kind, first, name = stack.pop()
            if kind == "function":
                found.append((first, line - first + 1, name))
            since = position + 1
    return found


def check_style(path, source, lines, errors, warnings):
    limit = LONG_FILES.get(str(path), MAX_LINES)
    if len(lines) > limit:
        errors.append(f"{path}: {len(lines)} lines, the limit is {limit}")
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            errors.append(f"{path}:{number}: a marker of unfinished work")
        if CONDITIONAL.match(line) and not str(path).startswith(tuple(CONDITIONAL_HOMES)) and path.parts[0] != "tests":
            errors.append(f"{path}:{number}: a compiler or OS conditional outside {', '.join(CONDITIONAL_HOMES)}")
    if path.suffix == ".h" and not path.name.endswith(".inc.h"):
        if "#pragma once" not in source:
            errors.append(f"{path}: no #pragma once")
        opening = [line for line in lines[:20] if line.startswith("//")]
        if len(opening) < 2:
            errors.append(f"{path}: does not open with what it is, its invariant, owner and threading")
    if path.suffix in (".h", ".cpp"):
        for first, length, name in function_lengths(source):
            if length > FUNCTION_BUDGET and path.parts[0] != "tests":
                warnings.append(f"{path}:{first}: {name} has {length} lines")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet", action="store_true", help="errors only")
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="only these files")
    options = parser.parse_args()
    errors, warnings = [], []
    wanted = [p.resolve() for p in options.paths]
    check_build_files(errors)
    count = 0
    for folder in ("runtime", "stdlib", "tools", "tests"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".def", ".py", ".c") or (wanted and file not in wanted):
                continue
            path = file.relative_to(ROOT)
            source = file.read_text(errors="replace")
            lines = source.splitlines()
            count += 1
            if file.suffix != ".py":
                check_includes(path, lines, errors)
            check_style(path, source, lines, errors, warnings)
    if not options.quiet:
        for warning in warnings:
            print("warning:", warning)
    for error in errors:
        print(error)
    print(f"{count} files: {len(errors)} errors, {len(warnings)} long functions")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
