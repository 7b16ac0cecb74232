#!/usr/bin/env python3.13
"""Writes the golden vectors: what CPython 3.13's own http.client answers.

    python3.13 tests/parity/generate.py          writes tests/parity/vectors/*.jsonl
    python3.13 tests/parity/generate.py --check  says whether they are what CPython answers today

Only the standard library is used; no socket is opened; the same CPython gives the same
files, byte by byte. Each line of a file is a vector as JSON.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from gen.connections import connections  # noqa: E402
from gen.messages import misc  # noqa: E402
from gen.requests import requests  # noqa: E402
from gen.responses import responses  # noqa: E402


def line(vector):
    return json.dumps(vector, ensure_ascii=True, separators=(",", ":"))


def text(vectors):
    """A line for each vector; the answers to a base that is cut off follow it, a line each."""
    lines = []
    for vector in vectors:
        cut = vector.pop("cut", [])
        lines += [line(vector), *map(line, cut)]
    return "\n".join(lines) + "\n"


def files():
    every = {**responses(), **requests(), **connections(), **misc()}
    seen = set()
    for name, vectors in every.items():
        for vector in vectors:
            if vector["id"] in seen:
                raise SystemExit(f"Two vectors are called {vector['id']}")
            seen.add(vector["id"])
        yield f"{name}.jsonl", text(vectors)


def unlisted():
    """The tests of CPython's test_httplib.py that README.md does not name, where they are installed."""
    path = pathlib.Path(json.__file__).parents[1] / "test" / "test_httplib.py"
    if not path.exists():
        return []
    names = re.findall(r"^    def (test\w+)", path.read_text("utf-8"), re.MULTILINE)
    readme = (HERE / "README.md").read_text("utf-8")
    return sorted({name for name in names if f".{name}`" not in readme})


def main(arguments):
    if sys.version_info[:2] != (3, 13):
        print("The vectors are those of CPython 3.13; this is", sys.version.split()[0])
        return 2
    version = ".".join(map(str, sys.version_info[:3]))
    folder = HERE / "vectors"
    folder.mkdir(exist_ok=True)
    # A later 3.13.x may answer otherwise: the version tells whose answers these are.
    recorded = folder / "CPYTHON"
    if "--check" in arguments and recorded.exists() and recorded.read_text("ascii") != version + "\n":
        print("The vectors are those of CPython", recorded.read_text("ascii").strip(), "- this is", version)
    if "--check" not in arguments:
        recorded.write_text(version + "\n", "ascii")
    wrong = []
    for name, content in files():
        path = folder / name
        if "--check" in arguments:
            if not path.exists() or path.read_text("ascii") != content:
                wrong.append(name)
        else:
            path.write_text(content, "ascii")
            print(f"{name}: {content.count(chr(10))} lines, {len(content)} bytes")
    missing = unlisted() if "--check" in arguments else []
    if missing:
        print("README.md does not name these tests of test_httplib.py:", ", ".join(missing))
    if wrong:
        print("Not what CPython answers today:", ", ".join(wrong))
    if wrong or missing:
        return 1
    if "--check" in arguments:
        print("All vectors are what CPython", version, "answers")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
