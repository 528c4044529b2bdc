#!/usr/bin/env python3
"""Uses the prompt as a person does, in a real terminal (tmux): types, completes, interrupts, resizes, pastes; looks at the screen."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60  # for the screen to show what is expected; nothing depends on how long it takes


class Terminal:
    """One program in one window of a tmux server of its own."""

    def __init__(self, command, folder, width=80, height=24, env=()):
        self.socket = os.path.join(folder, "tmux")
        settings = " ".join(f"{name}='{value}'" for name, value in {"BATON_HISTORY": os.path.join(folder, "history"), **dict(env)}.items())
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-c", folder, f"env {settings} {command}; echo ENDED $?; sleep 600")

    def tmux(self, *words, check=True):
        return subprocess.run(["tmux", "-S", self.socket, *words], check=check, capture_output=True, text=True).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def key(self, *names):
        self.tmux("send-keys", *names)

    def line(self, text):
        self.type(text)
        self.key("Enter")

    def paste(self, text):
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, colours=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else [])).rstrip()

    def expect(self, text, times=1, colours=False):
        """Waits until the screen shows a text so often."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            shown = self.screen(colours)
            if shown.count(text) >= times:
                return shown
            time.sleep(0.05)
        raise AssertionError(f"the screen does not show {text!r} {times} times:\n{self.screen(colours)}")

    def close(self):
        self.tmux("kill-server", check=False)


TESTS = []


def test(function):
    TESTS.append(function)
    return function


@test
def expressions_statements_and_the_last_result(t):
    t.line("1 + 1")
    t.expect("> 1 + 1\n2")
    t.line("_ * 21")
    t.expect("> _ * 21\n42")
    t.line("x = 7")
    t.line("x")
    t.expect("> x\n7")
    t.line("=x + 1")
    t.expect("\n8")
    t.line("{1, 2, {a = {b = {c = {}}}}}")
    t.expect("{1, 2, {a = {b = {...}}}}")


@test
def statements_over_several_lines(t):
    t.line("for i = 1, 2 do")
    t.line("print(i * 100)")
    t.line("end")
    t.expect("> for i = 1, 2 do\n>>   print(i * 100)\n>> end\n100\n200")
    t.line("t = {")
    t.key("C-c")
    t.line("5 + 5")
    t.expect("> 5 + 5\n10")


@test
def completion(t):
    t.type("string.form")
    t.key("Tab")
    t.type("('%d', 5)")
    t.key("Enter")
    t.expect('> string.format(\'%d\', 5)\n"5"')
    t.type("string.re")
    t.key("Tab")
    t.key("Tab")
    t.expect("rep      reverse")
    t.key("C-c")
    t.type('a = require "asy')
    t.key("Tab")
    t.type('"')
    t.key("Enter")
    t.line("type(a.spawn)")
    t.expect('> a = require "async"')
    t.expect('"function"')
    t.line("s = 'text'")
    t.type("s:upp")
    t.key("Tab")
    t.type("()")
    t.key("Enter")
    t.expect('> s:upper()\n"TEXT"')
    t.type("string.rep(")
    t.expect("string.rep(  string.rep(s")


@test
def interrupting(t):
    t.line("while true do end")
    time.sleep(0.3)
    t.key("C-c")
    t.expect("interrupted!")
    t.line('require"async".sleep(600)')
    time.sleep(0.3)
    t.key("C-c")
    t.expect("interrupted!", 2)
    t.line("while true do pcall(function() while true do end end) if done then break end done = true end")
    time.sleep(0.3)
    t.key("C-c")
    time.sleep(0.3)
    t.key("C-c")
    t.line("'still ' .. 'here'")
    t.expect('"still here"')


@test
def tasks_and_threads_go_on_while_typing(t):
    t.line('async, thread, time = require "async", require "thread", require "time"')
    t.line('n = 0; task = async.spawn({name = "bg"}, function() while true do async.sleep(0.02) n = n + 1 end end)')
    t.type("typing")
    time.sleep(0.5)
    t.key("C-u")
    t.line("n > 3")
    t.expect("true")
    t.line(".tasks")
    t.expect("#2  bg  waiting")
    t.line('th = thread.spawn(function() time.sleep(0.3) print("from the thread") end)')
    t.type("half a li")
    t.expect("from the thread\n> half a li")
    t.type("ne")
    t.expect("> half a line")
    t.key("C-c")
    t.line("a = async.spawn(function() error 'lost' end)")
    t.line("collectgarbage()")
    t.line("a:result()")
    t.expect("lost")


@test
def errors_are_explained(t):
    t.line("prnt(1)")
    t.expect("stdin:1: attempt to call a nil value (global 'prnt')\n 1 | prnt(1)\n   | ^~~~\n   = did you mean 'print'?")
    t.line("x += 1")
    t.expect("write x = x + ...")
    t.line("string = nil")
    t.line("print(1 + 1)")
    t.expect("> print(1 + 1)\n2")


@test
def history_and_its_search(t):
    t.line("first = 1")
    t.line("second = 2")
    t.key("Up")
    t.expect("> second = 2\n> second = 2")
    t.key("Up")
    t.expect("> second = 2\n> first = 1")
    t.key("Down")
    t.key("Down")
    t.key("C-r")
    t.type("fir")
    t.expect("(search: fir) first = 1")
    t.key("Enter")
    t.line(".quit")
    t.expect("ENDED 0")
    assert "second = 2\nfirst = 1\n" in (pathlib.Path(t.folder) / "history").read_text()


@test
def editing_keys(t):
    t.type("world")
    t.key("C-a")
    t.type("'hello ")
    t.key("C-e")
    t.type("'!")
    t.key("BSpace")
    t.key("Enter")
    t.expect('"hello world"')
    t.type("12345")
    t.key("Left", "Left", "C-k")
    t.key("Enter")
    t.expect("> 123\n123")
    t.type("가나다")
    t.key("Left", "Left", "BSpace")
    t.key("C-a")
    t.type("'")
    t.key("C-e")
    t.type("'")
    t.key("Enter")
    t.expect("> '나다'\n\"나다\"")
    t.key("C-d")
    t.expect("ENDED 0")


@test
def pasting(t):
    t.paste("for i = 1, 2 do\n\tif i > 1 then\n\t\tprint('pasted', i)\n\tend\nend")
    t.expect(">> end")
    t.key("Enter")
    t.expect("pasted\t2".expandtabs(8))


@test
def resizing(t):
    t.type("'" + "0123456789" * 9 + "'")
    t.expect("0123456\n7890123456789'")
    t.resize(40, 24)
    t.type("x")
    t.expect("\n7890123456789'x")
    t.resize(100, 30)
    t.key("BSpace")
    t.key("Enter")
    t.expect('"' + "0123456789" * 9 + '"')
    t.line("#_")
    t.expect("90")


@test
def suspending(t):
    t.line(t.program)
    t.expect("leaves it\n>")
    t.type("1 + 20")
    t.key("C-z")
    t.expect("Stopped")
    t.line("echo back in the $((1)) shell")
    t.expect("back in the 1 shell\n")
    t.line("fg")
    t.expect("> 1 + 20", times=2)
    t.line(" * 2")
    t.expect("> 1 + 20 * 2\n41")


suspending.program = "sh -i"
suspending.begins = "ready:"
suspending.env = {"PS1": "ready: "}


@test
def commands(t):
    t.line(".doc string.rep")
    t.expect("copies of s")
    t.line(".time 1 + 1")
    t.expect("s of CPU")
    t.line(".threads")
    t.expect("#1  main")
    t.line(".gil")
    t.expect("switches")
    t.line("v = 99")
    t.line(".save saved.script")
    t.expect("statements written to saved.script")
    t.line("v = 1")
    t.line(".load saved.script")
    t.line("v")
    t.expect("> v\n99")
    t.line(".hlep")
    t.expect("did you mean .help?")


@test
def colours(t):
    t.type("local x = 'text' -- note")
    shown = t.expect("note", colours=True)
    assert "\033[35mlocal" in shown and "\033[32m'text'" in shown, repr(shown)


@test
def no_colours_on_request(t):
    t.line("prnt('text')")
    shown = t.expect("did you mean", colours=True)
    assert "\033[" not in shown, repr(shown)


no_colours_on_request.env = {"NO_COLOR": "1"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interpreter", default=str(pathlib.Path(__file__).resolve().parent.parent / "build" / "baton"))
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    if not shutil.which("tmux"):
        print("not checked: there is no tmux")
        return 77
    failed = 0
    for function in TESTS:
        if options.only and function.__name__ not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.abspath(options.interpreter)
            t = Terminal(getattr(function, "program", program), folder, env=getattr(function, "env", {}))
            t.folder, t.program = folder, program
            try:
                t.expect(getattr(function, "begins", "leaves it\n>"))
                function(t)
            except AssertionError as error:
                failed += 1
                print(f"{function.__name__}: {error}")
            finally:
                t.close()
    print(f"{failed} of {len(TESTS)} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
