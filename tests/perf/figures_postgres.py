# SPDX-License-Identifier: ISC
"""Figures with a real PostgreSQL 15 behind the contestants: large results, and pgbench."""
import collections
import statistics

from bench import CPUS, table

# ---- large results ----

SIZE = 10**9
LARGE = {
    # name: (query for that many bytes, bytes of a CopyData message of the client)
    "COPY TO STDOUT, lines of 1 KB": (lambda n: f"COPY (SELECT repeat('x', 1000) FROM generate_series(1, {n // 1006}) g) TO STDOUT", 0),
    "SELECT, rows of 1 KB": (lambda n: f"SELECT repeat('x', 1000), generate_series(1, {n // 1020})", 0),
    "SELECT, rows of 60 bytes": (lambda n: f"SELECT repeat('x', 38), generate_series(1, {n // 60})", 0),
    "COPY FROM STDIN, messages of 8 KB": (lambda _: "COPY sink FROM STDIN WHERE false", 8192),
    "COPY FROM STDIN, messages of 60 bytes": (lambda _: "COPY sink FROM STDIN WHERE false", 60),
}


def large_round(bench, server, name, query, size, message):
    own, others = (0, CPUS - 1) if CPUS > 1 else (None, None)
    with bench.contestant(name, server.port, own, to="dbname=p0 user=postgres", worker_threads=1) as (process, port):
        who = {"user": "postgres", "database": "p0"} if name == "relay" else {}
        return bench.bulk(port, query, size if message else 0, message, process.pid, others, **who)


def figure_large(bench, args):
    """1 GB through the relay and through the pooler, in turn. The contestant has a core, PostgreSQL and the client the other one."""
    samples = collections.defaultdict(list)
    with bench.postgres(cpus=CPUS - 1) as server:
        with server.connect() as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS sink (line text)")
        for _ in range(args.rounds):
            for what, (query, message) in LARGE.items():
                for name in ("relay", "poolwise"):
                    samples[what, name].append(large_round(bench, server, name, query(SIZE), SIZE, message))
    rows = []
    for what in LARGE:
        m = {(name, k): statistics.median(r[k] for r in samples[what, name]) for name in ("relay", "poolwise") for k in ("bytes", "target_cpu", "seconds")}
        ratio = statistics.median(p["target_cpu"] / r["target_cpu"] for p, r in zip(samples[what, "poolwise"], samples[what, "relay"]))
        rows.append([what, f"{m['poolwise', 'bytes'] / 1e6:.0f}", f"{m['relay', 'target_cpu']:.3f}", f"{m['poolwise', 'target_cpu']:.3f}", f"{ratio:.2f}",
                     f"{m['relay', 'seconds']:.2f}", f"{m['poolwise', 'seconds']:.2f}"])
    return table(["result", "MB", "relay CPU s", "poolwise CPU s", "ratio", "relay s", "poolwise s"], rows)


FIGURES = {
    "large": ("1 GB results", figure_large),
}
