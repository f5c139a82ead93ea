#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The rows of mutants.toml: what each one changes, which test must notice, and the table that docs/testing.md shows.

usage: rows.py --write     puts the table into docs/testing.md; the dates of rows that did not change stay"""
import json
import pathlib
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = "tests/mutants/mutants.toml"
DOC = "docs/testing.md"
BEGIN, END = "<!-- mutants: made by tests/mutants/rows.py --write -->", "<!-- end of the mutants -->"
NEVER = "never"
KEYS = {"feature", "file", "old", "new", "test"}


class BadRows(Exception):
    pass


@dataclass(frozen=True)
class Row:
    name: str
    feature: str
    file: str
    old: str
    new: str
    test: str  # a pytest node id below tests/, or UNIT::FUNCTION with the name that meson knows the program by

    @property
    def is_unit(self):
        return not self.test.startswith("tests/")

    @property
    def unit(self):
        return self.test.split("::")[0]

    @property
    def function(self):
        """The cmocka test within the program; empty: the program as a whole."""
        return self.test.partition("::")[2]

    def problem(self, root=ROOT):
        """Why this row cannot be applied, or None."""
        path = root / self.file
        if not path.is_file():
            return f"there is no {self.file}"
        times = path.read_text(encoding="utf-8").count(self.old)
        if times != 1:
            return f"its text occurs {times} times in {self.file}"
        if self.old == self.new:
            return "it changes nothing"
        return None


def load(root=ROOT):
    with open(root / TABLE, "rb") as f:
        tables = tomllib.load(f)
    for name, table in tables.items():
        if set(table) != KEYS or not all(isinstance(v, str) for v in table.values()):
            raise BadRows(f"{TABLE}: [{name}] must have the texts {', '.join(sorted(KEYS))}")
    return [Row(name=name, **table) for name, table in tables.items()]


# ---- which tests there are ----

def meson_tests(build):
    """Name -> (command, sources) of the tests that this build knows."""
    def ask(what):
        out = subprocess.run(["meson", "introspect", f"--{what}", str(build)], check=True, capture_output=True, text=True)
        return json.loads(out.stdout)
    sources = {}
    for target in ask("targets"):
        for name in target["filename"]:
            sources[name] = [s for group in target["target_sources"] for s in group.get("sources", [])]
    return {t["name"]: (t["cmd"], sources.get(t["cmd"][0], [])) for t in ask("tests")}


def pytest_nodes(root, files):
    """The node ids of these files."""
    if not files:
        return set()
    out = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *sorted(files)],
                         cwd=root, capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise BadRows(f"pytest cannot collect {' '.join(sorted(files))}:\n{out.stdout[-2000:]}{out.stderr[-2000:]}")
    return {line for line in out.stdout.splitlines() if "::" in line}


def missing_tests(rows, root, build):
    """Tells each row whose test is not there."""
    units = meson_tests(build)
    nodes = pytest_nodes(root, {r.test.split("::")[0] for r in rows if not r.is_unit and (root / r.test.split("::")[0]).is_file()})
    for row in rows:
        if not row.is_unit:
            if row.test not in nodes:
                yield f"{row.name}: no such test: {row.test}"
        elif row.unit not in units:
            yield f"{row.name}: meson knows no test {row.unit}"
        elif row.function:
            word = re.compile(r"\b" + re.escape(row.function.removeprefix("test_")) + r"\b|\b" + re.escape(row.function) + r"\b")
            texts = [pathlib.Path(s).read_text(encoding="utf-8") for s in units[row.unit][1]]
            if not any(word.search(t) for t in texts):
                yield f"{row.name}: {row.unit} has no test {row.function}"


# ---- the table in the documentation ----

def cell(text):
    return text.replace("|", "\\|")


def line(row):
    """All of a row in the table but its date."""
    return f"| `{row.name}` | {cell(row.feature)} | `{row.file}` | `{cell(row.test.removeprefix('tests/e2e/'))}` |"


def table(rows, dates):
    """dates: line(row) -> when it was killed last."""
    return "\n".join(["| mutant | switched off | in | noticed by | last killed |", "|---|---|---|---|---|",
                      *(f"{line(r)} {dates.get(line(r), NEVER)} |" for r in rows)])


def documented(root=ROOT):
    """What is between the marks now."""
    text = (root / DOC).read_text(encoding="utf-8")
    return text.split(BEGIN)[1].split(END)[0].strip()


def documented_dates(root=ROOT):
    """A row that was changed has no date any more."""
    return dict(re.findall(r"^(\| `\w+` \|.*\|) (\S+) \|$", documented(root), re.M))


def write(rows, dates, root=ROOT):
    path = root / DOC
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(before + BEGIN + "\n" + table(rows, dates) + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write(load(), documented_dates())
