#!/usr/bin/env python3
"""Turns a script into a C++ string literal that can be included: embed_script.py INPUT OUTPUT."""
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_text()
pieces = [text[i:i + 8000] for i in range(0, len(text), 8000)]
pathlib.Path(sys.argv[2]).write_text("\n".join('R"embedded(' + piece + ')embedded"' for piece in pieces) + "\n")
