#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Does each measuring tool still work? Runs them all for a moment; times are not looked at.

usage: smoke.py BUILD_DIR"""
import sys

import compare
from bench import Bench, console, free_port


def relay_passes_everything(bench):
    port = free_port()
    with bench.nullpg() as backend, bench.running(bench.relay_command(port, backend), port) as relay:
        for mode in compare.MODES:
            got = bench.load(port, mode, clients=4, count=50, target=relay.pid)
            assert got["total"] == 50 and got["errors"] == 0 and got["target_cpu_us"] > 0, got
            assert 0 < got["p50_us"] <= got["p99_us"] <= got["max_us"], got
        timed = bench.load(port, "simple", clients=4, seconds=0.1)
        assert timed["transactions"] > 0 and timed["tps"] > 0, timed


def errors_are_seen(bench):
    """A generator that counts no errors would praise a pooler that answers nothing but errors."""
    with bench.our_pooler(max_client_conn=1, worker_threads=1) as (_, port):
        got = bench.load(port, "simple", clients=3, seconds=0.2, check=False)
        assert got["errors"] > 0, got


def passwords_are_given(bench):
    with bench.our_pooler(auth_type="scram-sha-256", worker_threads=1) as (_, port):
        got = bench.load(port, "connect", clients=3, count=20, password="bench")
        assert got["total"] == 20 and got["errors"] == 0, got
        got = bench.load(port, "connect", clients=1, count=1, password="another", check=False)
        assert got["errors"] > 0, got


def console_answers(bench):
    with bench.our_pooler(worker_threads=2) as (_, port):
        bench.load(port, "simple", clients=4, count=100)
        rows = console(port, "SHOW WORKERS")
        assert len(rows) == 2 and sum(int(r["xacts"]) for r in rows) == 100, rows


def comparison_has_all_rows(build, bench):
    """On a busy machine a contestant may not get to a single transaction within a moment: then a longer one."""
    for secs in ("0.1", "1", "10"):
        args = compare.parser().parse_args(["--build", build, "--modes", "simple,txn", "--rounds", "1", "--secs", secs,
                                            "--clients", "4", "--only", "relay,poolwise"])
        rows, failures = compare.compare(bench, args)
        assert failures == 0 and len(rows) == 4, rows
        assert len(compare.markdown(rows).splitlines()) == 6
        if all(r["cpu_us"] > 0 and r["tps"] > 0 and r["x_floor"] > 0 for r in rows):
            return
    raise AssertionError(rows)


def main():
    build = sys.argv[1]
    with Bench(build) as bench:
        relay_passes_everything(bench)
        errors_are_seen(bench)
        passwords_are_given(bench)
        console_answers(bench)
        comparison_has_all_rows(build, bench)


main()
