#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How fast logs are read, beside pgBadger (Debian's package) on the same file, and whether both count the same.

    tests/perf/logs_compare.py [--size 1GB] [--form stderr --form csv --form json --form pooler] [--no-pgbadger] [--advisor build/advisor/advisor]

Prints MB/s, the largest amount of anonymous memory, and the executions of each kind as both tell them. pgBadger takes minutes for a gigabyte. Exits with 1
when the counts differ; times are only told."""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
KINDS = {"select": ("SELECT",), "insert": ("INSERT",), "update": ("UPDATE",), "delete": ("DELETE",), "tcl": ("TRANSACTION",)}


def run(args):
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, subprocess.Popen(args, stdout=out) as child:
        with open(f"/proc/{child.pid}/status", encoding="ascii") as status:
            while child.poll() is None:
                status.seek(0)
                found = re.search(r"RssAnon:\s+(\d+)", status.read())
                peak = max(peak, int(found.group(1)) if found else 0)
                time.sleep(0.01)
        seconds = time.monotonic() - start
        assert child.returncode == 0, args
        out.seek(0)
        return seconds, peak / 1024, out.read()


def pgbadger(form, path, folder):
    """Its seconds, executions and executions of each kind; those of WITH apart."""
    out = folder / "pgbadger.json"
    form_args = {"stderr": ["-f", "stderr", "-p", "%m [%p] %u@%d "], "csv": ["-f", "csv"], "json": ["-f", "jsonlog"]}[form]
    seconds, _, _ = run(["pgbadger", "-q", "-j", "2", *form_args, "-x", "json", "-o", str(out), str(path)])
    told = json.loads(out.read_text(encoding="utf-8"))
    kinds = collections.Counter()
    for days in told["per_minute_info"].values():
        for minute in (m for day in days.values() for hour in day.values() for m in hour.values()):
            for kind, value in minute.items():
                if isinstance(value, dict):
                    kinds[kind] += value.get("count", 0)
    return seconds, told["overall_stat"]["queries_number"], kinds


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--size", default="1GB")
    p.add_argument("--form", action="append", choices=["stderr", "csv", "json", "pooler"])
    p.add_argument("--no-pgbadger", action="store_true")
    p.add_argument("--advisor", default=str(HERE.parents[1] / "build/advisor/advisor"))
    o = p.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for form in o.form or ["stderr", "csv", "json"]:
            path = folder / form
            subprocess.run([str(HERE / "logs.py"), form, o.size, str(path)], check=True)
            subprocess.run(["cat", str(path)], stdout=subprocess.DEVNULL, check=True)  # both read it from memory
            size = os.path.getsize(path)
            seconds, memory, out = run([o.advisor, "collect", "--log", str(path)])
            counts = json.loads(out.split("\n", 1)[0])
            print(f"{form}: {size / 1e6:.0f} MB, {counts['statements']} executions: advisor {seconds:.2f} s, {size / 1e6 / seconds:.0f} MB/s, {memory:.0f} MB of memory")
            if o.no_pgbadger or form == "pooler":
                path.unlink()
                continue
            theirs, n, kinds = pgbadger(form, path, folder)
            print(f"    pgbadger {theirs:.1f} s, {size / 1e6 / theirs:.1f} MB/s: {theirs / seconds:.0f} times as long")
            # WITH ... SELECT is a kind of its own there.
            pairs = {kind: (kinds[kind] + (kinds["cte"] if kind == "select" else 0), sum(counts["kinds"].get(k, 0) for k in ours)) for kind, ours in KINDS.items()}
            pairs["all"] = (n, counts["statements"])
            for kind, (a, b) in pairs.items():
                print(f"    {kind}: pgbadger {a}, advisor {b}{'' if a == b else '   DIFFERENT'}")
                wrong = wrong or a != b
            path.unlink()
    sys.exit(wrong)


main()
