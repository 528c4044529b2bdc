#!/usr/bin/env python3
"""What the guides say about others is true, and the Korean versions say what the English ones say.

  - In stdlib/guides/differences_from_lua.md `-- lua5.4: text` stands below a line that prints something else, or the same, in
    lua5.4. All such comments of a block, from top to bottom, are what lua5.4 prints for it (`...` stands for any text).
    Skipped where there is no lua5.4.
  - With --peers: the Python and JavaScript in the guides print what the `#>` and `//>` marks say. Not part of the tests, since it needs
    python3 (3.11) and node.
  - A Korean version has the headings (by level), tables (by rows), commands, code (but for comments) and names in `code` of its original.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
GUIDE = ROOT / "stdlib" / "guides" / "differences_from_lua.md"
TRANSLATED = [(f"{name}.md", f"{name}.ko.md") for name in (
    "README", "scripts/README", "stdlib/guides/the_lock_explained", "stdlib/guides/coming_from_python", "stdlib/guides/coming_from_node",
    "stdlib/guides/differences_from_lua")]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check_marks(lua):
    """Problems with what the guide says about lua5.4, and how many blocks say something."""
    problems, blocks = [], 0
    for words, body in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        expected = re.findall(r"^-- lua5\.4: (.*)$", body, re.MULTILINE)
        if not words.startswith("lua") or not expected:
            continue
        blocks += 1
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "example.script").write_text(body, encoding="utf-8")
            done = subprocess.run([lua, "example.script"], cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=60)
        pattern = "".join(".*".join(map(re.escape, line.split("..."))) + "\n" for line in expected)
        if done.returncode != 0 or not re.fullmatch(pattern, done.stdout):
            problems.append(f"{GUIDE.name}: lua5.4 says otherwise about\n{body}it prints\n{done.stdout}{done.stderr}")
    return problems, blocks


def check_peers():
    """Problems with the Python and JavaScript of the guides."""
    problems, blocks = [], 0
    for guide in sorted(GUIDE.parent.glob("*.md")):
        for words, body in FENCE.findall(guide.read_text(encoding="utf-8")):
            program, mark, suffix = {"python": ("python3", "#> ?", "py"), "js": ("node", "//> ?", "mjs")}.get(words, (None,) * 3)
            if not program:
                continue
            blocks += 1
            expected = "".join(line + "\n" for line in re.findall(mark + "(.*)$", body, re.MULTILINE))
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder) / f"example.{suffix}"
                file.write_text(body, encoding="utf-8")
                done = subprocess.run([program, str(file)], cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=60)
            if done.returncode != 0 or done.stdout != expected:
                problems.append(f"{guide.name}: {program} says otherwise about\n{body}it prints\n{done.stdout}{done.stderr}")
    return problems, blocks


def code_of(words, body):
    """A block without what is for readers: comments and drawings may be translated, `-->` marks not."""
    kind = (words.split() or [""])[0]
    if kind == "text" and not body.startswith("$ "):
        return [len(body.splitlines())]
    comment = {"lua": r"--(?!>).*", "sh": r"#.*", "cpp": r"//.*", "python": r"#(?!>).*", "js": r"//(?!>).*"}.get(kind, r"\A\Z")
    return [re.sub(comment, "", line).rstrip() for line in body.splitlines() if re.sub(comment, "", line).strip()]


def shape_of(path):
    """What both versions of a document have in common, as named lists."""
    text = path.read_text(encoding="utf-8")
    prose = FENCE.sub("", text)
    return {
        "headings": [len(mark) for mark in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "rows of tables": [line.count("|") for line in prose.splitlines() if line.startswith("|")],
        "links": sorted(re.sub(r"\.ko\.md|\.md|#.*", "", target) for target in re.findall(r"\]\(([^)]+)\)", prose)
                        if not re.match(r"README|the_lock|coming_from|differences_from", target.rpartition("/")[2])),
        "names in `code`": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
        "code": [code_of(words, body) for words, body in FENCE.findall(text)],
    }


def check_translation(original, translation):
    problems, ours, theirs = [], shape_of(ROOT / original), shape_of(ROOT / translation)
    for what, expected in ours.items():
        if theirs[what] != expected:
            missing = [x for x in expected if x not in theirs[what]]
            surplus = [x for x in theirs[what] if x not in expected]
            problems.append(f"{translation}: other {what} than in {original}: missing {missing[:9]}, surplus {surplus[:9]}, "
                            f"{len(theirs[what])} instead of {len(expected)}")
    if len(re.findall("[가-힣]", (ROOT / translation).read_text(encoding="utf-8"))) < 1000:
        problems.append(f"{translation}: not in Korean")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="run the Python and JavaScript examples, nothing else")
    if parser.parse_args().peers:
        problems, blocks = check_peers()
        print(*problems, f"{blocks} examples run by python3 and node, {len(problems)} problems", sep="\n")
        return 1 if problems else 0
    problems, blocks, lua = [], 0, shutil.which("lua5.4")
    if lua:
        problems, blocks = check_marks(lua)
        if blocks == 0:
            problems.append(f"{GUIDE.name}: says nothing about lua5.4")
    for original, translation in TRANSLATED:
        problems += check_translation(original, translation)
    for problem in problems:
        print(problem)
    print(f"{blocks} examples held against lua5.4, {len(TRANSLATED)} translations; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
