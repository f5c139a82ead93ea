# SPDX-License-Identifier: ISC
"""pgbench on a real PostgreSQL through PgBouncer and through our pooler with one and two workers.

Everything shares the cores. A measurement looks at a window while pgbench runs: transactions are those that the pooler's own
SHOW STATS counts in it, CPU is the pooler's in it (so no login is in either), latencies are those that pgbench's log says."""
import collections
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import time

from bench import PGBOUNCER, Failed, console, cpu_seconds, key_and_certificate, most_clients, table
from plots import draw

WORKLOADS = {
    # name: (title, pgbench's options)
    "simple": ("pgbench -S, simple protocol", ("-S", "-M", "simple")),
    "extended": ("pgbench -S, extended protocol", ("-S", "-M", "extended")),
    "prepared": ("pgbench -S, prepared statements", ("-S", "-M", "prepared")),
    "tpcb": ("pgbench, TPC-B", ("-M", "simple")),
}
CLIENTS = (1, 64, 1000, 10000)
MANY = (20, 1000)
SCALE = 10
WARM_UP = 0.5
SERVER = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
CONTESTANTS = {
    "pgbouncer": (PGBOUNCER, {}),
    "poolwise, 1 worker": (None, {"worker_threads": 1}),
    "poolwise, 2 workers": (None, {"worker_threads": 2}),
}


def skipped(workload, name, clients, tls):
    """PgBouncer before 1.21 has no prepared statements in transaction pooling. pgbench takes most of a minute for 10,000 TLS
    handshakes, so only one workload has them."""
    if name == "pgbouncer" and (workload == "prepared" or not os.path.exists(PGBOUNCER)):
        return True
    return tls and clients > 1000 and workload != "simple"


@contextlib.contextmanager
def filled_postgres(bench):
    """With pgbench's tables in database p0."""
    if not shutil.which("pgbench"):
        raise Failed("pgbench is not installed (hint: apt-get install -y postgresql-15)")
    with bench.postgres(**SERVER) as server:
        command = ["pgbench", "-h", server.dir, "-p", str(server.port), "-U", "postgres", "-i", "-q", "-s", str(SCALE), "-I", "dtGvp", "p0"]
        r = subprocess.run(command, capture_output=True, text=True, check=False)
        if r.returncode:
            raise Failed(r.stderr)
        yield server


def transactions(port):
    return sum(int(r["total_xact_count"]) for r in console(port, "SHOW STATS") if r["database"] == "bench")


@contextlib.contextmanager
def pgbench_running(bench, port, options, clients, tls):
    """Once it has begun its transactions: yields the folder with its logs."""
    folder = bench.dir / "pgbench"
    folder.mkdir()
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", *options, "-c", str(clients), "-j", str(min(clients, 2)), "-T", "600",
               "-l", f"--log-prefix={folder / 'log'}", "bench"]
    with open(bench.dir / "output", "w", encoding="utf-8") as said:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, "PGSSLMODE": "require" if tls else "disable"})
    bench.processes.append(p)
    try:
        while transactions(port) < min(clients, 1000):
            if p.poll() is not None:
                raise Failed(f"{' '.join(command)}: {(bench.dir / 'output').read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.05)
        yield folder
        if p.poll() is not None:
            raise Failed(f"{' '.join(command)}: {(bench.dir / 'output').read_text(encoding='utf-8')[-500:]}")
    finally:
        bench.stop(p, signal.SIGTERM)
        shutil.rmtree(folder)


def logged(log):
    """pgbench's log: client, number, us, script, seconds, us. The last line may be cut."""
    for line in log.read_text(encoding="ascii").split("\n")[:-1]:
        words = line.split()
        yield int(words[4]) + int(words[5]) / 1e6, int(words[2])


def wait_for_log(folder, end, seconds=3):
    """It is written in blocks."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and not all(any(when > end for when, _ in logged(log)) for log in folder.iterdir()):
        time.sleep(0.05)


def latencies(folder, begin, end):
    """Of the transactions that ended in between, in us."""
    return sorted(us for log in folder.iterdir() for when, us in logged(log) if begin <= when <= end)


def measure(bench, server, name, options, clients, tls, seconds, **more):
    binary, settings = CONTESTANTS[name]
    keys = {**key_and_certificate(bench), "client_tls_sslmode": "allow"} if tls else {}  # the console's connection is plain
    settings = {"to": "dbname=p0 user=postgres", "listen_backlog": 4096, **settings, **keys, **more}
    with bench.contestant(name, server.port, binary=binary, **settings) as (process, port), \
            pgbench_running(bench, port, options, clients, tls) as folder:
        time.sleep(WARM_UP)
        begin, xacts, cpu = time.time(), transactions(port), cpu_seconds(process.pid)
        time.sleep(seconds)
        end, xacts, cpu = time.time(), transactions(port) - xacts, cpu_seconds(process.pid) - cpu
        if not xacts:
            raise Failed(f"{name}: no transaction of {clients} clients ended within {seconds} s")
        wait_for_log(folder, end)
        took = latencies(folder, begin, end)
        if not took:
            raise Failed(f"{name}: pgbench's log has no transaction of these {seconds} s")
    return {"tps": xacts / (end - begin), "cpu": cpu / xacts * 1e6, "p50": took[len(took) // 2] / 1e3, "p99": took[len(took) * 99 // 100] / 1e3}


def pgbench(bench, args, workload):
    title, options = WORKLOADS[workload]
    samples = collections.defaultdict(list)
    with filled_postgres(bench) as server:
        for _ in range(args.rounds):
            for clients in CLIENTS:
                for tls in (False, True):
                    for name in CONTESTANTS:
                        if not skipped(workload, name, clients, tls):
                            n = most_clients(clients)
                            samples[name, tls, n].append(measure(bench, server, name, options, n, tls, args.secs))
    got = {key: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for key, runs in samples.items()}
    if args.plots:
        plot(bench, args.plots, workload, title, got)
    rows = [[clients, "TLS" if tls else "", name, f"{r['tps']:.0f}", f"{r['cpu']:.1f}", f"{r['p50']:.2f}", f"{r['p99']:.2f}"]
            for (name, tls, clients), r in got.items()]
    return table(["clients", "", "pooler", "tps", "pooler's CPU us/txn", "p50 ms", "p99 ms"], rows)


def plot(bench, into, workload, title, got):
    lines = {}
    for (name, tls, clients), r in got.items():
        lines.setdefault(name + (", TLS" if tls else ""), []).append((clients, r))
    draw(bench, into / f"pgbench-{workload}.svg", f"{title}, clients on 20 servers", lines)


# ---- more clients than servers ----


def figure_many(bench, args):
    """20 and 1,000 clients on 10 servers."""
    samples = collections.defaultdict(list)
    with filled_postgres(bench) as server:
        for _ in range(args.rounds):
            for name in CONTESTANTS:
                for clients in MANY:
                    if not skipped("simple", name, clients, False):
                        samples[name, clients].append(measure(bench, server, name, WORKLOADS["simple"][1], clients, False, args.secs, default_pool_size=10))
    rows = []
    for name in dict.fromkeys(name for name, _ in samples):
        few, many = samples[name, MANY[0]], samples[name, MANY[1]]
        shares = [m["tps"] / f["tps"] for f, m in zip(few, many)]
        rows.append([name, f"{statistics.median(r['tps'] for r in few):.0f}", f"{statistics.median(r['tps'] for r in many):.0f}",
                     f"{statistics.median(shares):.2f}", f"{min(shares):.2f} to {max(shares):.2f}",
                     f"{statistics.median(m['p99'] / m['p50'] for m in many):.2f}"])
    return table(["pooler", "tps of 20 clients", "tps of 1,000", "median share", "shares", "p99 / p50 of 1,000"], rows)


FIGURES = {
    "pgbench-simple": (WORKLOADS["simple"][0], lambda bench, args: pgbench(bench, args, "simple")),
    "pgbench-extended": (WORKLOADS["extended"][0], lambda bench, args: pgbench(bench, args, "extended")),
    "pgbench-prepared": (WORKLOADS["prepared"][0], lambda bench, args: pgbench(bench, args, "prepared")),
    "pgbench-tpcb": (WORKLOADS["tpcb"][0], lambda bench, args: pgbench(bench, args, "tpcb")),
    "pgbench-many": ("pgbench -S, 1,000 clients on 10 servers", figure_many),
}
