#!/usr/bin/env python3
"""Writes a corpus of sources, good and bad, for comparing two Lua parsers: always the same for the same seed and count.

A seventh is made from the grammar and valid in most cases; the rest is that and the conformance scripts, damaged: tokens deleted,
doubled, swapped, replaced; files cut short; bytes put in; and families of their own for escapes, numerals, labels, attributes
and the limits. Form of the corpus: per source its length in bytes and a newline, the bytes, a newline.
"""
import argparse
import pathlib
import random
import re
import sys

TOKEN = re.compile(rb"""--\[\[.*?\]\]|--[^\n]*|\[(=*)\[.*?\]\1\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|0[xX][0-9a-fA-F.]+|\d[\w.]*"""
                   rb"""|[A-Za-z_]\w*|\.\.\.|\.\.|==|~=|<=|>=|<<|>>|//|::|\s+|.""", re.S)
NAMES = ["a", "b", "c", "x", "y", "t", "f", "self", "print", "_ENV", "n1", "_"]
KEYWORDS = ("and break do else elseif end false for function goto if in local nil not or repeat return then true until "
            "while").split()
BINARY = "+ - * / // % ^ .. == ~= < > <= >= and or & | ~ << >>".split()
PUNCTUATION = BINARY + "( ) [ ] { } ; , . : :: ... = # <const> <close> <foo> -> != ! @ $ ? \\ `".split()


class Grammar:
    """Random programs; `depth` bounds the nesting."""

    def __init__(self, rng):
        self.rng = rng
        self.loops = 0
        self.vararg = [True]

    def name(self):
        return self.rng.choice(NAMES)

    def literal(self):
        return self.rng.choice(["1", "2.5", "0x1F", "1e3", "'s'", '"str"', "[[long]]", "nil", "true", "false", "3", "100", "0x.8p1"])

    def expression(self, depth):
        pick = self.rng.random()
        if depth <= 0 or pick < 0.25:
            return self.literal() if self.rng.random() < 0.5 else self.name()
        if pick < 0.5:
            return f"{self.expression(depth - 1)} {self.rng.choice(BINARY)} {self.expression(depth - 1)}"
        if pick < 0.6:
            return f"{self.rng.choice(['-', 'not ', '#', '~'])}{self.expression(depth - 1)}"
        if pick < 0.68:
            return f"({self.expression(depth - 1)})"
        if pick < 0.78:
            return self.table(depth - 1)
        if pick < 0.86:
            return self.call(depth - 1)
        if pick < 0.92:
            return self.function("", depth - 1)
        if pick < 0.95 and self.vararg[-1]:
            return "..."
        return self.variable(depth - 1)

    def list_of(self, make, low, high):
        return ", ".join(make() for _ in range(self.rng.randint(low, high)))

    def table(self, depth):
        fields = []
        for _ in range(self.rng.randint(0, 3)):
            pick = self.rng.random()
            value = self.expression(depth)
            fields.append(value if pick < 0.5 else f"{self.name()} = {value}" if pick < 0.75 else f"[{self.expression(depth)}] = {value}")
        return "{" + self.rng.choice([", ", "; "]).join(fields) + self.rng.choice(["", ",", ";" if fields else ""] if fields else [""]) + "}"

    def prefix(self, depth):
        return self.name() if depth <= 0 or self.rng.random() < 0.6 else self.rng.choice(
            [lambda: f"({self.expression(depth - 1)})", lambda: self.variable(depth - 1), lambda: self.call(depth - 1)])()

    def variable(self, depth):
        pick = self.rng.random()
        if pick < 0.5 or depth <= 0:
            return self.name()
        if pick < 0.75:
            return f"{self.prefix(depth - 1)}.{self.name()}"
        return f"{self.prefix(depth - 1)}[{self.expression(depth - 1)}]"

    def call(self, depth):
        pick = self.rng.random()
        target = self.prefix(depth)
        if pick < 0.3:
            target += ":" + self.name()
        if pick > 0.9:
            return target + self.rng.choice(["'lit'", "{}", "[[l]]"])
        return f"{target}({self.list_of(lambda: self.expression(depth - 1), 0, 3)})"

    def function(self, name, depth):
        parameters = [self.name() for _ in range(self.rng.randint(0, 3))]
        vararg = self.rng.random() < 0.3
        if vararg:
            parameters.append("...")
        self.vararg.append(vararg)
        loops, self.loops = self.loops, 0
        body = self.block(depth)
        self.loops = loops
        self.vararg.pop()
        return f"function {name}({', '.join(parameters)})\n{body}end"

    def loop_body(self, depth):
        self.loops += 1
        body = self.block(depth)
        self.loops -= 1
        return body

    def statement(self, depth):
        pick = self.rng.randrange(15 if depth > 0 else 6)
        expression = lambda: self.expression(min(depth, 2))
        if pick == 0:
            attribute = self.rng.choice(["", "", "", " <const>", " <close>"])
            return f"local {self.name()}{attribute} = {expression()}"
        if pick == 1:
            return f"local {self.list_of(self.name, 1, 3)}" + self.rng.choice(["", f" = {self.list_of(expression, 1, 3)}"])
        if pick in (2, 3):
            return f"{self.list_of(lambda: self.variable(2), 1, 2)} = {self.list_of(expression, 1, 2)}"
        if pick == 4:
            return self.call(2)
        if pick == 5:
            return self.rng.choice([";", "::l%d::" % self.rng.randrange(4), "goto l%d" % self.rng.randrange(4),
                                    "break" if self.loops or self.rng.random() < 0.1 else ";"])
        if pick == 6:
            return f"do\n{self.block(depth - 1)}end"
        if pick == 7:
            return f"while {expression()} do\n{self.loop_body(depth - 1)}end"
        if pick == 8:
            return f"repeat\n{self.loop_body(depth - 1)}until {expression()}"
        if pick in (9, 10):
            text = f"if {expression()} then\n{self.block(depth - 1)}"
            if self.rng.random() < 0.4:
                text += f"elseif {expression()} then\n{self.block(depth - 1)}"
            if self.rng.random() < 0.4:
                text += f"else\n{self.block(depth - 1)}"
            return text + "end"
        if pick == 11:
            return f"for {self.name()} = {expression()}, {expression()}{self.rng.choice(['', ', 1'])} do\n{self.loop_body(depth - 1)}end"
        if pick == 12:
            return f"for {self.list_of(self.name, 1, 3)} in {self.list_of(expression, 1, 3)} do\n{self.loop_body(depth - 1)}end"
        if pick == 13:
            return self.function(self.rng.choice([self.name(), "t.a", "t.a.b:m"]), depth - 1)
        return "local " + self.function(self.name(), depth - 1)

    def block(self, depth):
        lines = [self.statement(depth) for _ in range(self.rng.randint(0, 4))]
        if self.rng.random() < 0.15:
            lines.append("return " + self.list_of(lambda: self.expression(1), 0, 2) + self.rng.choice(["", ";"]))
        return "".join(line + "\n" for line in lines)


def random_token(rng):
    return rng.choice([rng.choice(KEYWORDS), rng.choice(PUNCTUATION), rng.choice(NAMES), "1", "'s'", "0x", "1e", '"', "[[", "]]", "--[["]).encode()


def mutate(rng, source):
    tokens = [match.group(0) for match in TOKEN.finditer(source)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if not tokens:
            break
        place = rng.randrange(len(tokens))
        kind = rng.randrange(6)
        if kind == 0:
            del tokens[place]
        elif kind == 1:
            tokens.insert(place, tokens[place])
        elif kind == 2:
            other = rng.randrange(len(tokens))
            tokens[place], tokens[other] = tokens[other], tokens[place]
        elif kind == 3:
            tokens[place] = b" " + random_token(rng) + b" "
        elif kind == 4:
            tokens.insert(place, b" " + random_token(rng) + b" ")
        else:
            del tokens[place:place + rng.randint(1, 5)]
    return b"".join(tokens)


def damage_bytes(rng, source):
    data = bytearray(source)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        if rng.random() < 0.5 and data:
            data[min(place, len(data) - 1)] = rng.randrange(256)
        else:
            data[place:place] = bytes([rng.choice([0, 9, 10, 13, 26, 34, 39, 91, 92, 93, 127, 128, 255, rng.randrange(256)])])
    return bytes(data)


ESCAPES = (["\\" + c for c in "abfnrtv\\\"'z\nqcxug019 "] + ["\\x4", "\\x41", "\\xzz", "\\x", "\\u{41}", "\\u{}", "\\u{110000}", "\\u{7FFFFFFF}",
           "\\u{80000000}", "\\u{FFFFFFFFFF}", "\\u41", "\\u{4", "\\u{zz}", "\\255", "\\256", "\\300", "\\999", "\\1", "\\12", "\\0", "\\z  \n  ", "\\\r\n", "\\\n\r"])


def string_source(rng):
    quote = rng.choice("'\"")
    body = "".join(rng.choice([rng.choice(ESCAPES), "text", " ", "\u00e4", "--", "]]"]) for _ in range(rng.randint(1, 4)))
    text = "\n" * rng.randrange(3) + "x = " + quote + body + rng.choice([quote, quote, quote, "", "\n" + quote])
    if rng.random() < 0.2:
        level = "=" * rng.randrange(3)
        text = f"x = [{level}[{body}\n{rng.choice([']', ''])}{level}{rng.choice([']', ''])}"
    return (text + rng.choice(["", " y = 1", "\ny = ", "\n;"])).encode("utf-8")


def number_source(rng):
    digits = "".join(rng.choice(rng.choice(["0123456789", "0123456789", "abcdefxXpPeE.+-_uLl"])) for _ in range(rng.randint(1, 7)))
    start = rng.choice(["", "0x", "0X", "0x.", ".", "1e", "1.", "0xp", "08", "9223372036854775807", "1" * 310])
    return ("\n" * rng.randrange(3) + f"x = {start}{digits}" + rng.choice(["", "\ny = 1", " + 1", "..'s'", "\n= 2"])).encode()


def label_source(rng):
    """Labels, gotos, breaks and attributes in blocks: the rules that need no types."""
    def block(depth):
        out = []
        for _ in range(rng.randint(1, 5)):
            pick = rng.randrange(11)
            label = "l" + str(rng.randrange(2))
            if pick <= 1:
                out.append("goto " + label)
            elif pick <= 4:
                out.append("::" + label + "::")
            elif pick == 5:
                out.append("local " + rng.choice("abc") + rng.choice(["", " <const> = 1", " <close> = nil", " <const>, c <close> = 1", " <close>, b <close> = nil"]))
            elif pick == 6:
                out.append(rng.choice("abc") + " = 1")
            elif depth > 0:
                open_, close = rng.choice([("do", "end"), ("while x do", "end"), ("repeat", "until " + rng.choice("abc")), ("if x then", "end"),
                                           ("for a = 1, 2 do", "end"), ("local function f()", "end"), ("for b in c do", "end")])
                out.append(f"{open_}\n{block(depth - 1)}\n{close}")
            else:
                out.append(rng.choice([";", "break", "f()"]))
        return "\n".join(out)
    return block(2).encode()


def limit_source(rng, index):
    near = lambda limit: limit + rng.choice([-2, -1, 0, 1, 2])
    kinds = [
        lambda: "\n".join(f"local v{i}" for i in range(near(200))),
        lambda: "function f(" + ",".join(f"p{i}" for i in range(near(200))) + ") end",
        lambda: "local function f()\n" + " ".join(f"local v{i}" for i in range(near(200))) + "\nend",
        lambda: "\n".join("do" for _ in range(rng.choice([150, 190, 230, 300]))) + "\n" + "end " * 300,
        lambda: "x = " + "(" * rng.choice([100, 190, 230, 400]) + "1",
        lambda: "x = " + "{" * rng.choice([100, 190, 230, 400]),
        lambda: "x = " + "-" * 1 + " - " * rng.choice([100, 190, 230, 400]) + "1",
        lambda: "x = " + "a .. " * rng.choice([100, 190, 230, 400]) + "1",
        lambda: "x = " + "a ^ " * rng.choice([100, 190, 230, 400]) + "1",
        lambda: "f(" + ",".join("a" for _ in range(rng.choice([200, 240, 248, 256, 300]))) + ")",
        lambda: "return " + ",".join("a" for _ in range(rng.choice([200, 240, 256, 300]))),
        lambda: "x = {" + ",".join("a" for _ in range(rng.choice([50, 51, 255, 600]))) + "}",
        lambda: ",".join("a" for _ in range(rng.choice([20, 150, 260]))) + " = 1",
        lambda: "local " + ",".join(f"a{i}" for i in range(near(200))) + " = 1",
        lambda: "for " + ",".join(f"a{i}" for i in range(rng.choice([150, 195, 197, 198, 199, 205]))) + " in x do end",
        lambda: "if x then\n" * rng.choice([100, 230]) + "else\n",
        lambda: "x = " + "function() return " * rng.choice([50, 150, 230]),
        lambda: "goto l\n" * 300 + rng.choice(["", "::l::"]),
        lambda: "x = a" + ".b" * 400 + rng.choice(["", "("]),
        lambda: "if a then " + "elseif b then " * 300 + rng.choice(["end", ""]),
        lambda: "local function f()\n" * 3 + "\n".join(f"local u{i}" for i in range(190)) + "\nreturn function() return " + "+".join(f"u{i}" for i in range(190)) + " end\n" + "end\n" * 3,
    ]
    return kinds[index % len(kinds)]().encode()


def upvalue_source(rng):
    count = rng.choice([250, 254, 255, 256, 260])
    lines = []
    for i in range(count):
        if i % 100 == 0:
            lines.append(f"local function f{i}()")
        lines.append(f"local u{i}")
    lines.append("return function() return " + "\n+ ".join(f"u{i}" for i in range(count)) + "\nend")
    lines += ["end"] * ((count + 99) // 100)
    return "\n".join(lines).encode()


def corpus(seed, count, scripts):
    rng = random.Random(seed)
    seeds = [path.read_bytes() for path in scripts]
    made = []
    for index in range(count):
        kind = index % 14
        if kind in (0, 1):
            source = Grammar(rng).block(rng.randint(1, 4)).encode()
            made.append(source)
        elif kind in (2, 3, 4):
            source = mutate(rng, rng.choice(made))
        elif kind in (5, 6, 7):
            source = mutate(rng, rng.choice(seeds))
        elif kind == 8:
            base = rng.choice(rng.choice([made, seeds]))
            source = base[:rng.randrange(len(base) + 1)]
        elif kind == 9:
            source = damage_bytes(rng, rng.choice(rng.choice([made, seeds])))
        elif kind == 10:
            source = string_source(rng)
        elif kind == 11:
            source = number_source(rng)
        elif kind == 12:
            source = label_source(rng)
        else:
            source = upvalue_source(rng) if index % 140 == 13 else limit_source(rng, index // 14) if index % 28 == 13 else label_source(rng)
        yield source


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=54)
    parser.add_argument("--count", type=int, default=7000)
    parser.add_argument("--show", type=int, metavar="N", help="print source N instead")
    parser.add_argument("output", nargs="?")
    options = parser.parse_args()
    scripts = sorted((here / "seeds").glob("*.script"))
    sources = corpus(options.seed, options.count, scripts)
    if options.show is not None:
        sys.stdout.buffer.write(list(sources)[options.show])
        return
    with open(options.output, "wb") as out:
        for source in sources:
            out.write(b"%d\n" % len(source) + source + b"\n")


if __name__ == "__main__":
    main()
