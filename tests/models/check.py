#!/usr/bin/env python3
"""Checks gil.pml exhaustively with SPIN: no error in the model, and each of its mutants is caught."""
import pathlib
import re
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).with_name("gil.pml")
SPIN, COMPILER = sys.argv[1], sys.argv[2]


def check(*definitions):
    """Errors and states of the model, compiled with these definitions."""
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *command: subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
        made = run(SPIN, *("-D" + d for d in definitions), "-a", str(MODEL))
        built = run(COMPILER, "-O1", "-w", "-DSAFETY", "-DVECTORSZ=512", "-DMEMLIM=1500", "-DCOLLAPSE", "-o", "pan", "pan.c")
        if built.returncode != 0:
            sys.exit(f"the model does not compile:\n{made.stdout}{made.stderr}{built.stderr}")
        text = run("./pan", "-m1000000").stdout
    found = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\S+) states, stored", text)
    if not found or "max search depth too small" in text or "out of memory" in text or "Search not completed" in text and found[1] == "0":
        sys.exit(f"the search is not complete:\n{text}")
    return int(found[1]), states[1]


failed = False
for definitions in (["N=2", "ROUNDS=2"], ["N=2", "ROUNDS=2", "SPURIOUS"], ["N=3", "ROUNDS=1"],
                    ["N=2", "ROUNDS=2", "OUTSIDE"], ["N=2", "ROUNDS=1", "OUTSIDE", "SPURIOUS"],
                    ["N=3", "ROUNDS=1", "OUTSIDE"]):
    errors, states = check(*definitions)
    print(f"{' '.join(definitions)}: {states} states, {errors} errors")
    failed = failed or errors != 0
for mutant in range(1, 11):
    size = ["N=2", "ROUNDS=1", "OUTSIDE"] if mutant in (6, 7) else ["N=3", "ROUNDS=1"] + (["OUTSIDE"] if mutant > 8 else [])
    errors, states = check(*size, f"MUTANT={mutant}")
    print(f"mutant {mutant}: {'found' if errors else 'NOT FOUND'} after {states} states")
    failed = failed or errors == 0
sys.exit(failed)
