# SPDX-License-Identifier: ISC
"""Real load by pgbench: no error, and never more server connections than the limit."""
import os
import subprocess
import threading

import pytest

from support.postgres import bindir
from support.util import wait_until

CLIENTS = int(os.environ.get("PGBENCH_CLIENTS", "60"))
SECONDS = os.environ.get("PGBENCH_SECONDS", "3")


@pytest.fixture(scope="module")
def bench(pg):
    subprocess.run([f"{bindir()}/pgbench", "-i", "-q", "-s", "1", "-h", pg.dir, "-p", str(pg.port), "-U", "postgres", "p2"],
                   check=True, capture_output=True)
    return pg


@pytest.mark.parametrize("mode", ["simple", "extended"])
@pytest.mark.parametrize("script", ["-S", "-btpcb-like"])
def test_pgbench(make_pooler, bench, workers, mode, script):
    p = make_pooler(default_pool_size=10, **workers)
    most, done = [0], threading.Event()

    def watch():
        conn = bench.connect("postgres")
        while not done.is_set():
            n = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'p2' AND backend_type = 'client backend'").fetchone()[0]
            most[0] = max(most[0], n)
        conn.close()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        out = subprocess.run([f"{bindir()}/pgbench", "-n", script, "-M", mode, "-c", str(CLIENTS), "-j", "2", "-T", SECONDS, "-h", "127.0.0.1",
                              "-p", str(p.port), "-U", "postgres", "p2"], capture_output=True, text=True, timeout=120, check=False)
    finally:
        done.set()
        watcher.join()
    assert out.returncode == 0, out.stdout + out.stderr
    assert "number of failed transactions: 0" in out.stdout
    assert 0 < most[0] <= 10
    row = p.console().pool("p2")
    assert (row["sv_active"], row["cl_waiting"]) == (0, 0)


def test_connection_storm(make_pooler, bench, workers):
    """-C: a new connection for each transaction."""
    p = make_pooler(default_pool_size=5, **workers)
    out = subprocess.run([f"{bindir()}/pgbench", "-n", "-S", "-C", "-c", "20", "-j", "2", "-T", SECONDS, "-h", "127.0.0.1", "-p", str(p.port),
                          "-U", "postgres", "p2"], capture_output=True, text=True, timeout=120, check=False)
    assert out.returncode == 0 and "number of failed transactions: 0" in out.stdout, out.stdout + out.stderr


def test_a_thousand_clients_on_ten_servers(make_pooler, bench, workers):
    """Far past saturation: no error, nobody is forgotten, the limit holds."""
    p = make_pooler(default_pool_size=10, max_client_conn=1500, **workers)
    out = subprocess.run([f"{bindir()}/pgbench", "-n", "-S", "-c", "1000", "-j", "2", "-t", "20", "-h", "127.0.0.1", "-p", str(p.port),
                          "-U", "postgres", "p2"], capture_output=True, text=True, timeout=240, check=False)
    assert out.returncode == 0 and "number of failed transactions: 0" in out.stdout, out.stdout + out.stderr
    assert "number of transactions actually processed: 20000/20000" in out.stdout
    con = p.console()
    assert len(con.servers("p2")) <= 10
    stats = con.stats("p2")
    assert stats["total_query_count"] >= 20000


@pytest.mark.newer
@pytest.mark.parametrize("threads", [1, 4])
def test_prepared_statements_of_200_clients_on_ten_servers(make_pooler, bench, threads):
    """-M prepared, single statements and transactions: no error, and a server has each text once, whoever asks for it. pgbench stops its
    thread in PQprepare, while its other clients hold all servers: a text that is known needs none."""
    p = make_pooler(default_pool_size=10, worker_threads=threads)
    out = subprocess.run([f"{bindir()}/pgbench", "-n", "-b", "select-only@9", "-b", "tpcb-like@1", "-M", "prepared", "-c", "200", "-j", "1", "-T", "2",
                          "-h", "127.0.0.1", "-p", str(p.port), "-U", "postgres", "p2"], capture_output=True, text=True, timeout=240, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    assert "number of failed transactions: 0 " in out.stdout, out.stdout
    con = p.console()
    servers = con.servers("p2")
    assert 0 < len(servers) <= 10
    # BEGIN, END and what is between them; the select of select-only is the text of one of tpcb-like's
    assert all(0 < int(s["prepared_statements"]) <= 7 for s in servers), servers
    assert con.pool("p2")["cl_waiting"] == 0


def steady(p, clients, seconds):
    """What each worker did in a steady state: (transactions, servers that came from another worker) and the pool's total."""
    def load(secs):
        subprocess.run([f"{bindir()}/pgbench", "-n", "-S", "-c", str(clients), "-j", "2", "-T", str(secs), "-h", "127.0.0.1",
                        "-p", str(p.port), "-U", "postgres", "p2"], capture_output=True, check=True, timeout=120)
    con = p.console()
    load(2)
    before, xacts = con.show("WORKERS"), con.stats("p2")["total_xact_count"]
    load(seconds)
    after, xacts = con.show("WORKERS"), con.stats("p2")["total_xact_count"] - xacts
    return [(int(b["xacts"]) - int(a["xacts"]), int(b["handovers_in"]) - int(a["handovers_in"]))
            for a, b in zip(before, after)], xacts


@pytest.mark.poolwise
@pytest.mark.parametrize("threads", [2, 4])
def test_every_worker_carries_load(make_pooler, bench, threads):
    p = make_pooler(default_pool_size=2 * threads, worker_threads=threads)
    rows, xacts = steady(p, 32, 3)
    assert len(rows) == threads and xacts > 1000
    assert sum(done for done, _ in rows) == xacts, "the workers' counts do not add up to the pool's"
    assert min(done for done, _ in rows) > xacts / threads / 5, rows


@pytest.mark.poolwise
def test_servers_on_their_way_are_counted(make_pooler, bench):
    """A hand-over lasts until the other worker's next turn: with load on both some server is on its way now and then."""
    p = make_pooler(default_pool_size=1, worker_threads=2)
    con = p.console()
    load = subprocess.Popen([f"{bindir()}/pgbench", "-n", "-S", "-c", "16", "-T", "60", "-h", "127.0.0.1", "-p", str(p.port), "-U", "postgres", "p2"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: (con.pool("p2") or {}).get("sv_transit"), every=0) == 1
    finally:
        load.terminate()
        load.wait()
    wait_until(lambda: con.pool("p2")["sv_transit"] == 0)
    for column in ("handovers_in", "handovers_out"):
        assert all(int(r[column]) > 0 for r in con.show("WORKERS"))


@pytest.mark.poolwise
@pytest.mark.parametrize("clients", [4, 8, 32])
def test_hand_overs_are_rare(make_pooler, bench, clients):
    """pool_size = 2 x workers in steady state. Without patience and holding every fourth transaction moves a server with 8
    clients. How few there are depends on how the machine runs the threads: the exact figures are test_order's, in virtual
    time, and tests/perf's."""
    p = make_pooler(default_pool_size=4, worker_threads=2)
    rows, xacts = steady(p, clients, 5)
    assert sum(moved for _, moved in rows) < xacts / 10, (rows, xacts)
