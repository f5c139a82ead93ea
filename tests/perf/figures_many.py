# SPDX-License-Identifier: ISC
"""Figures about many clients: throughput and latency by their number, a storm of logins, the memory of idle ones."""
import json
import socket
import ssl
import statistics
import struct
import subprocess
import time

from bench import Failed, key_and_certificate, most_clients, rss_mib, table
from plots import draw

SCALE = (1, 64, 1000, 10000)
STORM = 10000
STORM_SECS = 3
IDLE, FIRST = 3000, 200


# ---- scale ----

def figure_scale(bench, args):
    """1, 64, 1,000 and 10,000 clients; nothing is pinned, the load and the server without work share the cores."""
    rows, got = [], []
    for workers in (1, 2):
        for clients in SCALE:
            clients = most_clients(clients)
            runs = []
            for _ in range(args.rounds):
                with bench.our_pooler(worker_threads=workers, listen_backlog=4096) as (p, port):
                    runs.append(bench.load(port, "simple", clients, args.secs, target=p.pid))
            r = {k: statistics.median(x[k] for x in runs) for k in ("tps", "target_cpu_us", "p50_us", "p99_us")}
            got.append((workers, clients, r))
            rows.append([str(workers), str(clients), f"{r['tps']:.0f}", f"{r['target_cpu_us']:.2f}", f"{r['p50_us']:.0f}", f"{r['p99_us']:.0f}",
                         f"{r['p99_us'] / r['p50_us']:.2f}"])
    if args.plots:
        lines = {}
        for workers, clients, r in got:
            lines.setdefault(f"{workers} worker(s)", []).append((clients, {"tps": r["tps"], "cpu": r["target_cpu_us"], "p99": r["p99_us"] / 1000}))
        draw(bench, args.plots / "scale.svg", "clients on 20 servers that do no work", lines)
    return table(["workers", "clients", "tps", "cpu_us/txn", "p50 us", "p99 us", "p99 / p50"], rows)


# ---- storm ----

STORMS = {"trust": ({}, []), "SCRAM": ({"auth_type": "scram-sha-256"}, ["-W", "bench"])}


def storm_round(bench, n, seconds, settings, password):
    """The 20 clients alone, with a storm at their pooler, and with one at another pooler beside it: what two more busy
    processes on the same cores cost. {when: figures of the 20}, {when: seconds that the storm took}"""
    there, took = {}, {}
    settings = {"worker_threads": 1, "listen_backlog": 4096, "max_client_conn": n + 100, **settings}
    with bench.our_pooler(**settings) as (_, port), bench.our_pooler(**settings) as (_, other):
        load = [str(bench.tools / "pgload"), *password]
        there["nobody else"] = bench.load(port, "simple", 20, seconds, password=password[-1] if password else None)
        for when, at in (("a storm at another pooler", other), ("a storm here", port)):
            with subprocess.Popen([*load, "-p", str(port), "-c", "20", "-T", str(STORM_SECS)], stdout=subprocess.PIPE, text=True) as clients:
                time.sleep(STORM_SECS / 10)
                begin = time.monotonic()
                got = json.loads(subprocess.run([*load, "-p", str(at), "-M", "connect", "-c", str(n), "-n", str(n)], stdout=subprocess.PIPE,
                                                text=True, check=True).stdout)
                took[when] = time.monotonic() - begin
                there[when] = json.loads(clients.communicate()[0])
            if got["errors"]:
                raise Failed(f"{got['errors']} of {n} logins failed")
    return there, took


def figure_storm(bench, args):
    """10,000 logins at once (connect, one query, disconnect), beside 20 clients that are there."""
    n, rows, ends = most_clients(STORM), [], []
    for name, (settings, password) in STORMS.items():
        rounds = [storm_round(bench, n, args.secs, settings, password) for _ in range(args.rounds)]
        for when in rounds[0][0]:
            p50, p99 = (statistics.median(there[when][q] for there, _ in rounds) for q in ("p50_us", "p99_us"))
            ratio = statistics.median(there[when]["p99_us"] / there["nobody else"]["p99_us"] for there, _ in rounds)
            rows.append([name, when, f"{p50:.0f}", f"{p99:.0f}", f"{ratio:.2f}"])
        took = statistics.median(took["a storm here"] for _, took in rounds)
        ends.append(f"{name}: {n} logins, none refused, in {took:.1f} s ({n / took:.0f}/s).")
    return table(["logins", "beside the 20 clients", "p50 us", "p99 us", "p99 of alone"], rows) + "\n\n" + "\n".join(ends)


# ---- idle ----

STARTUP = b"\0\3\0\0user\0bench\0database\0bench\0\0"
QUERY = b"Q\0\0\0\x0dselect 1\0"
READY = b"Z\0\0\0\5I"
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


def log_in(port, tls):
    s = socket.create_connection(("127.0.0.1", port))
    if tls:
        s.sendall(SSL_REQUEST)
        if s.recv(1) != b"S":
            raise Failed("TLS was refused")
        s = tls.wrap_socket(s)
    ask(s, (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP)
    for _ in range(3):
        ask(s, QUERY)
    return s


def ask(s, message):
    s.sendall(message)
    got = b""
    while not got.endswith(READY):
        piece = s.recv(4096)
        if not piece:
            raise Failed(f"the connection ended: {got!r}")
        got += piece


def figure_idle(bench, _args):
    """Memory of each client that has logged in, run three queries and then does nothing."""
    counts = bench.dir / "heap"
    any_server = ssl.create_default_context()
    any_server.check_hostname, any_server.verify_mode = False, ssl.CERT_NONE
    rows = []
    for name, tls, settings in (("plain", None, {}), ("TLS", any_server, key_and_certificate(bench))):
        counts.write_bytes(bytes(16))
        counts.chmod(0o666)
        wrap = ["env", f"LD_PRELOAD={bench.tools / 'heapcount.so'}", f"HEAPCOUNT_FILE={counts}"]
        with bench.our_pooler(wrap=wrap, worker_threads=1, **settings) as (p, port):
            clients = [log_in(port, tls) for _ in range(FIRST)]
            before = (rss_mib(p.pid) * 1024 * 1024, *struct.unpack("@2q", counts.read_bytes()))
            clients += [log_in(port, tls) for _ in range(IDLE)]
            after = (rss_mib(p.pid) * 1024 * 1024, *struct.unpack("@2q", counts.read_bytes()))
            if after[2] <= before[2]:
                raise Failed("the heap was not counted (hint: heapcount.so needs a build without sanitizers)")
            rows.append([name, *(f"{(b - a) / IDLE:.{digits}f}" for a, b, digits in zip(before[1:] + before[:1], after[1:] + after[:1], (0, 1, 0)))])
            for c in clients:
                c.close()
    return table(["clients", "bytes of heap for each", "in blocks", "bytes resident"], rows)


FIGURES = {
    "scale": ("1 to 10,000 clients on 20 servers", figure_scale),
    "storm": ("10,000 logins at once", figure_storm),
    "idle": ("Memory of idle clients", figure_idle),
}
