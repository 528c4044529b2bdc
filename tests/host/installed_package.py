#!/usr/bin/env python3
"""Installs the build into a temporary folder and uses it as a stranger would: pkg-config, CMake, the README's program.

usage: installed_package.py BUILD_FOLDER SOURCE_FOLDER
Also checks that the shared library shows nothing but the border's functions, with their version, and that each public header
compiles alone and includes only the standard library. 77: no compiler or pkg-config.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
# CXX may hold a launcher too, as in "ccache g++": a list of words
COMPILER = shlex.split(os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++-19") or "")
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror"]


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexit status {result.returncode}\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    return result.stdout


def only(folder, pattern):
    found = sorted(folder.rglob(pattern))
    if not found:
        sys.exit(f"{pattern} was not installed")
    return found[0]


def check_symbols(library):
    for line in run("nm", "-DC", "--defined-only", library).splitlines():
        name = line.split(maxsplit=2)[2] if line[0] != " " else line.split(maxsplit=1)[1]
        if not (re.match(r"baton::abi::\w+(\[abi:\w+\])?\(.*@@BATON_0\.1$", name) or re.match(r"BATON_0\.1", name)):
            sys.exit(f"{library.name} shows {name}")


def check_headers(include, work):
    for header in sorted((include / "baton").glob("*.hpp")):
        for target in re.findall(r'^#include [<"]([^>"]+)[>"]', header.read_text(), re.M):
            if not (target.startswith("baton/") or re.fullmatch(r"[a-z_]+", target)):
                sys.exit(f"{header.name} includes {target}")
        alone = work / "alone.cpp"
        alone.write_text(f"#include <baton/{header.name}>\n")
    run(*COMPILER, *FLAGS, "-fsyntax-only", f"-I{include}", alone)


def readme_program():
    text = (SOURCE / "README.md").read_text()
    blocks = [b for b in re.findall(r"```cpp\n(.*?)```", text, re.S) if "baton/baton.hpp" in b]
    if not blocks:
        sys.exit("README.md has no program that embeds")
    return blocks[0]


def check_example(program, script, environment):
    reply = run(program, script, "--check", env=environment)
    if not reply.startswith("HELLO\n144.0\nnot a number: x\nerror: ") or "this command always fails" not in reply:
        sys.exit(f"{program.name} answered {reply!r}")


def use_cmake(prefix, work, example, environment):
    if shutil.which("cmake") is None:
        print("cmake is not there: its half is not checked")
        return
    run("cmake", "-S", example, "-B", work / "cmake", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER[-1]}")
    run("cmake", "--build", work / "cmake")
    check_example(work / "cmake" / "line_server", example / "handler.script", environment)


def main():
    if not COMPILER or shutil.which("pkg-config") is None:
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        root = work / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
        description = only(root, "baton.pc")
        library = only(root, "libbaton.so").resolve()
        include = only(root, "baton.hpp").parent.parent
        environment = dict(os.environ, PKG_CONFIG_PATH=str(description.parent), PKG_CONFIG_SYSROOT_DIR=str(root),
                           LD_LIBRARY_PATH=str(library.parent))
        check_symbols(library)
        only(root, "library/async.lua")  # what `baton init` points to
        check_headers(include, work)
        flags = run("pkg-config", "--cflags", "--libs", "baton", env=environment).split()
        program = work / "ten_lines"
        (work / "ten_lines.cpp").write_text(readme_program())
        run(*COMPILER, *FLAGS, work / "ten_lines.cpp", *flags, "-o", program)
        print("the README's program says:", run(program, env=environment).strip())
        example = SOURCE / "tools" / "examples"
        run(*COMPILER, *FLAGS, example / "line_server.cpp", *flags, "-pthread", "-o", work / "line_server")
        check_example(work / "line_server", example / "handler.script", environment)
        use_cmake(include.parent, work, example, environment)
    print("installed, found by pkg-config and CMake, compiled, linked, run")


main()
