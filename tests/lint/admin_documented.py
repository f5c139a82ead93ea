#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Holds docs/admin.md against the rows of pooler/admin: each command, each view and each of its columns in their
order with type and meaning. `--write` makes the tables anew; without it a difference is an error."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = "pooler/admin"
DOCS = "docs/admin.md"
TYPES = {"TEXT": "text", "INT4": "int4", "INT8": "int8", "NUMERIC": "numeric", "BYTEA": "bytea"}
STRING = r'"((?:[^"\\]|\\.)*)"'


class Unreadable(Exception):
    pass


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def expand(text, macros):
    """Macros by their bodies, then neighbouring literals joined."""
    for _ in range(4):
        text = re.sub(r"\b[A-Z][A-Z_]+\b", lambda m: macros.get(m.group(0), m.group(0)), text)
    return re.sub(r'"\s*"', "", text)


def unquote(text):
    return text.replace('\\"', '"').replace("\\\\", "\\")


def read_file(name, columns, views):
    text = without_comments(read(os.path.join(SOURCES, name))).replace("\\\n", " ")
    macros = dict(re.findall(r"^#define ([A-Z][A-Z_]+) +(\S.*?) *$", text, re.M))
    for array, body in re.findall(r"static const AdminColumn (\w+)\[\] = \{(.*?)\};\n", text, re.S):
        body = expand(body, macros)
        rows = re.findall(r"\{%s, ADMIN_(\w+)(?: \| ADMIN_EXTRA)?, %s\}" % (STRING, STRING), body)
        if len(rows) != body.count("{") or not rows:
            raise Unreadable(f"{name}: {array}: {len(rows)} of {body.count('{')} columns read")
        columns[array] = [(unquote(n), TYPES[t], unquote(h)) for n, t, h in rows]
    for body in re.findall(r"const AdminView admin_view_\w+ = \{(.*?)\};\n", text, re.S):
        body = expand(body, {})
        fields = dict(re.findall(r"\.(name|help) = %s" % STRING, body))
        array = re.search(r"\.columns = (\w+)", body).group(1)
        views[fields["name"]] = (array, unquote(fields["help"]), ".limit" in body)


def read_commands():
    text = without_comments(read(SOURCES + "/admin_commands.c"))
    body = re.search(r"static const AdminCommand commands\[\] = \{(.*?)\n\};", text, re.S).group(1)
    body = re.sub(r'"\s*\n\s*"', "", body)
    rows = re.findall(r"\{%s,\s*ADMIN_ARG_(\w+),\s*(true|false),\s*\w+,\s*(NULL|%s),\s*%s\}" % (STRING, STRING, STRING), body)
    if len(rows) != len(re.findall(r"\{\"", body)) or not rows:
        raise Unreadable(f"admin_commands.c: {len(rows)} rows read")
    return [(unquote(inner) or word, "admins" if admin == "true" else "all", unquote(help_text))
            for word, _, admin, _, inner, help_text in rows]


def cell(text):
    return text.replace("|", "\\|")


def tables():
    """Marker -> table."""
    columns, views, out = {}, {}, {}
    for name in sorted(os.listdir(os.path.join(ROOT, SOURCES))):
        if name.endswith(".c"):
            read_file(name, columns, views)
    listed = set(re.findall(r"&admin_view_(\w+)", read(SOURCES + "/admin_show.c")))
    if listed != set(views):
        raise Unreadable(f"admin_show.c lists {sorted(listed ^ set(views))} differently")
    lines = ["| command | for | what it does |", "|---|---|---|"]
    lines += [f"| `{cell(usage)}` | {who} | {cell(text)} |" for usage, who, text in read_commands()]
    out["commands"] = "\n".join(lines)
    lines = ["| view | what it shows |", "|---|---|", "| `SHOW HELP` | the commands, as a notice |"]
    for name, (_, text, limited) in sorted(views.items()):
        lines.append(f"| `SHOW {name.upper()}{' [n]' if limited else ''}` | {cell(text)} |")
    out["views"] = "\n".join(lines)
    for name, (array, _, _) in sorted(views.items()):
        lines = ["| column | type | meaning |", "|---|---|---|"]
        lines += [f"| {n} | {t} | {cell(h)} |" for n, t, h in columns[array]]
        out[f"SHOW {name.upper()}"] = "\n".join(lines)
    return out


def replace(text, wanted, problems):
    """Fills each <!-- table: NAME --> ... <!-- end -->; a name that is missing or unknown is a problem."""
    seen = []

    def fill(m):
        names = [n.strip() for n in m.group(1).split(",")]
        seen.extend(names)
        unknown = [n for n in names if n not in wanted]
        if unknown:
            problems.append(f"{DOCS}: no such view: {', '.join(unknown)}")
            return m.group(0)
        if len({wanted[n] for n in names}) > 1:
            problems.append(f"{DOCS}: {m.group(1)} do not have the same columns")
        return f"<!-- table: {m.group(1)} -->\n{wanted[names[0]]}\n<!-- end -->"
    text = re.sub(r"<!-- table: (.*?) -->\n.*?<!-- end -->", fill, text, flags=re.S)
    problems.extend(f"{DOCS}: no table for {n}" for n in wanted if n not in seen)
    problems.extend(f"{DOCS}: two tables for {n}" for n in set(seen) if seen.count(n) > 1)
    return text


def main():
    problems = []
    before = read(DOCS)
    after = replace(before, tables(), problems)
    if "--write" in sys.argv[1:]:
        with open(os.path.join(ROOT, DOCS), "w", encoding="utf-8") as f:
            f.write(after)
    elif after != before:
        for a, b in zip(before.split("\n"), after.split("\n")):
            if a != b:
                problems.append(f"{DOCS} differs from the rows (tests/lint/admin_documented.py --write):\n  is     {a}\n  wanted {b}")
                break
        else:
            problems.append(f"{DOCS} differs from the rows in length (tests/lint/admin_documented.py --write)")
    for p in problems:
        print(p, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
