#!/usr/bin/env python3
"""Runs host_leaks under LeakSanitizer: clean as it is, and with a deliberate leak, which must be found.

usage: leak_check.py PROGRAM
77: LeakSanitizer cannot work here (it may not look at other threads of the process).
"""
import os
import subprocess
import sys

PROGRAM = sys.argv[1]
ENVIRONMENT = dict(os.environ)
ENVIRONMENT["ASAN_OPTIONS"] = "detect_leaks=1:" + ENVIRONMENT.get("ASAN_OPTIONS", "").replace("detect_leaks=0", "detect_leaks=1")
ENVIRONMENT["LSAN_OPTIONS"] = "max_leaks=5"


def run(*arguments):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, errors="replace", env=ENVIRONMENT, timeout=280)
    if "LeakSanitizer has encountered a fatal error" in result.stderr:
        print("LeakSanitizer does not work here")
        sys.exit(77)
    return result


clean = run()
if clean.returncode != 0 or "no leaks" not in clean.stdout:
    sys.exit(f"exit status {clean.returncode}\n{clean.stdout[-1000:]}{clean.stderr[-6000:]}")
leaky = run("deliberate")
if leaky.returncode == 0 or "detected memory leaks" not in leaky.stderr:
    sys.exit(f"the deliberate leak was not found: exit status {leaky.returncode}\n{leaky.stderr[-3000:]}")
print("1,000 VMs leave nothing behind; a deliberate leak is found")
