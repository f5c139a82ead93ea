# SPDX-License-Identifier: ISC
"""Real load by pgbench: no error, and never more server connections than the limit."""
import os
import subprocess
import threading

import pytest

from support.postgres import bindir

CLIENTS = int(os.environ.get("PGBENCH_CLIENTS", "60"))
SECONDS = os.environ.get("PGBENCH_SECONDS", "3")


@pytest.fixture(scope="module")
def bench(pg):
    subprocess.run([f"{bindir()}/pgbench", "-i", "-q", "-s", "1", "-h", pg.dir, "-p", str(pg.port), "-U", "postgres", "p2"],
                   check=True, capture_output=True)
    return pg


@pytest.mark.parametrize("mode", ["simple", "extended"])
@pytest.mark.parametrize("script", ["-S", "-N"])
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
