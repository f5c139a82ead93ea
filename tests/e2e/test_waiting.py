# SPDX-License-Identifier: ISC
"""Waiting for a server: order, the end of patience, and what a failed wait leaves behind (design rule 2)."""
import re
import socket
import subprocess
import threading
import time

import pytest

from support import wire
from support.tap import Tap
from support.util import free_port, wait_until

PID = "SELECT pg_backend_pid()"


def busy(p, n=1, database="p0"):
    out = []
    for _ in range(n):
        c = p.client(database)
        c.ok("BEGIN")
        out.append(c)
    return out


def test_waiters_are_served_in_order_of_arrival(make_pooler, pg, workers):
    """At most 8 later ones may pass on other workers (one worker: none)."""
    p = make_pooler(default_pool_size=1, **workers)
    with pg.connect("p0") as conn:  # not a temporary sequence: that would pin the holder
        conn.execute("DROP SEQUENCE IF EXISTS turn")
        conn.execute("CREATE SEQUENCE turn")
    (holder,) = busy(p)
    con = p.console()
    waiters = []
    for i in range(20):
        c = p.client()
        c.send(wire.query("SELECT nextval('turn')"))
        waiters.append(c)
        wait_until(lambda n=i + 1: con.pool()["cl_waiting"] == n)
    holder.ok("COMMIT")
    turns = [int(w.until_ready().rows[0][0]) for w in waiters]
    assert sorted(turns) == list(range(1, 21))
    slack = 8 if workers.get("worker_threads", 1) > 1 else 0
    for i, turn in enumerate(turns):
        passed = sum(1 for later in turns[i + 1:] if later < turn)
        assert passed <= slack, f"waiter {i} was passed {passed} times: {turns}"


def test_query_wait_timeout(make_pooler, workers):
    p = make_pooler(default_pool_size=10, query_wait_timeout=2, **workers)
    holders = busy(p, 10)
    c = p.client()
    start = time.monotonic()
    c.send(wire.query("SELECT 'eleventh'"))
    err = c.fatal()
    waited = time.monotonic() - start
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", "query_wait_timeout")
    assert 1.9 < waited < 5
    for h in holders:
        assert h.query("COMMIT").status == "I"
    p.wait_log(r"closing because: query_wait_timeout \(age=\d+s\)", count=1)


def test_query_wait_timeout_of_a_pipeline_leaves_nothing_on_the_server(make_pooler, pg, tap, workers):
    """PgDog #759: the rest of the batch went to a server, and its replies to somebody else."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1,
                    query_wait_timeout=1, **workers)
    (holder,) = busy(p)
    c = p.client()
    c.send(*[wire.group(f"SELECT 'victim {i}'") for i in range(5)])
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", "query_wait_timeout")
    assert holder.query("COMMIT").status == "I"
    other = p.client()
    assert other.one("SELECT 'mine'") == "mine"
    assert b"victim" not in tap.all_to_server()
    assert b"mine" in tap.all_to_server()  # the tap does see what passes


def test_query_wait_timeout_of_a_half_sent_batch(make_pooler, tap):
    """Parse and Bind without a Sync yet."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1, query_wait_timeout=1)
    (holder,) = busy(p)
    c = p.client()
    c.send(wire.parse("SELECT 'victim'"), wire.bind())
    assert c.fatal()["M"] == "query_wait_timeout"
    assert holder.query("COMMIT").status == "I"
    assert p.client().one("SELECT 'mine'") == "mine"
    assert b"victim" not in tap.all_to_server()


@pytest.mark.differs  # PgBouncer finds out only when it is the waiter's turn
def test_a_waiter_that_hangs_up_leaves_the_queue(make_pooler, workers):
    p = make_pooler(default_pool_size=1, **workers)
    (holder,) = busy(p)
    con = p.console()
    gone, stays = p.client(), p.client()
    gone.send(wire.query(PID))
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    stays.send(wire.query("SELECT 'stays'"))
    wait_until(lambda: con.pool()["cl_waiting"] == 2)
    gone.reset()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    holder.ok("COMMIT")
    assert stays.until_ready().rows == [["stays"]]


def test_query_wait_timeout_zero_waits_for_ever(make_pooler):
    p = make_pooler(default_pool_size=1, query_wait_timeout=0)
    (holder,) = busy(p)
    c = p.client()
    c.send(wire.query("SELECT 'patient'"))
    con = p.console()
    wait_until(lambda: con.pool()["maxwait"] >= 3)
    assert not c.readable()
    holder.ok("COMMIT")
    assert c.until_ready().rows == [["patient"]]


@pytest.mark.newer
def test_query_wait_notify(make_pooler):
    p = make_pooler(default_pool_size=1, query_wait_notify=1)
    (holder,) = busy(p)
    c = p.client()
    c.send(wire.query("SELECT 'noted'"))
    msg = c.recv()
    assert msg.type == "N"
    fields = wire.fields_of(msg.body)
    assert fields["S"] == "NOTICE"
    assert fields["M"] == "No server connection available in postgres backend, client being queued"
    holder.ok("COMMIT")
    result = c.until_ready()
    assert result.rows == [["noted"]] and not result.notices


@pytest.mark.newer
def test_no_notice_before_the_login_is_over(make_pooler, tap, pg):
    """libpq takes nothing but an answer to its login then; for a query of the same client there is one."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, query_wait_notify="0.2", server_login_retry="0.3")
    tap.stall()
    psql = subprocess.Popen(["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(p.port), "-U", "postgres", "-c", "SELECT 'in'", "p0"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    con = p.console()
    wait_until(lambda: con.pool() and con.pool()["maxwait"] >= 1)
    tap.go_on()
    assert psql.communicate(timeout=60)[0] == "in\n"


def test_query_timeout_also_ends_a_wait(make_pooler):
    p = make_pooler(default_pool_size=1, query_timeout=1, query_wait_timeout=60)
    (holder,) = busy(p)
    c = p.client()
    c.send(wire.query("SELECT 1"))
    err = c.fatal()
    assert (err["C"], err["M"]) == ("08P01", "query_timeout")
    assert holder.sock


@pytest.mark.newer
def test_no_server_to_reach_then_cached_error(make_pooler):
    """The first client waits to query_wait_timeout; with the failure known, later ones fail at once."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={free_port()} dbname=p0"}, query_wait_timeout=3,
                    server_login_retry=30)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["C"] == "08P01"
    start = time.monotonic()
    d = p.raw()
    d.startup(user="postgres", database="p0")
    err = d.fatal()
    assert time.monotonic() - start < 1.5
    assert (err["S"], err["C"]) == ("FATAL", "08P01")
    assert err["M"] == "server login has been failing, cached error: connect failed (server_login_retry)"


def test_server_comes_back_after_server_login_retry(make_pooler, pg):
    port = free_port()
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={port} dbname=p0"}, query_wait_timeout=20, server_login_retry=1)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    p.wait_log("closing because: connect failed")
    tap = Tap(pg.port, listen_port=port)
    try:
        c.authenticate("postgres", None)
        assert c.one("SELECT 1") == "1"
    finally:
        tap.close()


@pytest.mark.differs  # PgBouncer starves the others
def test_one_endless_pipeliner_and_ten_ordinary_clients(make_pooler, workers):
    """The pipeliner never pauses; on one server each of the others still gets its turn (rule 1)."""
    p = make_pooler(default_pool_size=1, query_wait_timeout=15, **workers)
    hog = p.client()
    stop = threading.Event()

    def write():
        data = wire.group("SELECT 'hog'") * 50
        hog.sock.settimeout(60)
        while not stop.is_set():
            try:
                hog.sock.sendall(data)
            except OSError:
                return

    def read():
        s = hog.sock.dup()
        while not stop.is_set():
            try:
                if not s.recv(65536):
                    return
            except OSError:
                return

    threads = [threading.Thread(target=write, daemon=True), threading.Thread(target=read, daemon=True)]
    for t in threads:
        t.start()
    try:
        others = [p.client() for _ in range(10)]
        for _ in range(3):
            for i, c in enumerate(others):
                c.send(wire.query(f"SELECT 'turn {i}'"))
            for i, c in enumerate(others):
                assert c.until_ready().rows == [[f"turn {i}"]]
        assert all(t.is_alive() for t in threads), "the pipeliner stopped: nothing was shown"
    finally:
        stop.set()
        hog.reset()
        for t in threads:
            t.join(5)


def test_many_clients_that_log_in_while_the_pool_is_full(make_pooler, workers):
    p = make_pooler(default_pool_size=1, **workers)
    (holder,) = busy(p)
    clients = [p.client() for _ in range(30)]
    for c in clients:
        c.send(wire.query("SELECT 1"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 30)
    holder.ok("COMMIT")
    for c in clients:
        assert c.until_ready().rows == [["1"]]
    row = con.pool()
    assert (row["cl_waiting"], row["sv_active"]) == (0, 0)


def test_maxwait_tells_the_oldest_wait(make_pooler):
    p = make_pooler(default_pool_size=1)
    (holder,) = busy(p)
    c = p.client()
    c.send(wire.query("SELECT 1"))
    con = p.console()
    wait_until(lambda: con.pool()["maxwait"] >= 1)
    client = [r for r in con.clients() if r["state"] == "waiting"]
    assert len(client) == 1 and int(client[0]["wait"]) >= 1
    holder.ok("COMMIT")
    c.until_ready()
    assert con.pool()["maxwait"] == 0
    assert con.stats()["total_wait_time"] >= 1_000_000


def test_the_wait_for_a_pools_first_server_counts(make_pooler):
    """Both of one that asks for it and of one that waits for what that one learns."""
    p = make_pooler()
    con = p.console()
    con.do("PAUSE p0")
    clients = [p.raw(), p.raw()]
    for c in clients:
        c.startup(user="postgres", database="p0")
    wait_until(lambda: (row := con.pool()) and row["maxwait"] >= 1 and row["cl_waiting"] == 2)
    con.do("RESUME p0")
    for c in clients:
        c.until_ready()
    assert con.stats()["total_wait_time"] >= 1_500_000
    assert con.stats()["total_server_assignment_count"] == 0


def test_five_groups_in_one_packet_are_all_answered(make_pooler, workers):
    p = make_pooler(default_pool_size=1, **workers)
    c = p.client()
    c.send(*[wire.group(f"SELECT {i}") for i in range(5)])
    assert [c.until_ready().rows for _ in range(5)] == [[[str(i)]] for i in range(5)]


WHY = {
    "full": "all servers of the pool are taken: 1 (pool_size)",
    "by_db": "all servers of the database are taken: 1 (max_db_connections)",
    "by_user": "all servers of the user are taken: 1 (max_user_connections)",
    "paused": 'database "paused" is paused; RESUME on the console of the pooler ends that',
    "silent": "a server is being connected, which has not come to an end (server_connect_timeout)",
    "down": "the last attempt to get a server failed: connect failed; the log of the pooler says which and why",
}


@pytest.mark.poolwise
@pytest.mark.parametrize("behaviour", ["pgbouncer", "postgres"])
def test_a_wait_that_ends_says_what_kept_it(make_pooler, pg, behaviour):
    """To the client, and in the log for who is on call. All wait at once."""
    lines = {"full": "pool_size=1", "by_db": "max_db_connections=1", "by_user": "", "other": "", "paused": ""}
    mute = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    lines = {k: f"{pg.line()} {v}" for k, v in lines.items()}
    lines["down"], lines["silent"] = [f"host=127.0.0.1 port={port} dbname=p0 pool_size=1" for port in (free_port(), mute.getsockname()[1])]
    p = make_pooler(databases=lines,
                    users={"u_trust": "max_user_connections=1"}, query_wait_timeout=1, error_behaviour=behaviour, worker_threads=2)
    con = p.console()
    con.do("PAUSE paused")
    for database, user in (("full", "postgres"), ("by_db", "postgres"), ("other", "u_trust")):
        p.client(database, user).ok("BEGIN")
    waiting = {}
    for name in WHY:
        c = waiting[name] = p.raw()
        c.startup(database=name, user={"by_db": "stats", "by_user": "u_trust"}.get(name, "postgres"))
        if name == "full":
            c.until_ready()
            c.send(wire.query("SELECT 1"))
    for name, c in waiting.items():
        result = c._result(None) if name == "full" and behaviour == "postgres" else c.until_closed()
        (error,) = result.errors
        assert (error["M"], error.get("D")) == ("query_wait_timeout", WHY[name])
        p.wait_log(r"pooler error: query_wait_timeout \(" + re.escape(WHY[name]))
    mute.close()
