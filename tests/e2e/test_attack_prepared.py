# SPDX-License-Identifier: ISC
"""Named prepared statements where a request is discarded, fails or is cut off half-way."""
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.newer


def prepared_pooler(make_pooler, **more):
    return make_pooler(default_pool_size=2, max_prepared_statements=20, **more)


def test_parse_that_the_server_skips(make_pooler):
    """After an error, before Sync: a named Parse is discarded by the server, and so must be its name."""
    p = prepared_pooler(make_pooler)
    c = p.client()
    c.send(wire.parse("SELEKT"), wire.flush())
    c.expect("E")
    c.send(wire.parse("SELECT 'skipped'", "s1"), wire.bind("", "s1"), wire.execute(), wire.sync())
    assert c.until_ready().types == "Z"
    c.send(wire.group("SELECT 'skipped'", name="s1"))
    result = c.until_ready()
    assert (result.errors, result.rows) == ([], [["skipped"]])
    d = p.client()
    d.send(wire.group("SELECT 'skipped'", name="other"))
    assert d.until_ready().rows == [["skipped"]]


def test_query_timeout_with_named_statements_in_the_queue(make_pooler):
    p = prepared_pooler(make_pooler, query_timeout=1)
    c = p.client()
    c.send(wire.query("SELECT pg_sleep(30)"), wire.group("SELECT 1", name="a"), wire.close("S", "a"),
           wire.parse("SELECT 2", "b"), wire.sync())
    assert c.fatal()["M"] == "query timeout"
    assert p.client().one("SELECT 1") == "1"


def test_error_of_a_parse_of_the_poolers_own_reaches_the_client(make_pooler, pg):
    """The statement is prepared anew on another server, where its table is gone by now."""
    p = prepared_pooler(make_pooler)
    c, other = p.client(), p.client()
    c.ok("DROP TABLE IF EXISTS gone_soon; CREATE TABLE gone_soon (i int)")
    c.send(wire.parse("SELECT i FROM gone_soon", "g"), wire.sync())
    assert c.until_ready().types == "1Z"
    c.ok("DROP TABLE gone_soon")
    p.console().do("RECONNECT p0")
    wait_until(lambda: not p.console().servers(), what="the old servers are closed")
    c.send(wire.bind("", "g"), wire.execute(), wire.sync())
    result = c.until_ready()
    assert result.types == "EZ" and result.error["C"] == "42P01"
    assert c.one("SELECT 1") == "1"
    assert other.one("SELECT 2") == "2"


def test_close_is_answered_after_what_was_before_it(make_pooler):
    """Execute, Close, Flush: CloseComplete comes without another message from the server."""
    p = prepared_pooler(make_pooler)
    c = p.client()
    c.send(wire.parse("SELECT 1", "x"), wire.sync())
    c.until_ready()
    c.send(wire.bind("", "x"), wire.execute(), wire.close("S", "x"), wire.flush())
    c.expect("2DC3")
    c.send(wire.sync())
    c.expect("Z")


def test_parse_known_to_the_server_behind_a_describe(make_pooler):
    p = prepared_pooler(make_pooler)
    c = p.client()
    c.send(wire.parse("SELECT 1", "x"), wire.sync())
    c.until_ready()
    c.send(wire.describe("S", "x"), wire.parse("SELECT 1", "y"), wire.flush())
    c.expect("tT1")
    c.send(wire.bind("", "y"), wire.execute(), wire.sync())
    assert c.until_ready().rows == [["1"]]


def test_dropped_names_are_free_again(make_pooler):
    """Two names for one text; the second Parse is discarded because of an error between them."""
    p = prepared_pooler(make_pooler)
    c = p.client()
    c.send(wire.parse("SELECT 'twin'", "one"), wire.bind("", "one"), wire.parse("SELEKT"),
           wire.parse("SELECT 'twin'", "two"), wire.sync())
    assert c.until_ready().types == "12EZ"
    c.send(wire.group("SELECT 'twin'", name="two"))
    assert c.until_ready().rows == [["twin"]]


def test_client_dies_with_named_statements_in_the_queue(make_pooler):
    """Entries of a client that is gone are dropped once each, and the servers stay usable."""
    p = prepared_pooler(make_pooler)
    for i in range(6):
        c = p.client()
        c.send(wire.query("SELECT pg_sleep(0.05)"), wire.group(f"SELECT {i}", name="a"), wire.close("S", "a"),
               wire.parse(f"SELECT {i} + 1", "b"), *([wire.sync()] if i % 2 else []))
        c.reset()
    d = p.client()
    for i in range(6):
        d.send(wire.group(f"SELECT {i}", name=f"n{i}"))
        result = d.until_ready()
        assert (result.errors, result.rows) == ([], [[str(i)]])


def test_answers_of_our_own_are_not_expected_from_the_server(make_pooler):
    """A client dies while ParseComplete and CloseComplete are the pooler's to give: its server is recovered."""
    p = make_pooler(default_pool_size=1, max_prepared_statements=20)
    d = p.client()
    d.send(wire.group("SELECT 'known'", name="k"))
    d.until_ready()
    pid = d.one("SELECT pg_backend_pid()")
    for sync in (b"", wire.sync()):
        c = p.client()
        c.send(wire.query("SELECT pg_sleep(0.2)"), wire.parse("SELECT 'known'", "mine"), wire.bind("", "mine"), wire.execute(),
               wire.close("S", "mine"), sync)
        wait_until(lambda: p.console().pool()["sv_active"] == 1, what="the batch is on its way")
        c.reset()
        assert d.one("SELECT pg_backend_pid()") == pid
