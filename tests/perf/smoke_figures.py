#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Runs each figure of tests/perf/run in a tiny form, so that none can rot; what is measured is not looked at.

usage: smoke_figures.py BUILD_DIR

Where valgrind, strace or gnuplot are missing, or a sanitizer does not get on with them, the figures that need them are left out and
named. Exit status 77, a skip for meson, when there is no PostgreSQL."""
import argparse
import contextlib
import functools
import pathlib
import re
import shutil
import subprocess
import sys

import compare
import figures
import figures_many
import figures_pgbench
import figures_postgres
import figures_tls
from bench import Bench, Failed

TRACED = {"syscalls": "strace", "instructions": "valgrind", "files": "valgrind", "functions": "valgrind", "observation": "valgrind"}
COUNTED = {"idle": "heapcount.so"}  # in front of the allocator, where a sanitizer has its own


def shrink():
    compare.MODES = ("simple",)
    figures.SHORT, figures.LONG = 5, 25
    figures.HANDOVERS, figures.SATURATION, figures.BATCHED = ((2, 4, 8),), (2, 12), (2,)
    figures.instructions = once(figures.instructions)
    figures.TRACED_CLIENTS = (1,)
    figures_many.SCALE, figures_many.STORM, figures_many.STORM_SECS, figures_many.IDLE, figures_many.FIRST = (4,), 30, 0.5, 10, 2
    figures_postgres.SIZE = 10**6
    figures_tls.LOGINS, figures_tls.ROUNDS_FOR_ONE = 2, 1
    figures_pgbench.CLIENTS, figures_pgbench.MANY, figures_pgbench.SCALE, figures_pgbench.WARM_UP = (3,), (2, 12), 1, 0
    for name in list(figures_pgbench.CONTESTANTS)[:-1]:
        del figures_pgbench.CONTESTANTS[name]


def once(function):
    """Under valgrind a start takes a second: all that count instructions get the same counts."""
    cached = functools.cache(lambda bench: function(bench, clients=1, by_owner=True))
    return lambda bench, *_, **_settings: cached(bench).copy()


class OneServer(Bench):
    """Its figures share a PostgreSQL."""

    stack = shared = None

    @contextlib.contextmanager
    def postgres(self, cpus=None, **settings):
        if not self.shared:
            self.shared = self.stack.enter_context(super().postgres(None, fsync="off"))
        yield self.shared


def why_not(name, sanitized):
    if sanitized and (tool := {**TRACED, **COUNTED}.get(name)):
        return f"{tool} and a sanitizer"
    tool = TRACED.get(name)
    return f"no {tool}" if tool and not shutil.which(tool) else None


def is_filled(text):
    """A table with a line or more, and a number in each."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return len(lines) >= 3 and all(re.search(r"\d", line) for line in lines[2:]) and "nan" not in text


def try_figure(name, bench, plots):
    """On a busy machine nothing may have happened within a moment: then a longer one."""
    for secs in (0.1, 1, 10):
        try:
            text = figures.FIGURES[name][1](bench, argparse.Namespace(rounds=1, secs=secs, plots=plots))
            assert is_filled(text), f"{name}:\n{text}"
            return
        except (ZeroDivisionError, AssertionError, Failed) as why:
            print(f"{name}, {secs} s: {type(why).__name__}: {why}", flush=True)
            if secs == 10 or "apt-get install" in str(why):
                raise


def main():
    build = pathlib.Path(sys.argv[1])
    shrink()
    linked = subprocess.run(["ldd", str(build / "pooler" / "pooler")], capture_output=True, text=True, check=False).stdout
    sanitized = "libasan" in linked or "libtsan" in linked
    try:
        with contextlib.ExitStack() as stack:
            bench = stack.enter_context(OneServer(build))
            bench.stack, bench.warm_up = stack, 0.02
            plots = bench.dir / "plots" if shutil.which("gnuplot") else None
            for name in figures.FIGURES:
                if why := why_not(name, sanitized):
                    print(f"{name}: left out: {why}")
                    continue
                try_figure(name, bench, plots)
            assert not plots or len(list(plots.glob("*.svg"))) == 5
    except (Failed, RuntimeError) as why:
        print(why)
        sys.exit(77 if "apt-get install" in str(why) else 1)


main()
