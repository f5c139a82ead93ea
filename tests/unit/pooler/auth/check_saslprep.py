#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Holds saslprep() against Python's unicodedata and stringprep: every code point of the planes that have
characters, every 251st of the others, and 20,000 random strings of what normalisation works on.
usage: check_saslprep.py PROGRAM"""
import random
import stringprep as sp
import subprocess
import sys
import unicodedata as ud

TABLE_VERSION = "14.0.0"
PROHIBITED = (sp.in_table_a1, sp.in_table_c12, sp.in_table_c21_c22, sp.in_table_c3, sp.in_table_c4, sp.in_table_c5,
              sp.in_table_c6, sp.in_table_c7, sp.in_table_c8, sp.in_table_c9)


def expected(text):
    if text.isascii():
        return text
    mapped = "".join(" " if sp.in_table_c12(c) else c for c in text if sp.in_table_c12(c) or not sp.in_table_b1(c))
    out = ud.normalize("NFKC", mapped)
    if not out or any(test(c) for c in out for test in PROHIBITED):
        return text
    if any(map(sp.in_table_d1, out)):
        if any(map(sp.in_table_d2, out)) or not (sp.in_table_d1(out[0]) and sp.in_table_d1(out[-1])):
            return text
    return out


def main():
    if ud.unidata_version != TABLE_VERSION:
        print(f"skipped: this Python has Unicode {ud.unidata_version}, the tables {TABLE_VERSION}")
        return 77
    codes = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and c != 0x0A]
    texts = [chr(c) for c in codes if c < 0x32000 or 0xE0000 <= c < 0xE0200 or c % 251 == 0]
    texts += ["\u00e9" + text + "z" for text in texts[::7]]
    rng = random.Random(4013)
    alphabet = [chr(c) for c in codes if ud.combining(chr(c)) or ud.decomposition(chr(c))
                or 0x1100 <= c < 0x1200 or 0xAC00 <= c < 0xAC40 or sp.in_table_b1(chr(c))]
    bases = "aeiouqAEIOUn\u0915\u05d0\u0627\u1100\u1161\u11a8 "
    for _ in range(20000):
        texts.append("".join(rng.choice(alphabet if rng.random() < 0.6 else bases) for _ in range(rng.randint(1, 9))))
    lines = "".join(text.encode().hex() + "\n" for text in texts)
    done = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True)
    got = done.stdout.split("\n")[:-1]
    assert len(got) == len(texts), (len(got), len(texts))
    wrong = [(t, g) for t, g in zip(texts, got) if expected(t).encode().hex() != g]
    for text, line in wrong[:10]:
        print(f"{text!a}: expected {expected(text)!a}, got {bytes.fromhex(line)!a}")
    changed = sum(expected(t) != t for t in texts)
    print(f"{len(texts)} strings, {changed} of them changed by SASLprep, {len(wrong)} wrong")
    return 1 if wrong or changed < 10000 else 0


sys.exit(main())
