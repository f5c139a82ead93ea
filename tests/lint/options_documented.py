#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Holds docs/options.md and conf/pooler.ini against the rows of pooler/config/params_table.c, both ways:
each option is documented once with its default, scope and run-time flag, and nothing else is."""
import collections
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = "pooler/config/params_table.c"
DOCS = "docs/options.md"
CONF = "conf/pooler.ini"

# Names differ between the places where the size of a pool is set.
OTHER_NAME = {"default_pool_size": "pool_size"}
# Unset strings have no text for the file: the line shows how it is written.
CONF_SHOWS = {"conffile": "pooler.ini", "verbose": "0"}

Row = collections.namedtuple("Row", "name kind default flags words help")
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,"]+)\s*(?:,|$)')


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def literal(token, macros):
    """The text of a C string literal, a macro that stands for one, or NULL."""
    if token == "NULL":
        return None
    if token in macros:
        return macros[token]
    if not token.startswith('"'):
        raise ValueError(f"not a string: {token}")
    return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def read_rows():
    text = read(TABLE)
    macros = {}
    for name, body in re.findall(r"#define ([A-Z_]+) *\\?\n((?:[^\n]*\\\n)*[^\n]*)", text):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', body)
        if parts and "{" not in body:
            macros[name] = "".join(parts)
    rows = {"main": [], "database": [], "user": []}
    for section, array in (("main", "rows"), ("database", "database_rows"), ("user", "user_rows")):
        body = re.search(r"static const PwParamRow %s\[\] = \{\n(.*?)\n\};" % array, text, re.S).group(1)
        for line in body.split("\n"):
            line = line.strip()
            if not line:
                continue
            call = re.fullmatch(r"([A-Z_]+)\((.*)\),", line)
            if call:
                tokens = [t.strip() for t in TOKEN.findall(call.group(2))]
                rows[section].append(row_of(call.group(1), tokens, macros))
                continue
            plain = re.fullmatch(r'\{"(\w+)", PW_PARAM_(\w+), .*?, "(\d+)", \w+, .*, "(.*)"\},', line)
            if not plain:
                raise ValueError(f"{TABLE}: cannot read the row: {line}")
            rows[section].append(Row(plain.group(1), plain.group(2), plain.group(3), set(), None, plain.group(4)))
    return rows


def row_of(kind, tokens, macros):
    flags = lambda t: set(f.strip() for f in t.split("|"))
    help_text = literal(tokens[-1], macros)
    if kind in ("BOOL", "STR", "PATH", "LIST"):
        name, default, flag = tokens[0], tokens[1], tokens[2]
        return Row(name, kind, literal(default, macros), flags(flag), None, help_text)
    if kind == "INT":
        return Row(tokens[0], kind, literal(tokens[3], macros), flags(tokens[4]), None, help_text)
    if kind == "TIME":
        return Row(tokens[0], kind, literal(tokens[2], macros), flags(tokens[3]), None, help_text)
    if kind == "ENUM":
        return Row(tokens[0], kind, literal(tokens[2], macros), flags(tokens[3]), tokens[1], help_text)
    if kind == "DB_STR":
        return Row(tokens[0], kind, None, flags(tokens[2]), None, help_text)
    if kind in ("LINE_INT", "LINE_TIME"):
        return Row(tokens[1], kind, None, set(), None, help_text)
    if kind == "LINE_ENUM":
        return Row(tokens[1], kind, None, set(), tokens[2], help_text)
    raise ValueError(f"{TABLE}: unknown kind of row: {kind}")


def words():
    """The words of each enumeration."""
    result = {}
    for name, body in re.findall(r"static const PwParamWord (\w+)\[\] = \{(.*?)\};", read(TABLE), re.S):
        result[name] = re.findall(r'\{"([^"]+)"', body)
    return result


def scope(rows, name):
    """Where the option can be set, as the documentation must say it."""
    result = ["global"]
    line_name = OTHER_NAME.get(name, name)
    for section in ("database", "user"):
        if any(r.name == line_name for r in rows[section]) and line_name not in ("user",):
            result.append(section if line_name == name else f"{section} (`{line_name}`)")
    return ", ".join(result)


def default_cell(row):
    if row.default is None:
        return "unset"
    return "empty" if row.default == "" else f"`{row.default}`"


def doc_tables(text):
    """(section, cells) of every row of a table that starts with a name in backquotes."""
    section = "main"
    for line in text.split("\n"):
        if line.startswith("## "):
            section = {"## Lines of [databases]": "database", "## Lines of [users]": "user"}.get(line, "main")
        if line.startswith("| `"):
            yield section, [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]


def check_docs(rows, text):
    problems, seen = [], collections.Counter()
    by_name = {(s, r.name): r for s in rows for r in rows[s]}
    for section, cells in doc_tables(text):
        name = cells[0].strip("`")
        row = by_name.get((section, name))
        seen[(section, name)] += 1
        if row is None:
            problems.append(f"{DOCS}: {section} option `{name}` does not exist")
            continue
        wanted = {"default": (cells[1], default_cell(row))}
        if section == "main":
            wanted["scope"] = (cells[3], scope(rows, name))
            wanted["run time"] = (cells[4], "yes" if "RT" in row.flags else "no")
        if row.words:
            wanted["unit"] = (cells[2], ", ".join(words()[row.words]))
        for what, (got, want) in wanted.items():
            if got != want:
                problems.append(f"{DOCS}: `{name}`: {what} is \"{got}\", the table says \"{want}\"")
        if len(cells[-1]) < 10:
            problems.append(f"{DOCS}: `{name}` has no meaning")
    for key in by_name:
        if seen[key] != 1:
            problems.append(f"{DOCS}: {key[0]} option `{key[1]}` is described {seen[key]} times, not once")
    return problems


def check_conf(rows, text):
    problems, seen = [], collections.Counter()
    by_name = {r.name: r for r in rows["main"]}
    lines = text.split("\n")
    section = None
    for number, line in enumerate(lines, 1):
        if line.startswith("["):
            section = line.strip("[]")
        option = re.match(r";?([a-z_0-9]+) =(.*)$", line)
        if not option or section != "pgbouncer":
            continue
        name, value = option.group(1), option.group(2).strip()
        row = by_name.get(name)
        seen[name] += 1
        if row is None:
            problems.append(f"{CONF}:{number}: option {name} does not exist")
            continue
        want = CONF_SHOWS.get(name, row.default or "")
        if value != want:
            problems.append(f"{CONF}:{number}: {name} shows \"{value}\", the default is \"{want}\"")
        if not re.match(r"; \S", lines[number - 2]):
            problems.append(f"{CONF}:{number}: {name} has no explanation in the line above")
    for name in by_name:
        if seen[name] != 1:
            problems.append(f"{CONF}: {name} is there {seen[name]} times, not once")
    for section, title in (("database", "[databases]"), ("user", "[users]")):
        for row in rows[section]:
            if not re.search(r"^;.*\b%s\b" % row.name, text, re.M):
                problems.append(f"{CONF}: the key {row.name} of {title} is not mentioned")
    return problems


def check_parser(rows):
    """A parser that finds nothing would prove nothing."""
    found = {s: len(rows[s]) for s in rows}
    least = {"main": 107, "database": 22, "user": 10}
    return [f"{TABLE}: only {found[s]} rows of {s} were read" for s in rows if found[s] < least[s]]


def main():
    rows = read_rows()
    problems = check_parser(rows) + check_docs(rows, read(DOCS)) + check_conf(rows, read(CONF))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{sum(len(rows[s]) for s in rows)} options are documented")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
