#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""No option is read from the file and then forgotten: each one is used by the code outside of the parser, or is marked
in pooler/config/params_table.c as without meaning here (then a value for it is noted)."""
import os
import re
import sys

import options_documented as options

# Files of the configuration that only parse, check and print.
PARSER = {"params_table.c", "params_table.h", "load.c", "lines.c", "databases.c", "validate.c", "snapshot.h"}
# Offered by the program's own code under another name.
THROUGH_FUNCTION = {"dbname": "config_server_dbname"}


def sources():
    for folder, _, names in os.walk(os.path.join(options.ROOT, "pooler")):
        for name in names:
            if not name.endswith((".c", ".h")) or (folder.endswith("config") and name in PARSER):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                # What only compares two lines uses neither of them.
                yield folder, re.sub(r"^bool config_database_needs_reconnect.*?^}", "", f.read(), flags=re.S | re.M)


def is_used(name, texts):
    function = THROUGH_FUNCTION.get(name)
    member = re.compile(r"(?:->|\.)%s\b(?!\s*=[^=])" % name)
    return any(member.search(t) or (function and not folder.endswith("config") and function + "(" in t)
               for folder, t in texts)


def main():
    rows, texts = options.read_rows(), list(sources())
    problems = []
    for section in rows:
        for row in rows[section]:
            if "INERT" in row.flags:
                continue
            if not is_used(row.name, texts):
                problems.append(f"{options.TABLE}: nothing uses {row.name} ({section}): build it, or mark it INERT")
    for problem in problems:
        print(problem)
    if not problems:
        print("every option is used or noted")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
