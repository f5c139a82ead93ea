# SPDX-License-Identifier: ISC
"""Many connections at once: all get in and out, and while queries are being served a turn of the loop does only a little for them."""
import signal

import pytest

from tests.support import wire
from tests.support.util import wait_until

pytestmark = pytest.mark.poolwise

MANY = 30  # more than begin in a turn while there are queries, fewer than begin when there are none


def paced(con):
    return sum(int(r["logins_paced"]) for r in con.show("WORKERS"))


def together(pooler, what):
    """The pooler sees all of it when it looks next."""
    pooler.signal(signal.SIGSTOP)
    try:
        what()
    finally:
        pooler.signal(signal.SIGCONT)


def arrive_together(pooler, meanwhile=None):
    """They all wait in the kernel's queue when the pooler looks next."""
    conns = []

    def arrive():
        for _ in range(MANY):
            c = wire.Conn(pooler.port)
            c.startup(user="u_trust", database="p0")
            conns.append(c)
        if meanwhile:
            meanwhile()

    together(pooler, arrive)
    return conns


def test_logins_are_paced_while_queries_are_served(make_pooler):
    p = make_pooler(worker_threads=1)
    con, busy = p.console(), p.client()
    before = paced(con)
    busy.ok("SELECT 1")
    for c in arrive_together(p, lambda: busy.send(wire.query("SELECT 2"))):
        c.until_ready()
        c.close()
    busy.until_ready()
    assert paced(con) > before


def test_all_get_in(make_pooler, workers):
    p = make_pooler(**workers)
    con, busy = p.console(), p.client()
    new = [c for _ in range(3) for c in arrive_together(p)]
    for c in new:
        c.until_ready()
    for c in new:
        assert c.one("SELECT 3") == "3"
        c.close()
    wait_until(lambda: sum(int(r["clients"]) for r in con.show("WORKERS")) == 2)
    busy.ok("SELECT 4")


def test_logins_are_not_paced_when_nobody_asks_anything(make_pooler):
    p = make_pooler(worker_threads=1)
    con = p.console()
    p.client().ok("SELECT 1")
    with p.client():  # a login after the last query: none has been passed since
        before = paced(con)
        for c in arrive_together(p):
            c.until_ready()
            c.close()
        assert paced(con) == before


def test_a_request_that_comes_with_the_login(make_pooler):
    """Both are read at once, before the loop is asked for the socket."""
    p = make_pooler(worker_threads=1)
    with wire.Conn(p.port) as c:
        c.send(wire.startup_packet({"user": "u_trust", "database": "p0"}), wire.query("SELECT 7"))
        assert c.until_ready().error is None
        assert "D" in c.until_ready().types


def test_farewells_are_paced_while_queries_are_served(make_pooler):
    p = make_pooler(worker_threads=1)
    con, busy = p.console(), p.client()
    conns = [p.client() for _ in range(4 * MANY)]
    before = paced(con)

    def all_leave():
        busy.send(wire.query("SELECT 2"))
        for c in conns:
            c.send(wire.terminate())

    busy.ok("SELECT 1")
    together(p, all_leave)
    busy.until_ready()
    wait_until(lambda: sum(int(r["clients"]) for r in con.show("WORKERS")) == 2)
    assert paced(con) > before


def test_what_was_said_before_the_end_is_heard(make_pooler):
    """The second half of the start-up packet comes with the end of the connection."""
    p = make_pooler(worker_threads=1, log_connections=1)
    busy, conns = p.client(), [wire.Conn(p.port) for _ in range(8 * MANY)]
    packet = wire.startup_packet({"user": "u_trust", "database": "p0"})
    for c in conns:
        c.send(packet[:9])

    def say_and_go():
        busy.send(wire.query("SELECT 2"))
        for c in conns:
            c.send(packet[9:])
            c.close()

    busy.ok("SELECT 1")
    together(p, say_and_go)
    busy.until_ready()
    p.wait_log("login attempt", count=1 + len(conns))
