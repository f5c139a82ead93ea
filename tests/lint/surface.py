#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Walks what PgBouncer's users rely on (tests/lint/data/pgbouncer-surface.tsv) and finds each option, command, column, flag and
signal in the rows of the code, and the tables of docs/migrating-from-pgbouncer.md made from both. `--write` makes them anew."""
import os
import re
import sys

import admin_documented as admin
import options_documented as options

DATA = "tests/lint/data/pgbouncer-surface.tsv"
DOCS = "docs/migrating-from-pgbouncer.md"
VERDICTS = ("same", "better", "different")
KINDS = {"switch": "BOOL", "number": "INT", "time": "TIME", "text": "STR", "list": "LIST", "path": "PATH", "word": "ENUM"}
# A surface that shrinks unseen would prove nothing.
LEAST = {"option": 100, "database": 23, "user": 10, "peer": 3, "view": 21, "command": 14, "flag": 7, "signal": 6, "item": 35, "fake": 5}


def read_surface(problems):
    rows = {}
    for number, line in enumerate(options.read(DATA).split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        cells = (line.split("\t") + ["", ""])[:5]
        if cells[3] not in VERDICTS or (cells[3] != "same" and not cells[4]):
            problems.append(f"{DATA}:{number}: a verdict ({', '.join(VERDICTS)}), and a note unless it is the same")
        rows.setdefault(cells[0], []).append(cells[1:])
    for kind, least in LEAST.items():
        if len(rows.get(kind, [])) < least:
            problems.append(f"{DATA}: only {len(rows.get(kind, []))} rows of {kind}")
    return rows


def check_options(surface, ours, problems):
    by_name = {r.name: r for r in ours["main"]}
    for name, form, _, _ in surface["option"]:
        kind, _, rest = form.partition(", ")
        default, reload = re.fullmatch(r"(.*?)(, reload)?", rest).groups()
        default = {"empty": "", "unset": None}.get(default, default)
        row = by_name.get(name)
        if row is None:
            problems.append(f"option {name} does not exist")
            continue
        got = (row.kind, row.default, "RT" in row.flags)
        want = (KINDS[kind], default, reload is not None)
        if got != want:
            problems.append(f"option {name} is {got}, PgBouncer has {want}")
    order = [r.name for r in ours["main"] if r.name in {s[0] for s in surface["option"]}]
    if order != [s[0] for s in surface["option"] if s[0] in by_name]:
        problems.append("the options are not in PgBouncer's order")


def check_lines(surface, ours, problems):
    # reserve_pool is read as another name, config/lines.c
    aliases = set(re.findall(r'"(reserve_pool)"', options.read("pooler/config/lines.c") + options.read("pooler/config/databases.c")))
    for section in ("database", "user"):
        known = {r.name for r in ours[section]} | aliases
        problems.extend(f"key {s[0]} of a {section} line does not exist" for s in surface[section] if s[0] not in known)
    peers = re.search(r"static const PwParamRow peer_rows\[\] = \{\n(.*?)\n\};", options.read(options.TABLE), re.S)
    if peers:
        problems.extend(f"key {s[0]} of a peer line does not exist" for s in surface["peer"]
                        if not re.search(r'\b%s\b' % s[0], peers.group(1)))


def our_views():
    columns, views = {}, {}
    for name in sorted(os.listdir(os.path.join(options.ROOT, admin.SOURCES))):
        if name.endswith(".c"):
            admin.read_file(name, columns, views)
    return {view.upper(): [f"{n}:{t}" for n, t, _ in columns[array]] for view, (array, _, _) in views.items()}


def check_views(surface, problems):
    views = our_views()
    for name, form, _, _ in surface["view"]:
        want = form.split(" ")
        got = views.get(name)
        if got is None:
            problems.append(f"SHOW {name} does not exist")
        elif got[:len(want)] != want:
            wrong = [f"{w} is {g}" for w, g in zip(want, got + ["missing"] * len(want)) if w != g]
            problems.append(f"SHOW {name}: {wrong[0]}")
    source = "".join(options.read(f"{admin.SOURCES}/{f}") for f in
                     ("view_lists.c", "view_stats.c", "view_state.c", "view_sockets.c", "admin_process.c"))
    for kind in ("item", "fake"):
        problems.extend(f"SHOW {s[1].upper() or s[0]}: no {s[0]}" for s in surface[kind] if f'"{s[0]}"' not in source)


def check_process(surface, problems):
    words = {usage.split(" ")[0] for usage, _, _ in admin.read_commands()}
    problems.extend(f"command {s[0]} does not exist" for s in surface["command"] if s[0] not in words)
    flags = re.findall(r"^    \{'?(\w+)'?, '(\w)', \"", options.read("pooler/main.c"), re.M)
    problems.extend(f"flag {s[0]} does not exist" for s in surface["flag"] if s[0][1:] not in {f[1] for f in flags})
    signals = options.read("pooler/app/signals.c")
    problems.extend(f"signal {s[0]} has no meaning" for s in surface["signal"] if "{" + s[0] + "," not in signals)


def table(rows, head, name_of):
    lines = [f"| {head} | | |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{name_of(r)}` | {r[2]} | {admin.cell(r[3])} |" for r in rows])


def tables(surface, ours):
    extra = sorted(r.name for r in ours["main"] if "OURS" in r.flags)
    return {
        "options": table(surface["option"], "option", lambda r: r[0]),
        "database keys": table(surface["database"], "key of a line in [databases]", lambda r: r[0]),
        "user keys": table(surface["user"], "key of a line in [users]", lambda r: r[0]),
        "commands": table(surface["command"], "command", lambda r: r[0]),
        "views": table(surface["view"], "view", lambda r: "SHOW " + r[0]),
        "process": table(surface["flag"] + surface["signal"], "flag or signal", lambda r: r[0]),
        "own options": ", ".join(f"`{n}`" for n in extra) + ".",
    }


def fill(text, wanted, problems):
    seen = re.findall(r"<!-- surface: (.*?) -->", text)
    problems.extend(f"{DOCS}: no table of {n}" for n in wanted if n not in seen)
    return re.sub(r"<!-- surface: (.*?) -->\n.*?<!-- end -->",
                  lambda m: f"<!-- surface: {m.group(1)} -->\n{wanted.get(m.group(1), '?')}\n<!-- end -->", text, flags=re.S)


def main():
    problems = []
    surface, ours = read_surface(problems), options.read_rows()
    check_options(surface, ours, problems)
    check_lines(surface, ours, problems)
    check_views(surface, problems)
    check_process(surface, problems)
    before = options.read(DOCS)
    after = fill(before, tables(surface, ours), problems)
    if "--write" in sys.argv[1:]:
        with open(os.path.join(options.ROOT, DOCS), "w", encoding="utf-8") as f:
            f.write(after)
    elif after != before:
        problems.append(f"{DOCS} differs from the rows: tests/lint/surface.py --write")
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{sum(len(r) for r in surface.values())} things that PgBouncer has are here")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
