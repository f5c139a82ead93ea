# SPDX-License-Identifier: ISC
"""The figures of docs/performance.md: one function each, returning Markdown."""
import collections
import contextlib
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import compare
import figures_many
import figures_pgbench
import figures_postgres
import figures_tls
from bench import CPUS, Failed, console, table

HANDOVERS = ((1, 2, 64), *((2, 4, clients) for clients in (8, 64, 200)), *((4, 8, clients) for clients in (8, 16, 64, 200)))  # workers, servers, clients
SATURATION = (20, 1000)
BATCHED = (1, 8, 64, 1000)
TRACED_CLIENTS = (1, 20, 64)  # on 20 servers
TRANSACTIONS = ("simple", "prepared", "extended", "txn")

# Two lengths of one run: what start-up and logins cost is in both and cancels out.
SHORT, LONG = 1000, 11000


def need(tool):
    if shutil.which(tool) is None:
        raise Failed(f"{tool} is not installed (hint: apt-get install -y {tool})")


def difference(measure):
    """Counters of the longer run minus those of the shorter one, for each of its queries."""
    short, long = measure(SHORT), measure(LONG)
    return {key: (n - short.get(key, 0)) / (LONG - SHORT) for key, n in long.items()}


# ---- comparison ----


def figure_compare(bench, args):
    options = compare.parser().parse_args(["--build", str(bench.build), "--rounds", str(args.rounds), "--secs", str(args.secs)])
    rows, failures = compare.compare(bench, options)
    if failures:
        raise Failed(f"{failures} runs of the comparison failed")
    return compare.markdown(rows)


# ---- system calls ----


def system_calls(bench, clients, mode="simple"):
    def measure(count):
        out = bench.dir / "strace"
        out.write_bytes(b"")
        out.chmod(0o666)
        wrap = ["strace", "-c", "-f", "-o", str(out)]
        with bench.our_pooler(wrap=wrap, worker_threads=1) as (process, port):
            bench.load(port, mode, clients, count=count)
            # strace passes no signal on: the pooler itself is asked to end, and strace writes its table
            children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split()
            for child in children:
                subprocess.run(["kill", "-TERM", child], check=False)
            process.wait(60)
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", out.read_text(encoding="ascii"), re.M)
        return {name: int(calls) for calls, name in rows if name != "total"}
    return difference(measure)


def figure_syscalls(bench, _args):
    need("strace")
    runs = {c: system_calls(bench, c) for c in TRACED_CLIENTS}
    names = [n for n in next(iter(runs.values())) if any(r.get(n, 0) >= 0.005 for r in runs.values())]
    names.sort(key=lambda n: -runs[TRACED_CLIENTS[-1]].get(n, 0))
    rows = [[n, *(f"{r.get(n, 0):.3f}" for r in runs.values())] for n in names]
    rows.append(["all", *(f"{sum(r.values()):.3f}" for r in runs.values())])
    return table(["system call", *(f"{c} client{'s' if c > 1 else ''}" for c in runs)], rows)


# ---- instructions ----


ROW = re.compile(r"^ *([\d,]+) +(?:\?\?\?|(\S+?)):(\S+)(?: \[(.*)\])?$", re.M)


def owner(file, function, shared_object):
    """Where code comes from: a source file of ours, or a library."""
    ours = re.search(r"\b((?:common|pooler|include)/\S+\.[ch])$", file or "")
    if ours:
        return ours.group(1)
    name = pathlib.PurePath(shared_object or "").name
    if name.startswith("pooler"):
        return f"compiler: {function}"
    return name.split(".so")[0] or "C library's headers"


def annotate(path, by_owner):
    """function, or source file and library -> instructions, without what is called, of a callgrind output file."""
    command = ["callgrind_annotate", "--threshold=100", "--show-percs=no", "--auto=no", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    total = re.search(r"^ *([\d,]+) +PROGRAM TOTALS", text, re.M)
    if not total:
        raise Failed("callgrind_annotate printed no total")
    found = collections.Counter(TOTAL=int(total.group(1).replace(",", "")))
    for number, file, function, shared_object in ROW.findall(text):
        # link-time optimisation leaves its marks on names
        function = re.sub(r"\.(lto_priv|isra|part|constprop|cold)\b.*$|'2$", "", function)
        found[owner(file, function, shared_object) if by_owner else function] += int(number.replace(",", ""))
    return found


def instructions(bench, clients=20, mode="simple", by_owner=False, **settings):
    """Instructions in user space for each transaction; TOTAL: all of the process."""
    need("valgrind")

    def measure(count):
        out = bench.dir / "callgrind"
        out.unlink(missing_ok=True)
        wrap = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with bench.our_pooler(wrap=wrap, worker_threads=1, **settings) as (_, port):
            bench.load(port, mode, clients, count=count)
        return annotate(out, by_owner)
    return difference(measure)


def figure_instructions(bench, _args):
    rows = [[mode, *(f"{instructions(bench, c, mode)['TOTAL']:.0f}" for c in TRACED_CLIENTS)] for mode in TRANSACTIONS]
    return table(["transaction", *(f"{c} client{'s' if c > 1 else ''}" for c in TRACED_CLIENTS)], rows)


def shares(cost, most):
    total = cost.pop("TOTAL")
    top = [(name, n) for name, n in sorted(cost.items(), key=lambda item: -item[1])[:most] if n >= 2]
    rest = total - sum(n for _, n in top)
    rows = [[f"`{name}`", f"{n:.0f}", f"{100 * n / total:.1f} %"] for name, n in top]
    return [*rows, ["all others", f"{rest:.0f}", f"{100 * rest / total:.1f} %"], ["sum", f"{total:.0f}", ""]]


def figure_files(bench, _args):
    return table(["source file or library", "instructions", "share"], shares(instructions(bench, by_owner=True), 40))


def figure_functions(bench, _args):
    return table(["function", "instructions", "share"], shares(instructions(bench), 25))


# ---- saturation ----


def figure_saturation(bench, args):
    """20 and 1,000 clients on 10 servers without work, everything pinned."""
    samples = collections.defaultdict(list)
    for _ in range(args.rounds):
        for clients in SATURATION:
            with bench.our_pooler(cpus=0 if CPUS > 1 else None, backend_cpus=CPUS - 1, worker_threads=1, default_pool_size=10) as (p, port):
                samples[clients].append(bench.load(port, "simple", clients, args.secs, target=p.pid, cpus=CPUS - 1))
    got = {c: compare.medians([{k: v for k, v in s.items() if k != "mode"} for s in runs]) for c, runs in samples.items()}
    rows = [[c, f"{r['tps']:.0f}", f"{r['tps'] / got[SATURATION[0]]['tps']:.2f}", f"{r['target_cpu_us']:.2f}", f"{r['p50_us']:.0f}",
             f"{r['p99_us']:.0f}", f"{r['p99_us'] / r['p50_us']:.2f}"] for c, r in got.items()]
    return table(["clients", "tps", "of 20 clients", "cpu_us/txn", "p50 us", "p99 us", "p99 / p50"], rows)


# ---- hand-overs ----


def figure_handovers(bench, args):
    """In steady state: two looks at SHOW WORKERS while the clients run."""
    rows = []
    for workers, servers, clients in HANDOVERS:
        with bench.our_pooler(worker_threads=workers, default_pool_size=servers) as (_, port):
            load = bench.spawn([str(bench.tools / "pgload"), "-p", str(port), "-c", str(clients), "-T", "3600"])
            with contextlib.ExitStack() as stack:
                stack.callback(bench.stop, load)
                before = settled(port, workers)
                after = wait_for_xacts(port, before, args.secs)
            xacts = [int(a["xacts"]) - int(b["xacts"]) for a, b in zip(after, before)]
            moved = sum(int(a["handovers_out"]) - int(b["handovers_out"]) for a, b in zip(after, before))
            shares = ", ".join(f"{100 * x / sum(xacts):.0f} %" for x in xacts)
            rows.append([workers, servers, clients, sum(xacts), moved, f"{100 * moved / sum(xacts):.2f} %", shares])
    return table(["workers", "servers", "clients", "transactions", "hand-overs", "share", "each worker's transactions"], rows)


def wait_for_xacts(port, before, seconds):
    """SHOW WORKERS once that long has passed and every worker has done something since `before`."""
    end, limit = time.monotonic() + seconds, time.monotonic() + seconds + 30
    while True:
        now = console(port, "SHOW WORKERS")
        done = sum(int(r["xacts"]) for r in now) - sum(int(r["xacts"]) for r in before)
        if time.monotonic() >= end and done > 0:
            return now
        if time.monotonic() > limit:
            raise Failed("no transaction passes")
        time.sleep(0.05)


def settled(port, workers):
    """The first 2,000 transactions open the servers and spread them: not the steady state."""
    first = [{"xacts": 0}] * workers
    while True:
        rows = wait_for_xacts(port, first, 0.1)
        if sum(int(r["xacts"]) for r in rows) >= 2000:
            return rows


# ---- workers ----


def figure_capacity(bench, args):
    """What the second worker adds. The generator and the server need CPU, too: without spare cores they are the limit."""
    samples = collections.defaultdict(list)
    for _ in range(args.rounds):
        for workers in (1, 2):
            with bench.our_pooler(worker_threads=workers) as (p, port):
                samples[workers].append(bench.load(port, "simple", 64, args.secs, target=p.pid))
    rows = []
    for workers, runs in samples.items():
        m = {k: statistics.median(r[k] for r in runs) for k in ("tps", "target_cpu_us", "load_cpu")}
        used = m["tps"] * m["target_cpu_us"] / 1e6
        rows.append([workers, f"{m['tps']:.0f}", f"{m['target_cpu_us']:.2f}", f"{used:.2f}", f"{m['load_cpu']:.2f}", f"{1e6 / m['target_cpu_us'] * workers:.0f}"])
    return table(["workers", "tps", "cpu_us/txn", "cores used by the pooler", "cores used by the generator", "tps if each worker had a core"], rows)


# ---- batched sends ----


def figure_batched(bench, args):
    """io_engine = io_uring against epoll, in turn."""
    rows = []
    for mode in ("simple", "txn"):
        for clients in BATCHED:
            pairs = []
            for _ in range(args.rounds):
                pair = {}
                for engine in ("epoll", "io_uring"):
                    with bench.our_pooler(cpus=0 if CPUS > 1 else None, backend_cpus=CPUS - 1, worker_threads=1, io_engine=engine) as (p, port):
                        pair[engine] = bench.load(port, mode, clients, args.secs, target=p.pid, cpus=CPUS - 1)
                pairs.append(pair)
            cpu = {e: statistics.median(p[e]["target_cpu_us"] for p in pairs) for e in pairs[0]}
            share = {k: statistics.median(p["io_uring"][k] / p["epoll"][k] for p in pairs) for k in ("target_cpu_us", "tps")}
            rows.append([mode, clients, f"{cpu['epoll']:.2f}", f"{cpu['io_uring']:.2f}", f"{share['target_cpu_us']:.2f}", f"{share['tps']:.2f}"])
    return table(["mode", "clients", "epoll CPU us/txn", "io_uring CPU us/txn", "CPU of epoll's", "tps of epoll's"], rows)


# ---- observation ----


def figure_observation(bench, args):
    ir = {on: instructions(bench, query_observation=on)["TOTAL"] for on in (0, 1)}
    samples = collections.defaultdict(list)
    for _ in range(args.rounds):
        for on in (0, 1):
            with bench.our_pooler(cpus=0 if CPUS > 1 else None, backend_cpus=CPUS - 1, worker_threads=1, query_observation=on) as (p, port):
                samples[on].append(bench.load(port, "simple", 20, args.secs, target=p.pid, cpus=CPUS - 1)["target_cpu_us"])
    cpu = {on: statistics.median(got) for on, got in samples.items()}
    rows = [["off", f"{ir[0]:.0f}", f"{cpu[0]:.2f}"], ["on", f"{ir[1]:.0f}", f"{cpu[1]:.2f}"],
            ["difference", f"{ir[1] - ir[0]:.0f}", f"{cpu[1] - cpu[0]:.2f}"],
            ["share", f"{100 * (ir[1] / ir[0] - 1):.1f} %", f"{100 * (cpu[1] / cpu[0] - 1):.1f} %"]]
    return table(["query_observation", "instructions/query", "cpu_us/query"], rows)


FIGURES = {
    "compare": ("Side by side", figure_compare),
    "syscalls": ("System calls for each simple query", figure_syscalls),
    "instructions": ("User-space instructions for each transaction", figure_instructions),
    "files": ("Where the instructions of a simple query go: by source file", figure_files),
    "functions": ("Where they go: by function, without what it calls", figure_functions),
    "saturation": ("1,000 clients on 10 servers", figure_saturation),
    "handovers": ("Hand-overs between workers", figure_handovers),
    "capacity": ("What the second worker adds", figure_capacity),
    "batched": ("Batched sends", figure_batched),
    "observation": ("What observing queries costs", figure_observation),
    **figures_many.FIGURES,
    **figures_tls.FIGURES,
    **figures_postgres.FIGURES,
    **figures_pgbench.FIGURES,
}
