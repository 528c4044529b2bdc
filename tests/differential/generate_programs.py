#!/usr/bin/env python3
"""Makes small programs that run to an end and print what they compute: every operator, table, closure, loop, call form and
error of the language, over values that are often of the wrong type. Same form of corpus as generate.py."""
import argparse
import random

ARITHMETIC = ["+", "-", "*"] * 4 + ["/", "//", "%", "^", ".."] * 2 + ["&", "|", "~", "<<", ">>"]
COMPARE = ["==", "~="] * 3 + ["<", "<=", ">", ">="]
NUMBERS = ["0", "1", "2", "3", "-1", "-7", "10", "255", "0.5", "1.5", "-2.5", "2.0", "1e15", "0x10", "1e100", "9223372036854775807",
           "math.mininteger", "(1/0)", "-(1/0)", "3.7", "100000", "-0.0", "2^53", "7", "63", "64"]
STRINGS = ["'a'", "'abc'", "''", "'10'", "'0x10'", "' 7 '", "'1e1'", "'z'", "'-3'", "'3.5'"]
OTHERS = ["nil", "true", "false", "{}", "print"]


class Program:
    def __init__(self, rng):
        self.rng = rng
        self.out = []
        self.scopes = [["G"]]
        self.functions = []
        self.counter = 0
        self.in_loop = 0
        self.depth = 0
        self.vararg = True

    def fresh(self, letter="v"):
        self.counter += 1
        return f"{letter}{self.counter}"

    def line(self, text):
        self.out.append("  " * self.depth + text)

    def variable(self):
        return self.rng.choice(self.rng.choice(self.scopes) or ["G"])

    def constant(self):
        pick = self.rng.random()
        return self.rng.choice(NUMBERS if pick < 0.85 else STRINGS if pick < 0.97 else OTHERS)

    def expression(self, depth=2):
        rng = self.rng
        pick = rng.random()
        if depth <= 0 or pick < 0.2:
            return self.variable() if rng.random() < 0.6 else self.constant()
        if pick < 0.5:
            return f"({self.expression(depth - 1)} {rng.choice(ARITHMETIC)} {self.expression(depth - 1)})"
        if pick < 0.6:
            return f"({self.expression(depth - 1)} {rng.choice(COMPARE)} {self.expression(depth - 1)})"
        if pick < 0.68:
            return f"({self.expression(depth - 1)} {rng.choice(['and', 'or'])} {self.expression(depth - 1)})"
        if pick < 0.74:
            return f"({rng.choice(['- ', '- ', '- ', 'not ', 'not ', '#', '~'])}{self.expression(depth - 1)})"
        if pick < 0.82:
            return self.table(depth - 1)
        if pick < 0.88:
            return f"T.{rng.choice('abc')}" if rng.random() < 0.6 else f"T[{self.expression(depth - 1)}]"
        if pick < 0.94 and self.functions:
            return self.call(depth - 1)
        if pick < 0.97:
            return rng.choice([f"tostring({self.variable()})", f"math.type({self.variable()})", f"select('#', {self.arguments(depth - 1)})",
                               f"tonumber({self.variable()})", f"type({self.expression(depth - 1)})", f"#{self.variable()}",
                               f"('x'):rep({rng.randint(0, 5)})", f"math.max({self.variable()}, {self.constant()})"])
        return f"(function(...) return {self.expression(depth - 1)} end)({self.arguments(1)})"

    def arguments(self, depth):
        return ", ".join(self.expression(depth) for _ in range(self.rng.randint(0, 3))) or "nil"

    def table(self, depth):
        fields = []
        for _ in range(self.rng.randint(0, 4)):
            value = self.expression(depth)
            fields.append(self.rng.choice([value, value, f"{self.rng.choice('abc')} = {value}", f"[{self.expression(0)}] = {value}"]))
        return "{" + ", ".join(fields) + "}"

    def call(self, depth):
        return f"{self.rng.choice(self.functions)}({self.arguments(depth)})"

    def block(self, statements):
        self.depth += 1
        self.scopes.append([])
        functions = len(self.functions)
        for _ in range(statements):
            self.statement()
        del self.functions[functions:]
        self.scopes.pop()
        self.depth -= 1

    def size(self):
        return self.rng.randint(1, 3) if self.depth < 3 else 1

    def statement(self):
        rng = self.rng
        pick = rng.randrange(22 if self.depth < 4 else 9)
        if pick <= 1:
            name, value = self.fresh(), self.expression(1) if rng.random() < 0.5 else self.constant()
            attribute = " <const>" if rng.random() < 0.1 else ""
            self.line(f"local {name}{attribute} = {value}")
            if not attribute:
                self.scopes[-1].append(name)
        elif pick <= 3:
            target = rng.choice([self.variable(), self.variable(), f"T.{rng.choice('abc')}", f"T[{self.expression(1)}]"])
            self.line(f"{target} = {self.expression(1) if rng.random() < 0.5 else self.constant()}")
        elif pick == 4:
            self.line(f"{self.variable()}, {self.variable()} = {self.expression(1)}, {self.expression(1)}")
        elif pick <= 7:
            if rng.random() < 0.6:
                self.line(f"show(pcall(function() return {self.arguments(2)} end))")
            else:
                self.line(f"show({self.arguments(1)})")
        elif pick == 8:
            if self.functions:
                self.line(f"show({self.call(1)})")
            else:
                self.line(f"show({self.variable()})")
        elif pick <= 11:
            self.line(f"if {self.expression()} then")
            self.block(self.size())
            if rng.random() < 0.3:
                self.line(f"elseif {self.expression()} then")
                self.block(self.size())
            if rng.random() < 0.5:
                self.line("else")
                self.block(self.size())
            self.line("end")
        elif pick <= 13:
            self.numeric_for()
        elif pick == 14:
            name, other = self.fresh("k"), self.fresh("e")
            self.line(f"for {name}, {other} in ipairs({self.table(1)}) do")
            self.loop([name, other])
        elif pick == 15:
            self.while_loop()
        elif pick <= 18:
            self.function()
        elif pick == 19:
            self.line("show(pcall(function(...)")
            self.block(self.size() + 1)
            self.line(f"return {self.arguments(1)} end, {self.arguments(1)}))")
        elif pick == 20:
            self.coroutine()
        else:
            name = self.fresh("c")
            self.line("do")
            self.depth += 1
            self.line(f"local {name} <close> = closer({rng.randint(1, 9)})")
            self.depth -= 1
            self.block(self.size())
            self.line("end")

    def loop(self, names):
        self.scopes.append(names)
        self.in_loop += 1
        self.block(self.size())
        if self.rng.random() < 0.25:
            self.line(f"  if {self.expression(1)} then break end")
        self.in_loop -= 1
        self.scopes.pop()
        self.line("end")

    def numeric_for(self):
        rng = self.rng
        name = self.fresh("i")
        start, stop, step = rng.choice([("1", "3", ""), ("3", "1", ", -1"), ("1", "2", ", 0.5"), ("1.0", "3", ""), ("0", "-1", ""), ("1", "3.9", ""),
                                        ("math.maxinteger - 1", "math.maxinteger", ""), ("1", self.constant(), ", math.maxinteger"), ("'1'", "2", "")])
        self.line(f"for {name} = {start}, {stop}{step} do")
        self.loop([name])

    def while_loop(self):
        name = self.fresh("w")
        self.line(f"local {name} = 0")
        if self.rng.random() < 0.5:
            self.line(f"while {name} < 3 do")
            self.line(f"  {name} = {name} + 1")
            self.loop([])
        else:
            self.line("repeat")
            self.line(f"  {name} = {name} + 1")
            self.block(self.size())
            self.line(f"until {name} >= 2")

    def function(self):
        name = self.fresh("f")
        parameters = [self.fresh("p") for _ in range(self.rng.randint(0, 3))]
        vararg = self.rng.random() < 0.4
        self.line(f"local function {name}({', '.join(parameters + (['...'] if vararg else []))})")
        self.scopes.append(parameters)
        in_loop, self.in_loop = self.in_loop, 0
        self.block(self.size())
        pick = self.rng.random()
        if pick < 0.5:
            self.line(f"  return {self.arguments(2)}")
        elif pick < 0.6 and self.functions:
            self.line(f"  return {self.call(1)}")
        elif vararg:
            self.line("  return ...")
        self.in_loop = in_loop
        self.scopes.pop()
        self.line("end")
        self.functions.append(name)

    def coroutine(self):
        name = self.fresh("co")
        self.line(f"local {name} = coroutine.wrap(function(...)")
        functions, self.functions = self.functions, []
        self.block(1)
        self.line(f"  show('resumed', coroutine.yield({self.arguments(1)}))")
        self.block(1)
        self.line(f"  return {self.arguments(1)} end)")
        self.functions = functions
        self.line(f"show(pcall({name}, {self.arguments(1)}))")
        self.line(f"show(pcall({name}, {self.arguments(1)}))")


def programs(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        program = Program(rng)
        for name in ("x", "y", "s"):
            program.line(f"local {name} = {program.constant()}")
            program.scopes[0].append(name)
        for _ in range(rng.randint(4, 12)):
            program.statement()
        yield "\n".join(program.out).encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=54)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--show", type=int, metavar="N", help="print program N instead")
    parser.add_argument("output", nargs="?")
    options = parser.parse_args()
    if options.show is not None:
        print(list(programs(options.seed, options.count))[options.show].decode())
        return
    with open(options.output, "wb") as out:
        for source in programs(options.seed, options.count):
            out.write(b"%d\n" % len(source) + source + b"\n")


if __name__ == "__main__":
    main()
