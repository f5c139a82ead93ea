# SPDX-License-Identifier: ISC
"""Buffers that were needed for something large are given back when it is over (SHOW MEM)."""
import socket

import pytest

from support import wire
from support.util import wait_until

LARGE = 4 * 1024 * 1024
BUFFERS = ("client_held_bytes", "client_unsent_bytes", "server_held_bytes")


def mem(con):
    rows = {r["name"]: int(r["memtotal"]) for r in con.show("MEM")}
    return {name: rows[name] for name in BUFFERS}


def is_given_back(con, before):
    """The console's own question is in one of them, so they are never all empty."""
    wait_until(lambda: mem(con) == before, what=f"{before} again")


def test_a_client_that_asks_and_never_reads(make_pooler):
    """Its requests wait until it has read the answers to the ones before; no server waits with it."""
    p = make_pooler(default_pool_size=1, tcp_socket_buffer=16384)
    con, c = p.console(), p.client()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    before = mem(con)

    def ask():
        c.send(wire.query("SELECT repeat('x', 1000)"))
        wait_until(lambda: all(row["sv_active"] == "0" for row in con.show("POOLS")))

    asked = 0
    while mem(con)["client_unsent_bytes"] <= before["client_unsent_bytes"]:
        ask()
        asked += 1
    unsent = mem(con)["client_unsent_bytes"]
    for _ in range(100):
        ask()
    assert mem(con)["client_unsent_bytes"] == unsent
    for _ in range(asked + 100):
        assert c.until_ready().rows == [["x" * 1000]]
    is_given_back(con, before)


@pytest.fixture
def large(make_pooler):
    return make_pooler(default_pool_size=1)


def test_a_large_query_that_waited(large):
    con, first, second = large.console(), large.client(), large.client()
    first.query("BEGIN")
    before = mem(con)
    text = "SELECT length('" + "x" * 50000 + "')"
    second.send(*[wire.query(text) for _ in range(2)])
    wait_until(lambda: mem(con)["client_held_bytes"] > 32768)
    first.query("COMMIT")
    for _ in range(2):
        assert second.until_ready().rows == [["50000"]]
    is_given_back(con, before)


def test_a_large_query(large):
    con, c = large.console(), large.client()
    c.query("SELECT 1")
    before = mem(con)
    assert c.one("SELECT length('" + "x" * LARGE + "')") == str(LARGE)
    is_given_back(con, before)


def test_a_large_result_that_nobody_reads(large):
    con, c = large.console(), large.client()
    c.query("SELECT 1")
    before = mem(con)
    c.send(wire.query(f"SELECT repeat('x', 8000) FROM generate_series(1, {LARGE // 1000})"))
    wait_until(lambda: mem(con)["client_unsent_bytes"] > 0)
    most = next(int(r["size"]) for r in con.show("MEM") if r["name"] == "iobuf_cache")
    assert mem(con)["client_unsent_bytes"] <= 2 * most  # a buffer for what one read brought: more is not read while the client is full
    assert len(c.until_ready().rows) == LARGE // 1000
    is_given_back(con, before)


def test_a_group_that_may_have_to_be_sent_again(large):
    """Its server keeps the buffer: the next such group needs it again."""
    con, c = large.console(), large.client()
    c.send(wire.parse("SELECT length($1::text)", "s"), wire.sync())
    c.until_ready()
    before = mem(con)["server_held_bytes"]
    for _ in range(2): # the plan must be there already
        c.send(wire.bind(statement="s", params=["x" * 10000]), wire.describe("P", ""), wire.execute(), wire.sync())
        assert c.until_ready().rows == [["10000"]]
    assert mem(con)["server_held_bytes"] >= before + 10000
