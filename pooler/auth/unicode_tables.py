#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Writes unicode_tables.c to standard output, from Python's unicodedata and stringprep modules.

    python3 pooler/auth/unicode_tables.py > pooler/auth/unicode_tables.c

With --check FILE it compares instead: exit status 1 when FILE differs, 77 (skipped) when this Python
has another Unicode version than FILE was made from."""
import stringprep as sp
import sys
import unicodedata as ud

ALL = range(0x110000)
HANGUL = range(0xAC00, 0xAC00 + 11172)
FORBIDDEN = (sp.in_table_a1, sp.in_table_c12, sp.in_table_c21, sp.in_table_c22, sp.in_table_c3, sp.in_table_c4,
             sp.in_table_c5, sp.in_table_c6, sp.in_table_c7, sp.in_table_c8, sp.in_table_c9)
SURROGATES = range(0xD800, 0xE000)


def runs(value_of):
    """Code points with the same value other than None, as (first, last, value)."""
    out = []
    for code in ALL:
        value = value_of(code)
        if value is None:
            continue
        if out and out[-1][1] == code - 1 and out[-1][2] == value:
            out[-1][1] = code
        else:
            out.append([code, code, value])
    return out


def ranges(*tests):
    return runs(lambda code: True if any(test(chr(code)) for test in tests) else None)


def array(lines, declaration, rows, count=None):
    lines.append(f"const {declaration}[] = {{")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {row},"
    lines += [line, "};"]
    if count:
        lines.append(f"const size_t {count} = {len(rows)};")
    lines.append("")


def range_array(lines, name, *tests):
    array(lines, f"UnicodeRange unicode_{name}", [f"{{0x{a:X}, 0x{b:X}}}" for a, b, _ in ranges(*tests)],
          f"unicode_n_{name}")


def decompositions():
    pool, where, rows = [], {}, []
    for code in ALL:
        if code in HANGUL or code in SURROGATES:
            continue
        parts = tuple(map(ord, ud.normalize("NFKD", chr(code))))
        if parts == (code,):
            continue
        if parts not in where:
            where[parts] = len(pool)
            pool += parts
        rows.append((code, where[parts], len(parts)))
    assert len(pool) < 0x10000
    return pool, rows


def compositions():
    rows = []
    for code in ALL:
        text = ud.decomposition(chr(code))
        if not text or text.startswith("<") or " " not in text or code in HANGUL:
            continue
        if ud.normalize("NFC", chr(code)) != chr(code):
            continue  # one of the composition exclusions
        first, second = (int(part, 16) for part in text.split())
        rows.append((first, second, code))
    return sorted(rows)


def generate():
    pool, decomposed = decompositions()
    classes = runs(lambda code: ud.combining(chr(code)) or None)
    lines = ["/* SPDX-License-Identifier: ISC */",
             f"/* Made by unicode_tables.py: Unicode {ud.unidata_version}, RFC 3454 tables of Unicode "
             f"{ud.ucd_3_2_0.unidata_version}. Not edited by hand. */",
             '#include "pooler/auth/unicode_tables.h"', "", "/* clang-format off */", ""]
    array(lines, "uint32_t unicode_pool", [f"0x{code:X}" for code in pool])
    array(lines, "UnicodeDecomposition unicode_decompositions",
          [f"{{0x{code:X}, {at}, {n}}}" for code, at, n in decomposed], "unicode_n_decompositions")
    array(lines, "UnicodeComposition unicode_compositions",
          [f"{{0x{a:X}, 0x{b:X}, 0x{c:X}}}" for a, b, c in compositions()], "unicode_n_compositions")
    array(lines, "UnicodeClass unicode_classes", [f"{{0x{a:X}, 0x{b:X}, {ccc}}}" for a, b, ccc in classes],
          "unicode_n_classes")
    range_array(lines, "spaces", sp.in_table_c12)
    range_array(lines, "dropped", sp.in_table_b1)
    range_array(lines, "forbidden", *FORBIDDEN)
    range_array(lines, "right_to_left", sp.in_table_d1)
    range_array(lines, "left_to_right", sp.in_table_d2)
    return "\n".join(lines).rstrip("\n") + "\n"


def main():
    if sys.argv[1:2] != ["--check"]:
        sys.stdout.write(generate())
        return 0
    with open(sys.argv[2], encoding="utf-8") as file:
        there = file.read()
    if f"Unicode {ud.unidata_version}," not in there:
        print(f"skipped: this Python has Unicode {ud.unidata_version}, the table another one")
        return 77
    if there != generate():
        print(f"{sys.argv[2]} differs from what unicode_tables.py makes: run it again")
        return 1
    return 0


sys.exit(main())
