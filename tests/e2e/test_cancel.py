# SPDX-License-Identifier: ISC
"""A cancel request reaches the query it was meant for, and no other (design rule 5)."""
import select
import struct
import threading

import psycopg
import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until


def running(pg, what):
    return pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active' AND pid <> pg_backend_pid()",
                  f"%{what}%") > 0


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_cancel_ends_the_query(make_pooler, pg, mode, workers):
    p = make_pooler(pool_mode=mode, default_pool_size=2, **workers)
    c = p.client()
    c.send(wire.query("SELECT 'to be cancelled' FROM pg_sleep(30)"))
    wait_until(lambda: running(pg, "to be cancelled"))
    c.cancel(p.port)
    result = c.until_ready()
    assert result.error["C"] == "57014"
    assert c.one("SELECT 1") == "1"


def test_cancel_with_a_pool_of_one(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("SELECT 'pool of one' FROM pg_sleep(30)"))
    wait_until(lambda: running(pg, "pool of one"))
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"


def test_cancel_by_psycopg(make_pooler, pg):
    p = make_pooler()
    conn = p.psycopg()
    out = []

    def run():
        try:
            conn.execute("SELECT 'driver' FROM pg_sleep(30)")
        except psycopg.errors.QueryCanceled as e:
            out.append(e)
    t = threading.Thread(target=run)
    t.start()
    wait_until(lambda: running(pg, "driver"))
    conn.cancel()
    t.join(20)
    assert len(out) == 1


def test_cancel_does_not_touch_another_client(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=2, **workers)
    victim, other = p.client(), p.client()
    other.send(wire.query("SELECT 'survivor' FROM pg_sleep(2)"))
    victim.send(wire.query("SELECT 'victim' FROM pg_sleep(30)"))
    wait_until(lambda: running(pg, "victim") and running(pg, "survivor"))
    victim.cancel(p.port)
    assert victim.until_ready().error["C"] == "57014"
    assert other.until_ready().rows == [["survivor"]]


def test_cancel_of_a_client_without_a_server_does_nothing(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    idle, other = p.client(), p.client()
    idle.ok("SELECT 1")
    other.send(wire.query("SELECT 'bystander' FROM pg_sleep(2)"))
    wait_until(lambda: running(pg, "bystander"))
    idle.cancel(p.port)
    assert other.until_ready().rows == [["bystander"]]
    assert idle.one("SELECT 1") == "1"


def test_cancel_with_a_wrong_key(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("SELECT 'guarded' FROM pg_sleep(2)"))
    wait_until(lambda: running(pg, "guarded"))
    for i in range(8):
        wrong = bytearray(c.key)
        wrong[i] ^= 1
        k = p.raw()
        k.send(struct.pack("!ii", 16, 80877102) + bytes(wrong))
        assert k.until_closed().types == ""
    assert c.until_ready().rows == [["guarded"]]


@pytest.mark.differs  # PgBouncer leaves the client in the queue
def test_cancel_of_a_queued_client(make_pooler, workers):
    """It leaves the queue with 57014, as a query does that PostgreSQL cancels; the client goes on."""
    p = make_pooler(default_pool_size=1, **workers)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    c.send(wire.query("SELECT 'queued'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    c.cancel(p.port)
    result = c.until_ready()
    assert result.error["C"] == "57014" and not result.rows
    assert con.pool()["cl_waiting"] == 0
    holder.ok("COMMIT")
    assert c.one("SELECT 'fine'") == "fine"


@pytest.mark.differs  # PgBouncer sends it to the server, where it hits the pooler's own statement
def test_cancel_while_parameters_are_replayed(make_pooler, fake):
    """The client's query is not on the server yet: it is answered as if it were, and the server goes back when it is ready."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    a, session = fake.login(p)
    b = p.client(datestyle="German")
    b.send(wire.query("SELECT 'b'"))
    assert b"German" in session.recv().body
    b.cancel(p.port)
    assert b.until_ready().error["C"] == "57014"
    a.send(wire.query("SELECT 'a'"))
    session.send(wire.message("S", wire.cstr("DateStyle") + wire.cstr("German, DMY")), wire.message("C", wire.cstr("SET")), wire.message("Z", b"I"))
    assert b"DateStyle" in session.recv().body  # a's own are replayed: b's query never came
    session.send(wire.message("S", wire.cstr("DateStyle") + wire.cstr("ISO, MDY")), wire.message("C", wire.cstr("SET")), wire.message("Z", b"I"))
    assert session.recv().body == b"SELECT 'a'\0"
    session.answer("a")
    assert a.until_ready().rows == [["a"]]
    assert p.console().pool()["sv_idle"] == 1


def test_server_is_not_released_before_its_cancel_is_done(make_pooler, fake):
    """The query ends while the cancel is still on its way: the next client must not be hit."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    a, session = fake.login(p)
    b = p.client()
    a.send(wire.query("SELECT 'a'"))
    assert session.recv().type == "Q"
    k = p.raw()
    k.send(struct.pack("!ii", 16, 80877102) + a.key)
    cancel = fake.accept_raw()
    assert cancel.startup_code == 80877102
    session.answer("a")  # the query ended by itself
    assert a.until_ready().rows == [["a"]]
    b.send(wire.query("SELECT 'b'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1 or session_has_data(session))
    assert not session_has_data(session), "the server went to the next client while its cancel was in flight"
    cancel.close()
    assert session.recv().body == b"SELECT 'b'\0"
    session.answer("b")
    assert b.until_ready().rows == [["b"]]


def session_has_data(session):
    return session.readable()


def test_the_cancel_carries_the_servers_own_key(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)})
    a = p.raw()
    a.startup(user="postgres", database="p0")
    session = fake.accept_raw()
    session.welcome(pid=1234, secret=56789)
    a.authenticate("postgres", None)
    assert a.key != struct.pack("!ii", 1234, 56789), "the server's key was given away"
    a.send(wire.query("SELECT 1"))
    session.recv()
    k = p.raw()
    k.send(struct.pack("!ii", 16, 80877102) + a.key)
    fake.listener.settimeout(20)
    sock, _ = fake.listener.accept()
    data = b""
    while len(data) < 16:
        data += sock.recv(16 - len(data))
    assert data == struct.pack("!iiii", 16, 80877102, 1234, 56789)
    sock.close()
    session.error("canceling statement due to user request", "57014")
    session.send(wire.message("Z", b"I"))
    assert a.until_ready().error["C"] == "57014"


def test_cancel_storm_hits_only_its_own(make_pooler, pg, workers):
    """Ten clients, each cancels every second of its own queries; nobody else's query dies."""
    p = make_pooler(default_pool_size=3, **workers)
    problems = []

    def work(n):
        try:
            c = wire.Conn(p.port).login("postgres", "p0")
            for turn in range(12):
                if turn % 2:
                    c.send(wire.query(f"SELECT 'c{n}' FROM pg_sleep(10)"))
                    con = wire.Conn(p.port)
                    con.send(struct.pack("!ii", 16, 80877102) + c.key)
                    con.until_closed()
                    # too early is possible (the query was not there yet): ask again until it ends
                    while not c.readable():
                        c.cancel(p.port)
                    assert c.until_ready().error["C"] == "57014"
                else:
                    assert c.query(f"SELECT 'c{n}t{turn}' FROM pg_sleep(0.02)").rows == [[f"c{n}t{turn}"]]
            c.close()
        except Exception as e:  # collected for the assertion
            problems.append((n, repr(e)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems


def cancel_state(p, database="p0"):
    con = p.console()
    pool = con.pool(database)
    return {
        "cl": (pool["cl_active_cancel_req"], pool["cl_waiting_cancel_req"]), "sv": pool["sv_active_cancel"],
        "clients": sorted(r["state"] for r in con.show("CLIENTS") if "cancel" in r["state"]),
        "servers": sorted(r["state"] for r in con.servers(database) if "cancel" in r["state"]),
    }


def held_cancels(p, fake, n):
    """n clients of one pool whose queries run, each cancelled; [(client, its session)], the connections of the requests that came."""
    users = []
    for i in range(n):
        c = p.raw()
        c.startup(user="postgres", database="p0")
        if i == 0:
            first = fake.accept()
        c.authenticate("postgres", None)
        c.send(wire.query(f"SELECT {i}"))
        session = first if i == 0 else fake.accept()
        assert session.recv().body == f"SELECT {i}\0".encode()
        users.append((c, session))
    for c, _ in users:
        k = p.raw()
        k.send(struct.pack("!ii", 16, 80877102) + c.key)
    return users


@pytest.mark.newer
def test_cancel_requests_wait_for_a_connection(make_pooler, fake, workers):
    """As many as pool_size are under way at a time, whoever's clients they are for; SHOW tells who waits."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=2, reserve_pool_size=1, reserve_pool_timeout="0.1", **workers)
    held_cancels(p, fake, 3)
    cancels = [fake.accept_raw(), fake.accept_raw()]
    all_there = {"cl": (2, 1), "sv": 2, "clients": ["active_cancel_req"] * 2 + ["waiting_cancel_req"], "servers": ["active_cancel"] * 2}
    wait_until(lambda: cancel_state(p) == all_there)
    cancels[0].close()
    third = fake.accept_raw()
    assert third.startup_code == 80877102
    third.close()
    cancels[1].close()
    wait_until(lambda: cancel_state(p) == {"cl": (0, 0), "sv": 0, "clients": [], "servers": []})


@pytest.mark.poolwise
def test_cancel_that_comes_too_late(make_pooler, fake, workers):
    """It waits, and its query ends: its server is released and nobody's next query is hit."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout="0.1", **workers)
    users = held_cancels(p, fake, 2)
    first = fake.accept_raw()
    wait_until(lambda: cancel_state(p)["cl"] == (1, 1))
    for c, session in users:
        session.answer("done")
        assert c.until_ready().rows == [["done"]]
    wait_until(lambda: cancel_state(p)["cl"] == (1, 0))
    assert [p.console().pool()[s] for s in ("sv_idle", "sv_being_canceled")] == [1, 1]
    first.close()
    wait_until(lambda: p.console().pool()["sv_idle"] == 2)
    assert not select.select([fake.listener], [], [], 0)[0]


@pytest.mark.newer
def test_cancel_wait_timeout_of_one_that_waits(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout="0.1", cancel_wait_timeout="0.5")
    held_cancels(p, fake, 2)
    fake.accept_raw()
    p.wait_log("closing because: cancel_wait_timeout", count=2)


def test_cancel_over_the_unix_socket(make_pooler, pg):
    p = make_pooler()
    c = p.client(unix=True)
    c.send(wire.query("SELECT 'unix' FROM pg_sleep(30)"))
    wait_until(lambda: running(pg, "'unix'"))
    c.cancel(unix=p.socket_path())
    assert c.until_ready().error["C"] == "57014"


@pytest.mark.poolwise
def test_cancelled_at_the_replay_of_a_server_that_then_dies(make_pooler, fake):
    """What is left of the client's bytes is the beginning of a message: nobody may wait for a server for it, as the next cancel would take
    the wait away and nothing would end it."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={fake.port}"}, default_pool_size=1)
    c, session = fake.login(p, TimeZone="Asia/Tokyo")
    rest = wire.query("SELECT 'second'")
    c.send(wire.query("SELECT 'first'"), rest[:3])
    assert b"Asia/Tokyo" in session.recv().body
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"
    session.close()
    con = p.console()
    wait_until(lambda: (con.pool()["sv_login"], con.pool()["cl_waiting"]) in ((0, 0), (1, 1)) and con.pool()["sv_active"] == 0, what="the server is gone")
    c.cancel(p.port)
    c.send(rest[3:])
    session = fake.accept()
    assert b"Asia/Tokyo" in session.recv().body
    session.send(wire.message("S", wire.cstr("TimeZone") + wire.cstr("Asia/Tokyo")), wire.message("C", wire.cstr("SET")), wire.message("Z", b"I"))
    assert session.recv().body == b"SELECT 'second'\0"
    session.answer("second")
    assert c.until_ready().rows == [["second"]]
