# SPDX-License-Identifier: ISC
"""Servers and clients that die (design rules 6 and 7)."""
import struct

import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def test_idle_server_killed_is_gone(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=1, **workers)
    c = p.client()
    pid = c.one(PID)
    con = p.console()
    assert len(con.servers()) == 1
    pg.sql("SELECT pg_terminate_backend(%s, 5000)", int(pid))  # returns when the backend is gone
    wait_until(lambda: pid not in [r["remote_pid"] for r in con.servers()])
    for _ in range(5):
        assert c.one(PID) != pid


def test_all_idle_servers_killed_nobody_notices(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=5, **workers)
    clients = [p.client() for _ in range(5)]
    for c in clients:
        c.ok("BEGIN")
    for c in clients:
        c.ok("COMMIT")
    pg.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'p0'")
    con = p.console()
    wait_until(lambda: not con.servers())
    for c in clients:
        assert c.one("SELECT 1") == "1"


def test_server_dies_in_a_transaction(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.ok("BEGIN")
    pg.sql("SELECT pg_terminate_backend(%s)", int(c.one(PID)))
    errors = c.until_closed().errors
    assert errors[0]["C"] == "57P01"
    assert (errors[-1]["S"], errors[-1]["C"], errors[-1]["M"]) == ("FATAL", "08P01", "server conn crashed?")
    assert p.client().one("SELECT 1") == "1"


def test_server_dies_in_a_query(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("SELECT 'dying' FROM pg_sleep(30)"))
    pid = wait_until(lambda: pg.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE '%dying%' AND state = 'active'"
                                    " AND datname = 'p0'"))[0][0]
    pg.sql("SELECT pg_terminate_backend(%s)", pid)
    errors = c.until_closed().errors
    assert [e["C"] for e in errors] == ["57P01", "08P01"]
    assert errors[-1]["M"] == "server conn crashed?"


def test_server_connection_cut_in_a_query(make_pooler, tap):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1)
    c = p.client()
    c.ok("BEGIN")
    tap.cut()
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", "server conn crashed?")
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_the_log_tells_how_a_server_was_lost(make_pooler, fake):
    """Reset, or timed out by tcp_user_timeout or keepalives: a matter of the network; at its end: one of the server."""
    p = make_pooler(databases={"p0": fake_line(fake, dbname="p0")})
    c, s = fake.login(p)
    c.send(wire.query("SELECT 1"))
    s.expect("Q")
    s.reset()
    assert c.fatal()["M"] == "server conn crashed?"
    p.wait_log(r"LOG S-.* closing because: server conn crashed\? \(Connection reset by peer\)")


@pytest.mark.poolwise  # PgBouncer's error becomes the end of the row
@pytest.mark.parametrize("how", ["server dies", "query_timeout", "KILL_CLIENT"])
def test_nothing_is_said_in_the_middle_of_a_message(make_pooler, fake, how):
    """An error put behind half a row would be taken for the other half, and read as data."""
    p = make_pooler(databases={"p0": fake_line(fake, dbname="p0")}, query_timeout=1 if how == "query_timeout" else None)
    c, s = fake.login(p)
    c.send(wire.query("SELECT 1"))
    s.expect("Q")
    row = wire.message("D", struct.pack("!hi", 1, 100) + b"x" * 100)
    s.send(wire.message("T", struct.pack("!h", 1) + wire.cstr("v") + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)), row[:60])
    c.expect("T")
    wait_until(lambda: c.readable())
    if how == "server dies":
        s.close()
    elif how == "KILL_CLIENT":
        con = p.console()
        con.do(f"KILL_CLIENT {con.clients()[0]['id']}")
    with pytest.raises(wire.Closed):
        c.recv()
    assert c.buf == row[:60]
    p.wait_log({"server dies": "server conn crashed", "query_timeout": "query timeout", "KILL_CLIENT": "admin forced disconnect"}[how])


ROWS = wire.message("T", struct.pack("!h", 1) + wire.cstr("v") + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0))


def _row(n):
    return wire.message("D", struct.pack("!hi", 1, n) + b"x" * n)


@pytest.mark.parametrize("before, bad", [
    (b"", b"C\xff\xff\xff\xff"), (ROWS, b"D\x80\0\0\0"), (ROWS + _row(1), b"D\0\0\0\x03"), (ROWS + _row(300_000), b"D\xff\xff\xff\xff"),
    (ROWS + _row(20) * 5000, b"D\xff\xff\xff\xff"), (ROWS + _row(1), b"?\0\0\0\x08")],
    ids=["-1 at first", "min behind rows", "3 behind a row", "-1 behind a streamed row", "-1 in a run of rows", "unknown"])
def test_server_sends_what_is_no_message(make_pooler, fake, before, bad):
    """Nothing of it reaches the client, which hears why; the server is closed."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    c, s = fake.login(p)
    c.send(wire.query("SELECT 1"))
    s.expect("Q")
    s.send(before + bad + b"x" * 100)
    result = c.until_closed()
    assert (result.errors[-1]["S"], result.errors[-1]["C"]) == ("FATAL", "08P01")
    assert result.errors[-1]["M"] == ("unknown pkt" if bad[:1] == b"?" else "bad pkt header")
    assert c.buf == b"" and result.types.count("D") == before.count(b"D\0")
    with pytest.raises((wire.Closed, ConnectionError)):
        while s.recv():
            pass


@pytest.mark.poolwise
def test_server_sends_what_is_no_message_while_it_is_wound_up(make_pooler, fake):
    """4 GiB of it would be waited for."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, server_recovery_timeout=0)
    c, s = fake.login(p)
    c.send(wire.query("SELECT 1"))
    s.expect("Q")
    c.reset()
    wait_until(lambda: not p.console().clients(database="p0"))
    s.send(ROWS + b"D\xff\xff\xff\xff" + b"x" * 100)
    p.wait_log("closing because: bad pkt header")


@pytest.mark.parametrize("size", [900, 1100, 300_000])
def test_row_above_max_packet_size(make_pooler, pg, size):
    p = make_pooler(max_packet_size=1000)
    c = p.client()
    c.send(wire.query(f"SELECT repeat('x', {size}) FROM generate_series(1, 3)"))
    if size < 1000:
        assert c.until_ready().rows == [["x" * size]] * 3
    else:
        result = c.until_closed()
        assert (result.errors[-1]["M"], result.rows) == ("bad pkt header", [])


def test_idle_server_connection_cut(make_pooler, tap):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1)
    c = p.client()
    c.ok("SELECT 1")
    tap.cut()
    con = p.console()
    wait_until(lambda: not con.servers())
    assert c.one("SELECT 1") == "1"


def test_client_killed_in_a_transaction_leaves_a_clean_server(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=1, **workers)
    conn = pg.connect()
    conn.execute("DROP TABLE IF EXISTS orphan; CREATE TABLE orphan(i int)")
    conn.close()
    c = p.client()
    c.ok("BEGIN")
    c.ok("INSERT INTO orphan VALUES (1)")
    c.ok("SET LOCAL work_mem = '7MB'")
    c.reset()
    d = p.client()
    assert d.one("SELECT count(*) FROM orphan") == "0"
    assert d.one("SHOW work_mem") == "4MB"
    assert d.query("SELECT 1").status == "I"


@pytest.mark.poolwise
@pytest.mark.parametrize("how", ["idle in transaction", "failed transaction", "in a query", "open extended group", "copy in"])
def test_the_server_of_a_dead_client_is_recovered_not_thrown_away(make_pooler, pg, how):
    """PgBouncer #63, #1312: each abandoned transaction costs it a connection."""
    p = make_pooler(default_pool_size=1)
    conn = pg.connect()
    conn.execute("DROP TABLE IF EXISTS orphan; CREATE TABLE orphan(i int)")
    conn.close()
    c = p.client()
    c.ok("BEGIN")
    c.ok("INSERT INTO orphan VALUES (1)")
    pid = c.one(PID)
    if how == "failed transaction":
        assert c.query("SELECT 1/0").status == "E"
    elif how == "in a query":
        c.send(wire.query("SELECT 'abandoned' FROM pg_sleep(30)"))
        wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%abandoned%' AND state = 'active'"
                                  " AND pid <> pg_backend_pid()"))
    elif how == "open extended group":
        c.send(wire.parse("SELECT 1"), wire.bind(), wire.flush())
        c.expect("12")
    elif how == "copy in":
        c.copy_in_start("COPY orphan FROM STDIN")
        c.send(wire.copy_data("2\n"))
    c.reset()
    d = p.client()
    assert d.one(PID) == pid
    assert d.one("SELECT count(*) FROM orphan") == "0"


@pytest.mark.poolwise
@pytest.mark.parametrize("end", ["reset", "terminate"])
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "under way"])
def test_a_group_that_never_got_its_sync_is_rolled_back(make_pooler, pg, end, answered):
    """As PostgreSQL does it: what was executed without a Sync is undone, not committed by the next client's query."""
    p = make_pooler(default_pool_size=1)
    conn = pg.connect()
    conn.execute("DROP TABLE IF EXISTS orphan; CREATE TABLE orphan(i int)")
    conn.close()
    c = p.client()
    pid = c.one(PID)
    c.send(wire.parse("INSERT INTO orphan VALUES (1)"), wire.bind(), wire.execute(), wire.flush())
    c.expect("12C")
    if not answered:
        c.send(wire.parse("INSERT INTO orphan SELECT 2 FROM pg_sleep(0.3)"), wire.bind(), wire.execute(), wire.flush())
    if end == "terminate":
        c.send(wire.terminate())
    c.reset()
    d = p.client()
    assert d.one("SELECT count(*) FROM orphan") == "0"
    assert d.one("SELECT count(*) FROM orphan") == "0"
    assert d.one(PID) == pid


def test_client_that_dies_in_the_middle_of_a_message(make_pooler):
    """Half a Query was sent: nothing can be said to this server any more; the next client has a good one."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.ok("BEGIN")
    c.send(wire.query("SELECT " + "1" * 100000)[:50000])
    c.reset()
    assert p.client().one("SELECT 'next'") == "next"


@pytest.mark.differs  # PgBouncer 1.18 gives the rest of the replies to the next client
def test_client_that_dies_with_replies_owed(make_pooler):
    """A pipeline is under way; its replies must not reach the next client."""
    p = make_pooler(default_pool_size=1)
    for turn in range(5):
        c = p.client()
        c.send(*[wire.group(f"SELECT 'old {i}' FROM pg_sleep(0.01)") for i in range(20)])
        c.expect("12")
        c.reset()
        d = p.client()
        assert d.query(f"SELECT 'new {turn}'").rows == [[f"new {turn}"]]


@pytest.mark.differs  # PgBouncer closes the connection, and the query runs on
def test_client_that_dies_while_its_query_runs(make_pooler, pg):
    """The query is cancelled; it would run far longer than the test waits."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("SELECT 'left alone' FROM pg_sleep(300)"))

    def running():
        return pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%left alone%' AND state = 'active'"
                      " AND pid <> pg_backend_pid()")
    wait_until(running)
    c.reset()
    assert p.client().one("SELECT 'next'") == "next"
    wait_until(lambda: not running())


def test_terminate_in_a_transaction(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.ok("BEGIN")
    c.send(wire.terminate())
    c.until_closed()
    assert p.client().query("SELECT 1").status == "I"


@pytest.mark.differs  # PgBouncer drops such messages and keeps the server
def test_server_that_says_too_much_is_closed(make_pooler, fake):
    """A reply that nobody asked for: never repaired, never given to anybody."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    c, session = fake.login(p)
    c.send(wire.query("SELECT 1"))
    session.recv()
    session.answer("one")
    assert c.until_ready().rows == [["one"]]
    session.answer("unasked")
    assert session.until_closed() is not None
    c.send(wire.query("SELECT 2"))
    second = fake.accept()
    while True:
        msg = second.recv()
        if msg.body == b"SELECT 2\0":
            break
        second.answer()
    second.answer("two")
    assert c.until_ready().rows == [["two"]]


def test_server_in_a_transaction_after_the_query_is_not_released(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    a, session = fake.login(p)
    b = p.client()
    a.send(wire.query("BEGIN"))
    session.recv()
    session.answer(status=b"T")
    a.until_ready()
    b.send(wire.query("SELECT 'b'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    assert not session.readable()


def test_postgres_restart(make_pooler, own_pg_factory):
    """Down: the client in a transaction is told; up again: clients are served once server_login_retry is over."""
    pg = own_pg_factory()
    p = make_pooler(postgres=pg, server_login_retry=1, query_wait_timeout=15)
    c = p.client()
    c.ok("BEGIN")
    idle = p.client()
    pg.stop("fast")
    errors = c.until_closed().errors
    assert errors[-1]["M"] == "server conn crashed?"
    pg.start()

    def served():
        try:
            return p.client().one("SELECT 1") == "1"
        except (wire.ServerError, wire.Closed):
            return False
    wait_until(served, 30, every=0.2)
    assert idle.one("SELECT 1") == "1"
