# SPDX-License-Identifier: ISC
"""What a hostile or broken peer must not be able to make the pooler do without end."""
import threading
import time

from support import wire
from support.tap import fake_line
from support.util import wait_until


def rss_kb(pooler):
    with open(f"/proc/{pooler.proc.pid}/status", encoding="ascii") as f:
        return int([line for line in f if line.startswith("VmRSS")][0].split()[1])


def test_pipeliner_that_never_reads(make_pooler):
    """Its replies must not pile up in the pooler: 300 MB of them, one a turn, because others wait all the time."""
    p = make_pooler(default_pool_size=1, worker_threads=1)
    console, hog, others = p.console(), p.client(), [p.client() for _ in range(8)]
    stop = threading.Event()

    def ask(conn):
        while not stop.is_set():
            conn.send(wire.query("SELECT pg_sleep(0.001)"))
            conn.until_ready(60)

    threads = [threading.Thread(target=ask, args=(c,), daemon=True) for c in others]
    for t in threads:
        t.start()
    wait_until(lambda: console.pool()["cl_waiting"] >= 5, what="a queue")
    before = rss_kb(p)
    view = memoryview(wire.query("SELECT repeat('x', 30000)") * 10_000)
    hog.sock.settimeout(0.2)
    end = time.monotonic() + 10
    while view and time.monotonic() < end:
        try:
            view = view[hog.sock.send(view):]
        except TimeoutError:
            continue
    grown = rss_kb(p) - before
    hog.reset()
    stop.set()
    for t in threads:
        t.join(60)
    assert not [t for t in threads if t.is_alive()], "the others do not get their turns"
    assert grown < 20_000, f"{grown} kB of replies that nobody reads"


def test_server_that_ends_our_settings_in_a_transaction(make_pooler, fake):
    """It is closed; the client is not sent from one such server to the next for ever."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, server_check_query="")
    c, s = fake.login(p, application_name="mine")
    accepted = [s]

    def serve():
        s = accepted[0]
        for _ in range(30):
            try:
                if s.recv().type == "Q":
                    s.send(wire.message("C", b"SET\0"), wire.message("Z", b"T"))
                while s.recv():
                    pass
            except (wire.Closed, OSError):
                pass
            try:
                s = fake.accept(5)
            except OSError:
                return
            accepted.append(s)

    threading.Thread(target=serve, daemon=True).start()
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["C"] == "08P01"
    assert len(accepted) < 10


def test_reset_query_runs_though_the_pool_mode_was_changed_meanwhile(make_pooler):
    """A session that began in session mode leaves nothing behind, also when RELOAD made its pool a transaction pool."""
    p = make_pooler(pool_mode="session", default_pool_size=1)
    c = p.client()
    c.ok("CREATE TEMP TABLE left_behind (i int); SET work_mem = '77MB'")
    p.reload(pool_mode="transaction")
    c.close()
    wait_until(lambda: p.console().pool()["sv_active"] == 0, what="its server came back")
    d = p.client()
    assert d.one("SHOW work_mem") != "77MB"
    assert d.one("SELECT count(*) FROM pg_class WHERE relname = 'left_behind'") == "0"
