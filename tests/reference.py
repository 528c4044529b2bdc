#!/usr/bin/env python3
"""The texts of functions, and the files made from them.

  - `baton doc --check`: every function, method, class, field and module has a text, every text is about something that is there,
    parameters are needed where the text says so.
  - The names that the interface promises (NAMES below) are all documented.
  - stdlib/reference and stdlib/types are what `baton doc` makes today; the stubs compile and name every function.
  - `baton doc` and `.doc` show one and the same text, of natives, of functions written in script, of methods.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

NAMES = """
gil.{switch_interval switch stats waiters trace hold} Trace:{events close}
thread.{spawn scope current main list storage pool} Thread:{join await result status done cancel spawn} Thread.{id name}
thread.{lock rlock semaphore condition event barrier queue priority_queue atomic once acquire_all}
async.{lock rlock semaphore condition event barrier queue priority_queue atomic once acquire_all}
Lock:{acquire try_acquire release locked with} RLock:{acquire try_acquire release locked with} Semaphore:{acquire try_acquire release locked with}
Queue:{put get try_put try_get close task_done join iter} Queue.{max} Event:{set clear wait is_set}
Condition:{acquire release wait wait_for notify notify_all} Barrier:{wait} Atomic:{add get set compare_exchange}
Task:{await result cancel status done on_done traceback} Task.{name id} Future:{await result cancel status done on_done resolve reject}
async.{spawn scope sleep sleep_until checkpoint current tasks after every timeout deadline shield gather settle race any wait as_completed}
async.{map imap generator context to_thread future run storage debug loop trace wait_readable wait_writable is_cancelled is_timeout try}
Scope:{spawn cancel wait errors}
process.{run shell spawn worker pool queue shared stdin stdout stderr executable cpu_count pid env usage on}
Process:{wait kill terminate close} Process.{pid stdin stdout stderr} Worker:{send receive iter join close} Worker.{pid}
Channel:{send receive iter} Shared:{get set add read write} ProcessQueue:{put get try_put try_get close iter}
Executor:{submit map imap ready close}
time.{now monotonic cpu thread_cpu sleep measure}
fs.{read write append open stat exists dir glob mkdir remove rename copy tempdir watch} File:{read write lines chunks seek flush close} FileWatch:{next}
net.{connect listen serve udp resolve} Listener:{accept close} Listener.{port} Stream:{read read_some write lines shutdown close peer}
Udp:{bind send receive close} Server:{close wait} profile.{start} Profile:{top close}
"""


def promised():
    return [holder + sign + name for holder, sign, names in re.findall(r"(\w+)([.:])\{([^}]*)\}", NAMES) for name in names.split()]


def run(program, *arguments, **options):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, **options)


def check_texts(program):
    problems = run(program, "doc", "--check").stdout.splitlines()
    told = run(program, "doc", *promised())
    return problems + told.stderr.splitlines()


def check_files(program):
    """What is checked in is what would be written now."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for option, name in (("--markdown", "reference"), ("--types", "types")):
            made, kept = pathlib.Path(folder) / name, ROOT / "stdlib" / name
            done = run(program, "doc", f"{option}={made}")
            if done.returncode != 0:
                return [done.stderr]
            names = {p.relative_to(made) for p in made.rglob("*") if p.is_file()} | {p.relative_to(kept) for p in kept.rglob("*") if p.is_file()}
            for path in sorted(names):
                new, old = made / path, kept / path
                if not (new.exists() and old.exists() and new.read_bytes() == old.read_bytes()):
                    problems.append(f"stdlib/{name}/{path} is not what the texts say now: "
                                    "build/baton doc --markdown=stdlib/reference --types=stdlib/types")
    return problems


def check_stubs(program):
    files = sorted((ROOT / "stdlib" / "types").rglob("*.lua"))
    problems = run(program, "--check", *map(str, files)).stderr.splitlines()
    text = "\n".join(path.read_text() for path in files)
    for name in promised():
        holder, member = re.split(r"[.:]", name)
        inherits = re.search(rf"^---@class {holder}: (\w+)", text, re.MULTILINE)
        owners = [holder] + ([inherits.group(1)] if inherits else [])
        if not any(re.search(rf"^(function {o}[.:]{member}\(|{o}\.{member} = |---@field {member} )", text, re.MULTILINE) for o in owners):
            problems.append(f"stdlib/types does not name {name}")
    return problems


def check_prompt(program):
    """What the prompt shows is what the command line shows."""
    problems = []
    for name in ("string.rep", "async.gather", "async.lock", "Queue:put", "Executor:map", "Task"):
        at_prompt = run(program, "repl", input=f".doc {name}\n").stdout
        outside = run(program, "doc", name).stdout
        if len(outside) < 50 or at_prompt != outside:
            problems.append(f".doc {name} shows {at_prompt!r}, baton doc {name} {outside!r}")
    if run(program, "doc", "no.such.thing").returncode != 1:
        problems.append("baton doc of an unknown name does not fail")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreter", default=str(ROOT / "build" / "baton"))
    program = os.path.abspath(parser.parse_args().interpreter)
    problems = check_texts(program) + check_files(program) + check_stubs(program) + check_prompt(program)
    for problem in problems:
        print(problem)
    print(f"{len(promised())} promised names; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
