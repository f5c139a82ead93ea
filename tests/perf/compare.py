#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Side by side in one run: a bare relay (the floor), Debian's PgBouncer and Poolwise before a server that does no work.

With two or more CPUs the contestant has CPU 0 to itself; load and server share the last one, so that the contestant is
the bottleneck and tps is its capacity on one core. cpu_us is its user and system time for one transaction: the figure that
other work on the machine disturbs least. Each is started afresh in each round, in turn, so that drift hits all alike;
the table shows medians. Exit status 0 when all contestants ran without an error at a client."""
import argparse
import json
import os
import pathlib
import statistics
import sys

from bench import CPUS, PGBOUNCER, Bench, Failed, rss_mib, table

MODES = ("simple", "prepared", "txn", "extended", "connect")


def contestants(args):
    """name -> binary; None: the relay."""
    found = {"relay": None}
    if os.path.exists(PGBOUNCER):
        found["pgbouncer"] = PGBOUNCER
    for peer in args.peer:
        name, _, binary = peer.partition("=")
        found[name] = binary
    found["poolwise"] = ""
    wanted = args.only.split(",") if args.only else list(found)
    return {name: found[name] for name in wanted}


def skipped(mode, name, args):
    """PgBouncer before 1.21 has no prepared statements in transaction pooling."""
    return mode == "prepared" and name == "pgbouncer" and not args.prepared_peer


def measure(bench, name, binary, mode, args):
    own, others = (0, CPUS - 1) if args.pin else (None, None)
    settings = {}
    if name == "poolwise":
        settings = {"worker_threads": args.threads, **dict(s.split("=", 1) for s in args.set)}
        if args.threads > 1:
            own = None
    elif name != "relay" and (args.prepared_peer or name != "pgbouncer"):
        settings = {"max_prepared_statements": 200}
    with bench.nullpg(others) as backend:
        with bench.contestant(name, backend, own, binary, **settings) as (process, port):
            result = bench.load(port, mode, args.clients, args.secs, target=process.pid, cpus=others)
            return {"cpu_us": result["target_cpu_us"], "tps": result["tps"], "p50_us": result["p50_us"],
                    "p99_us": result["p99_us"], "rss_mib": rss_mib(process.pid)}


def medians(samples):
    return {key: statistics.median(s[key] for s in samples) for key in samples[0]}


def compare(bench, args):
    """(rows, number of failures); a row is a dictionary with mode, name, x_floor and measure()'s medians."""
    samples, failures = {}, 0
    runs = contestants(args)
    for _ in range(args.rounds):
        for mode in args.modes.split(","):
            for name, binary in runs.items():
                if skipped(mode, name, args):
                    continue
                try:
                    samples.setdefault((mode, name), []).append(measure(bench, name, binary, mode, args))
                except Failed as why:
                    failures += 1
                    print(f"{mode} {name}: {why}", file=sys.stderr)
    rows = []
    for (mode, name), got in samples.items():
        row = {"mode": mode, "name": name, **medians(got)}
        floor = samples.get((mode, "relay"))
        least = medians(floor)["cpu_us"] if floor else 0
        row["x_floor"] = row["cpu_us"] / least if least else 0
        rows.append(row)
    return rows, failures


def markdown(rows):
    return table(["mode", "contestant", "cpu_us/txn", "x floor", "tps", "p50 us", "p99 us", "rss MiB"],
                 [[r["mode"], r["name"], f"{r['cpu_us']:.2f}", f"{r['x_floor']:.2f}" if r["x_floor"] else "", f"{r['tps']:.0f}",
                   f"{r['p50_us']:.0f}", f"{r['p99_us']:.0f}", f"{r['rss_mib']:.1f}"] for r in rows])


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True, metavar="DIR", help="meson's build folder (buildtype release)")
    p.add_argument("--modes", default=",".join(MODES), help="of " + ", ".join(MODES))
    p.add_argument("--clients", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=float, default=2, help="measured in each round; 0.3 s of warm-up come before")
    p.add_argument("--threads", type=int, default=1, help="worker_threads of Poolwise; more than one: not pinned")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an ini setting for Poolwise")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=BINARY", help="another pooler that reads PgBouncer's ini file")
    p.add_argument("--prepared-peer", action="store_true", help=f"{PGBOUNCER} knows max_prepared_statements")
    p.add_argument("--only", default="", help="names of contestants, with commas")
    p.add_argument("--no-pin", dest="pin", action="store_false", help="let all share all CPUs")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the rows there, too")
    return p


def main():
    args = parser().parse_args()
    unknown = set(args.modes.split(",")) - set(MODES)
    if unknown:
        sys.exit(f"compare.py: unknown mode {', '.join(sorted(unknown))}")
    try:
        with Bench(args.build) as bench:
            rows, failures = compare(bench, args)
    except Failed as why:
        sys.exit(f"compare.py: {why}")
    print(markdown(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
