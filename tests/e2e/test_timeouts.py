# SPDX-License-Identifier: ISC
"""Each timeout: it fires with its own text, and not where it should not."""
import datetime
import re
import signal
import struct
import time

import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def fatal(conn):
    err = conn.fatal()
    assert err["S"] == "FATAL" and err["C"] == "08P01", err
    return err["M"]


def test_client_login_timeout(make_pooler):
    p = make_pooler(client_login_timeout=1)
    start = time.monotonic()
    assert fatal(p.raw()) == "client_login_timeout"
    assert 0.9 < time.monotonic() - start < 5
    p.wait_log(r"closing because: client_login_timeout \(age=\d+s\)")


def test_client_login_timeout_in_the_middle_of_the_login(make_pooler):
    p = make_pooler(client_login_timeout=1, auth_type="plain", auth_file={"u_plain": "plain pass"})
    c = p.raw()
    c.startup(user="u_plain", database="p0")
    c.expect("R")
    assert fatal(c) == "client_login_timeout"


def test_client_login_timeout_does_not_hit_a_logged_in_client(make_pooler):
    p = make_pooler(client_login_timeout=1)
    early = p.client()
    assert fatal(p.raw()) == "client_login_timeout"  # later than `early`: its second is over, too
    assert early.one("SELECT 1") == "1"


def test_client_idle_timeout(make_pooler):
    p = make_pooler(client_idle_timeout=1)
    c = p.client()
    c.ok("SELECT 1")
    assert fatal(c) == "client_idle_timeout"


def test_client_idle_timeout_does_not_count_a_running_query(make_pooler):
    p = make_pooler(client_idle_timeout=1)
    assert p.client().one("SELECT 'done' FROM pg_sleep(2.5)") == "done"


def test_idle_transaction_timeout(make_pooler, pg):
    p = make_pooler(idle_transaction_timeout=1)
    c = p.client()
    c.ok("BEGIN")
    assert fatal(c) == "idle transaction timeout"
    assert p.client().one("SELECT 1") == "1"
    wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == 0)


def test_idle_transaction_timeout_does_not_count_a_running_query(make_pooler):
    p = make_pooler(idle_transaction_timeout=1)
    c = p.client()
    c.ok("BEGIN")
    assert c.one("SELECT 'done' FROM pg_sleep(2.5)") == "done"
    assert c.query("COMMIT").status == "I"


@pytest.mark.newer
def test_transaction_timeout(make_pooler):
    p = make_pooler(transaction_timeout=2)
    c = p.client()
    c.ok("BEGIN")
    end = time.monotonic() + 10
    with pytest.raises(wire.ServerError) as e:
        while time.monotonic() < end:
            c.ok("SELECT pg_sleep(0.1)")
    assert (e.value.code, e.value.message) == ("08P01", "transaction timeout")


@pytest.mark.newer
def test_transaction_timeout_counts_each_transaction_anew(make_pooler):
    p = make_pooler(transaction_timeout=2)
    c = p.client()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        c.ok("BEGIN")
        c.ok("SELECT pg_sleep(0.2)")
        c.ok("COMMIT")


def test_query_timeout(make_pooler):
    p = make_pooler(query_timeout=1)
    c = p.client()
    c.send(wire.query("SELECT pg_sleep(4)"))
    assert fatal(c) == "query timeout"
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.newer
@pytest.mark.parametrize("setting, text", [("query_timeout", "query timeout"), ("idle_transaction_timeout", "idle transaction timeout"),
                                           ("client_idle_timeout", "client_idle_timeout"),
                                           ("transaction_timeout", "transaction timeout")])
def test_timeouts_of_one_user_leave_the_others_alone(make_pooler, setting, text):
    """Also: PgBouncer drops idle clients of every user once one has a client_idle_timeout."""
    p = make_pooler(users={"u_trust": f"{setting}=1"})
    other = p.client(user="postgres")
    other.ok("SELECT 1")
    c = p.client(user="u_trust")
    if setting == "query_timeout":
        c.send(wire.query("SELECT pg_sleep(4)"))
    elif setting != "client_idle_timeout":
        c.ok("BEGIN")
    assert fatal(c) == text
    assert other.one("SELECT 1") == "1"


def test_server_idle_timeout(make_pooler, pg):
    p = make_pooler(server_idle_timeout=1)
    p.client().ok("SELECT 1")
    assert len(pg.backends()) == 1
    wait_until(lambda: pg.backends() == [])
    p.wait_log(r"S-\S+: p0/postgres@\S+ closing because: server idle timeout \(age=\d+s\)")


def test_server_lifetime(make_pooler, pg):
    p = make_pooler(server_lifetime=1)
    c = p.client()
    first = c.one(PID)
    wait_until(lambda: int(first) not in pg.backends())
    p.wait_log("closing because: server lifetime over")
    assert c.one(PID) != first


def test_server_lifetime_spares_a_server_in_use(make_pooler):
    p = make_pooler(server_lifetime=1)
    c = p.client()
    c.ok("BEGIN")
    first = c.one(PID)
    c.ok("SELECT pg_sleep(2.5)")
    assert c.one(PID) == first
    assert c.query("COMMIT").status == "I"


def test_server_lifetimes_do_not_end_together(make_pooler, pg):
    """Ten servers opened in one go: they get up to a tenth less, each a part of its own."""
    p = make_pooler(server_lifetime=10, default_pool_size=10)
    clients = [p.client() for _ in range(10)]
    for c in clients:
        c.ok("BEGIN")
    for c in clients:
        c.ok("COMMIT")
    assert len(pg.backends()) == 10
    p.wait_log("closing because: server lifetime over", count=10, deadline=30)
    begin, end = {}, {}
    for at, server, what in re.findall(r"^(\S+ \S+) UTC .* LOG (S-\S+): \S+ (new connection|closing because: server lifetime)", p.log(), re.M):
        (begin if what == "new connection" else end)[server] = datetime.datetime.fromisoformat(at).timestamp()
    ages = [end[s] - begin[s] for s in end]
    assert len(ages) == 10 and max(ages) - min(ages) > 0.5, ages


def test_server_connect_timeout(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, server_connect_timeout=1, query_wait_timeout=20, server_login_retry=1)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    session = fake.accept_raw()  # says nothing
    assert session.until_closed().types in ("", "X")
    p.wait_log("closing because: connect timeout")


def test_server_login_retry_pauses_between_attempts(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, server_login_retry=2, query_wait_timeout=20)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    first = fake.accept_raw()
    start = time.monotonic()
    first.close()
    second = fake.accept_raw()
    assert 1.5 < time.monotonic() - start < 8
    second.welcome()
    c.authenticate("postgres", None)


def test_query_timeout_zero_and_the_others_are_off_by_default(make_pooler):
    p = make_pooler()
    config = {r["key"]: r["value"] for r in p.console().show("CONFIG")}
    for key in ("query_timeout", "idle_transaction_timeout", "client_idle_timeout"):
        assert float(config[key]) == 0, key
    assert float(config["query_wait_timeout"]) == 120


def test_autodb_idle_timeout(make_pooler, pg):
    p = make_pooler(databases={"*": f"host=127.0.0.1 port={pg.port}"}, autodb_idle_timeout=1, server_idle_timeout=1)
    c = p.client("p1")
    c.ok("SELECT 1")
    p.wait_log("registered new auto-database: (db=)?p1")
    con = p.console()
    assert "p1" in [r["name"] for r in con.show("DATABASES")]
    assert con.stats("p1")["total_query_count"] == 1
    c.send(wire.terminate())
    wait_until(lambda: "p1" not in [r["name"] for r in con.show("DATABASES")], 30)
    wait_until(lambda: con.pool("p1") is None, 30)
    wait_until(lambda: con.stats("p1") is None, 30)  # no row for it as long as the process lives
    assert {"name": "total_server_assignment_count", "value": "1"} in con.show("TOTALS"), "what it counted stays in the sums"
    assert p.client("p1").one("SELECT current_database()") == "p1"


@pytest.mark.newer
def test_cancel_wait_timeout(make_pooler, fake):
    """The server accepts no second connection in time: the cancel request is given up, nothing else suffers."""
    p = make_pooler(databases={"p0": fake_line(fake)}, cancel_wait_timeout=1, default_pool_size=1)
    c, session = fake.login(p)
    c.send(wire.query("SELECT 'slow'"))
    assert session.recv().type == "Q"
    k = p.raw()  # the kernel takes the second connection, nobody reads it or ends it
    k.send(struct.pack("!ii", 8 + len(c.key), 80877102) + c.key)
    k.until_closed()
    session.answer("slow")
    assert c.until_ready().rows == [["slow"]]


def test_server_check_query_after_server_check_delay(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, server_check_query="select 'check'", server_check_delay=1,
                    default_pool_size=1)
    c, session = fake.login(p)

    def ask():
        c.send(wire.query("SELECT 1"))
        msg = session.recv()
        if b"check" in msg.body:
            session.answer("check")
            assert session.recv().body == b"SELECT 1\0"
            session.answer()
            c.until_ready()
            return True
        assert msg.body == b"SELECT 1\0"
        session.answer()
        c.until_ready()
        return False
    ask()  # the first may be checked or not (idle since the login)
    assert ask() is False, "checked although it was used just now"
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > 2.2)
    assert ask() is True


def test_a_check_query_that_fails_is_an_answer(make_pooler):
    """As in PgBouncer: the server is alive."""
    p = make_pooler(server_check_query="select nosuch", server_check_delay=0, default_pool_size=1)
    c = p.client()
    pids = {c.one("SELECT pg_backend_pid()") for _ in range(3)}
    assert len(pids) == 1
    p.wait_log('server_check_query failed: column "nosuch" does not exist')


@pytest.mark.newer
def test_server_that_fails_its_check_is_replaced(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, server_check_query="select 'check'", server_check_delay=0,
                    default_pool_size=1)
    c, session = fake.login(p)
    c.send(wire.query("SELECT 1"))
    assert b"check" in session.recv().body
    session.close()
    second = fake.accept()
    msg = second.recv()
    if b"check" in msg.body:
        second.answer("check")
        msg = second.recv()
    assert msg.body == b"SELECT 1\0"
    second.answer("fine")
    assert c.until_ready().rows == [["fine"]]


@pytest.mark.poolwise
def test_what_came_while_the_process_stood_still_is_in_time(make_pooler, pg):
    """A container that was frozen, or a machine that was moved: the query was over long before its query_timeout."""
    p = make_pooler(query_timeout=3)
    c = p.client()
    pid = int(c.one(PID))
    state = lambda: pg.one("SELECT state FROM pg_stat_activity WHERE pid = %s", pid)
    begun = time.monotonic()
    c.send(wire.query("SELECT 'done' FROM pg_sleep(0.5)"))
    wait_until(lambda: state() == "active", every=0.001)
    p.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: state() == "idle" and time.monotonic() - begun > 3.2)
    finally:
        p.signal(signal.SIGCONT)
    assert c.until_ready().rows == [["done"]]
