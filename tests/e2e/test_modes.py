# SPDX-License-Identifier: ISC
"""Pool modes: who keeps a server, and for how long."""
import struct

import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def test_transaction_mode_shares_one_server(make_pooler, workers):
    p = make_pooler(default_pool_size=1, **workers)
    a, b = p.client(), p.client()
    assert a.one(PID) == b.one(PID) == a.one(PID)


def test_transaction_mode_keeps_the_server_in_a_transaction(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    a, b = p.client(), p.client()
    assert a.query("BEGIN").status == "T"
    mine = a.one(PID)
    assert [b.one(PID) for _ in range(5)].count(mine) == 0
    assert a.one(PID) == mine
    assert a.query("COMMIT").status == "I"


def test_transaction_mode_failed_transaction_keeps_the_server(make_pooler):
    p = make_pooler(default_pool_size=2)
    a, b = p.client(), p.client()
    a.ok("BEGIN")
    mine = a.one(PID)
    assert a.query("SELECT 1/0").status == "E"
    assert b.one(PID) != mine
    assert a.query("ROLLBACK").status == "I"


def test_session_mode_keeps_the_server_until_disconnect(make_pooler, workers):
    p = make_pooler(pool_mode="session", default_pool_size=2, **workers)
    a, b = p.client(), p.client()
    pid_a, pid_b = a.one(PID), b.one(PID)
    assert pid_a != pid_b
    assert a.one(PID) == pid_a and b.one(PID) == pid_b
    c = p.client()
    c.send(wire.query(PID))
    wait_until(lambda: p.console().pool()["cl_waiting"] == 1)
    assert not c.readable()
    b.send(wire.terminate())
    assert c.until_ready().rows == [[pid_b]]


def test_session_mode_resets_the_server_for_the_next_client(make_pooler):
    p = make_pooler(pool_mode="session", default_pool_size=1)
    a = p.client()
    a.ok("CREATE TEMP TABLE leak(i int)")
    a.ok("SET work_mem = '7MB'")
    pid = a.one(PID)
    a.send(wire.terminate())
    b = p.client()
    assert b.one(PID) == pid
    assert b.one("SELECT count(*) FROM pg_class WHERE relname = 'leak'") == "0"
    assert b.one("SHOW work_mem") == "4MB"


def test_server_reset_query_always_runs_in_transaction_mode(make_pooler):
    p = make_pooler(default_pool_size=1, server_reset_query="SET work_mem = '9MB'", server_reset_query_always=1)
    a, b = p.client(), p.client()
    a.ok("SELECT 1")
    assert b.one("SHOW work_mem") == "9MB"


def test_statement_mode_refuses_a_transaction_block(make_pooler):
    p = make_pooler(pool_mode="statement", default_pool_size=1)
    a = p.client()
    assert a.one("SELECT 1") == "1"
    a.send(wire.query("BEGIN"))
    _refused_block(a)
    assert p.client().one("SELECT 2") == "2"


@pytest.mark.parametrize("sent", [
    wire.query("BEGIN") + wire.query("SELECT 'inside'") + wire.query("COMMIT"),
    wire.parse("BEGIN") + wire.bind() + wire.execute() + wire.sync() + wire.query("SELECT 'inside'") + wire.query("COMMIT"),
    wire.query("BEGIN; SELECT nosuch"), wire.query("BEGIN") + wire.query("SELECT 1")[:7]])
def test_statement_mode_refuses_a_pipelined_transaction_block(make_pooler, sent):
    p = make_pooler(pool_mode="statement", default_pool_size=1)
    a = p.client()
    a.send(sent)
    assert "inside" not in str(_refused_block(a).rows)
    assert p.client().one("SELECT 2") == "2"


@pytest.mark.poolwise
@pytest.mark.parametrize("sent", [
    wire.query("BEGIN"), wire.query("BEGIN; SELECT 1"), wire.query("BEGIN") + wire.query("SELECT 1") + wire.query("COMMIT"),
    wire.parse("BEGIN") + wire.bind() + wire.execute() + wire.sync()])
def test_statement_mode_keeps_the_server_of_a_refused_block(make_pooler, sent):
    """It goes back to the pool at once, rolled back: nobody waits until somebody gives it up."""
    p = make_pooler(pool_mode="statement", default_pool_size=1, server_recovery_timeout=0)
    a = p.client()
    pid = a.one("SELECT pg_backend_pid()")
    a.send(sent)
    _refused_block(a)
    assert p.client().one("SELECT pg_backend_pid()") == pid


@pytest.mark.poolwise
def test_statement_mode_refuses_a_block_with_a_large_reply_behind_it(make_pooler, fake):
    """The walk ends in the middle of a row. None of it went to the client, which can be told."""
    p = make_pooler(databases={"p0": fake_line(fake)}, pool_mode="statement", default_pool_size=1, server_check_query="")
    a, server = fake.login(p)
    a.send(wire.query("BEGIN") + wire.query("SELECT repeat('x', 1000000)"))
    server.expect("Q")
    server.expect("Q")
    row = wire.message("D", struct.pack("!hi", 1, 1_000_000) + b"x" * 1_000_000)
    server.send(wire.message("C", wire.cstr("BEGIN")) + wire.message("Z", b"T") + row[:20])
    assert _refused_block(a).types == "CE"
    fake.accept_raw().close()  # the cancel request for what still runs
    server.send(row[20:], wire.message("C", wire.cstr("SELECT 1")), wire.message("Z", b"T"))
    assert server.expect("Q")[-1].body == b"ROLLBACK\0"


def _refused_block(c):
    """libpq takes the last result before ReadyForQuery: there must be none before the error."""
    result = c.until_closed()
    err = result.errors[-1]
    assert (err["S"], err["C"]) == ("FATAL", "08P01")
    assert err["M"] == "transaction blocks not allowed in statement pooling mode"
    assert "Z" not in result.types
    return result


def test_statement_mode_allows_a_multi_statement_query(make_pooler):
    p = make_pooler(pool_mode="statement", default_pool_size=1)
    result = p.client().query("SELECT 1; SELECT 2")
    assert result.rows == [["1"], ["2"]] and result.status == "I"


def test_pool_mode_of_a_database_wins_over_the_global_one(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(pool_mode="session"), "p1": pg.line("p1")}, default_pool_size=1)
    rows = {r["database"]: r["pool_mode"] for r in _pools(p, "p0", "p1")}
    assert rows == {"p0": "session", "p1": "transaction"}


def test_pool_mode_of_a_user_wins_over_the_database(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(pool_mode="statement")}, users={"u_trust": "pool_mode=session"},
                    default_pool_size=1)
    a = p.client(user="u_trust")
    assert a.query("BEGIN").status == "T"
    p.client(user="postgres").send(wire.query("BEGIN"))
    p.wait_log("transaction blocks not allowed in statement pooling mode")
    assert a.query("COMMIT").status == "I"


@pytest.mark.poolwise
def test_a_client_keeps_its_mode_when_that_changes(make_pooler):
    """Its session state and prepared statements are kept in that mode's way. Who comes after the change has the new one."""
    p = make_pooler(default_pool_size=1)
    a = p.client()
    a.ok("SELECT 1")
    con = p.console()
    con.do("SET pool_mode = session")
    a.ok("SELECT 1")
    assert con.pool()["sv_idle"] == 1
    b = p.client()
    b.ok("SELECT 1")
    assert con.pool()["sv_idle"] == 0
    con.do("SET pool_mode = transaction")
    b.ok("SELECT 1")
    assert con.pool()["sv_idle"] == 0


def _pools(p, *names):
    for n in names:
        p.client(n).ok("SELECT 1")
    return [r for r in p.console().show("POOLS") if r["database"] in names]


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_every_mode_runs_simple_and_extended(make_pooler, mode):
    p = make_pooler(pool_mode=mode)
    c = p.client()
    assert c.one("SELECT 41 + 1") == "42"
    c.send(wire.group("SELECT $1::int + 1", ["41"]))
    result = c.until_ready()
    assert result.rows == [["42"]] and result.types == "12DCZ"
