#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The code map of docs/architecture.md, made from what each file says about itself.

usage: codemap.py [--write]

The line of a file is the first sentence of its opening comment ("/* name.c - what it does"), else what the document
already says about it (written there by hand), else its header's.
--write puts the map into the document; without it the map is printed."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOC = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- code map: made by tests/lint/codemap.py --write -->", "<!-- end of the code map -->"
FOLDERS = ["common/base", "common/wire", "common/workload", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/pool",
           "pooler/server", "pooler/listen", "pooler/relay", "pooler/client", "pooler/capture", "pooler/metrics", "pooler/admin", "pooler/app", "pooler",
           "advisor", "advisor/source", "advisor/sql", "advisor/catalog", "advisor/candidate", "advisor/cost", "advisor/select",
           "advisor/health", "advisor/report", "advisor/command"]


def purpose(path):
    """What follows "/* name.c - " in the file, up to the end of the sentence; None if it does not say."""
    if not path.exists():
        return None
    m = re.search(r"/\*\s*" + re.escape(path.name) + r"\s+-\s+(.*?)(?:\*/|\n \*\s*\n)", path.read_text(encoding="utf-8"), re.S)
    if not m:
        return None
    words = re.sub(r"\s*\n\s*\*\s?", " ", m.group(1)).strip()
    sentence = re.split(r"(?<=[A-Za-z0-9)\"'])[.:;](?:\s|$)", words)[0]
    return sentence.strip().rstrip(".").replace("|", "\\|")


def by_hand():
    """What the document says now."""
    if not DOC.exists():
        return {}
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", DOC.read_text(encoding="utf-8"), re.M))


def header_of(path):
    """Headers that cross a folder live in include/poolwise, all others beside their .c."""
    for candidate in (path.with_suffix(".h"), ROOT / "include/poolwise" / (path.stem + ".h")):
        if candidate.exists():
            return candidate
    return path.with_suffix(".h")


def rows():
    known = by_hand()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.c")):
            name = path.relative_to(ROOT)
            header = header_of(path)
            yield name, purpose(path) or known.get(str(name)) or purpose(header)


def code_map():
    lines = ["| file | what it does |", "|---|---|"]
    lines += [f"| `{path}` | {text or ''} |" for path, text in rows()]
    return "\n".join(lines)


def main():
    if sys.argv[1:] == ["--write"]:
        doc = DOC.read_text(encoding="utf-8")
        before, rest = doc.split(BEGIN)
        _, after = rest.split(END)
        DOC.write_text(f"{before}{BEGIN}\n{code_map()}\n{END}{after}", encoding="utf-8")
    elif sys.argv[1:]:
        print(__doc__)
        sys.exit(2)
    else:
        print(code_map())


if __name__ == "__main__":
    main()
