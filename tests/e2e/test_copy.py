# SPDX-License-Identifier: ISC
"""COPY in and out, and errors in the middle of them (design rule 4)."""
import pytest

from support import wire
from support.util import wait_until


@pytest.fixture(autouse=True)
def table(pg):
    run(pg, "DROP TABLE IF EXISTS copied; CREATE TABLE copied(id int PRIMARY KEY, t text)")
    yield
    run(pg, "DROP TABLE IF EXISTS copied")


def run(pg, sql):
    conn = pg.connect()
    conn.execute(sql)
    conn.close()


def clean(p):
    """No server is stuck, and the next client gets its own answer."""
    con = p.console()
    wait_until(lambda: con.pool()["sv_active"] == 0)
    assert p.client().one("SELECT 'next'") == "next"


def test_copy_in(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(*[wire.copy_data(f"{i}\tv{i}\n") for i in range(1000)], wire.copy_done())
    assert c.until_ready().tags == ["COPY 1000"]
    assert c.one("SELECT count(*) FROM copied") == "1000"
    clean(p)


def test_copy_in_keeps_its_server(make_pooler):
    p = make_pooler(default_pool_size=1)
    c, d = p.client(), p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(wire.copy_data("1\tx\n"))
    d.send(wire.query("SELECT 'd'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    assert not d.readable()
    c.send(wire.copy_done())
    assert c.until_ready().tags == ["COPY 1"]
    assert d.until_ready().rows == [["d"]]


def test_copy_in_large(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    line = "x" * 8000
    for i in range(2000):
        c.send(wire.copy_data(f"{i}\t{line}\n"))
    c.send(wire.copy_done())
    assert c.until_ready().tags == ["COPY 2000"]
    clean(p)


@pytest.mark.parametrize("chunk", [7, 1009, 70001])
def test_copy_in_cut_anywhere(make_pooler, chunk):
    """Each read begins and ends in another place of a message; the end of the copy and the next query come along."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    n = min(20000, 200 * chunk)
    data = b"".join(wire.copy_data(f"{i}\t{'v' * (i % 23)}\n") for i in range(n)) + wire.copy_done() + wire.query("SELECT 'behind'")
    c.copy_in_start("COPY copied FROM STDIN")
    for at in range(0, len(data), chunk):
        c.send(data[at:at + chunk])
    assert c.until_ready().tags == [f"COPY {n}"]
    assert c.until_ready().rows == [["behind"]]
    assert c.query("SELECT count(*), sum(id), sum(length(t)) FROM copied").rows == [[str(n), str(n * (n - 1) // 2), str(sum(i % 23 for i in range(n)))]]
    clean(p)


@pytest.mark.parametrize("bad, text", [(b"d\0\0\0\x03", "bad packet header: '6400000003"), (b"d\0\0\x0f\xff" + b"x" * 4091, "bad packet header: '6400000fff"),
                                       (b"?\0\0\0\x08", "unknown pkt")], ids=["short", "long", "unknown"])
def test_copy_in_with_a_bad_message_between_rows(make_pooler, bad, text):
    """A length that cannot be, one above max_packet_size, a type that is none: nothing of the copy is kept, nobody else is touched."""
    p = make_pooler(default_pool_size=1, max_packet_size=2048)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    rows = b"".join(wire.copy_data(f"{i}\tx\n") for i in range(100))
    c.send(rows + bad + rows + wire.copy_done())
    assert text in c.fatal()["M"]
    clean(p)
    assert p.client().one("SELECT count(*) FROM copied") == "0"


def test_copy_in_that_the_client_fails(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(wire.copy_data("1\tx\n"), wire.copy_fail("changed my mind"))
    result = c.until_ready()
    assert result.error["C"] == "57014" and "changed my mind" in result.error["M"] and result.status == "I"
    assert c.one("SELECT count(*) FROM copied") == "0"
    clean(p)


def test_copy_in_server_error_while_the_client_goes_on_sending(make_pooler, tap, workers):
    """After the error the rest of the client's CopyData and its CopyDone must reach nobody else (pgbouncer #1471, #1025)."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1, **workers)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(wire.copy_data("not a number\tx\n"))
    assert c.expect("E")
    c.expect("Z")
    other = p.client()
    assert other.one("SELECT 'other'") == "other"
    c.send(*[wire.copy_data(f"{i}\tx\n") for i in range(100)], wire.copy_done())
    assert c.one("SELECT 'still here'") == "still here"
    assert other.one("SELECT count(*) FROM copied") == "0"
    assert b"99\tx\n" not in tap.all_to_server() and b"still here" in tap.all_to_server()
    clean(p)


@pytest.mark.newer
def test_copy_in_server_error_with_everything_sent_at_once(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("COPY copied FROM STDIN"), wire.copy_data("1\ta\n"), wire.copy_data("bad\tb\n"),
           *[wire.copy_data(f"{i}\tx\n") for i in range(2000)], wire.copy_done(), wire.query("SELECT 'after'"))
    first = c.until_ready()
    assert first.error["C"] == "22P02"
    assert c.until_ready().rows == [["after"]]
    clean(p)


def test_copy_that_never_starts_with_data_sent_ahead(make_pooler):
    """The COPY fails at once (no such table); its data are stray messages that PostgreSQL drops."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("COPY nosuch FROM STDIN"), wire.copy_data("1\tx\n"), wire.copy_done(), wire.query("SELECT 'after'"))
    assert c.until_ready().error["C"] == "42P01"
    assert c.until_ready().rows == [["after"]]
    clean(p)


def test_copy_in_by_extended_protocol(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.parse("COPY copied FROM STDIN"), wire.bind(), wire.execute(), wire.sync())
    c.expect("12G")
    c.send(wire.copy_data("1\tx\n"), wire.copy_done(), wire.sync())
    result = c.until_ready()
    assert result.tags == ["COPY 1"]
    assert c.one("SELECT count(*) FROM copied") == "1"
    clean(p)


def test_copy_in_by_extended_protocol_with_an_error(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.parse("COPY copied FROM STDIN"), wire.bind(), wire.execute(), wire.flush())
    c.expect("12G")
    c.send(wire.copy_data("bad\tx\n"))
    c.expect("E")
    c.send(wire.copy_data("2\tx\n"), wire.copy_done(), wire.sync())
    assert c.until_ready().status == "I"
    assert c.one("SELECT 'after'") == "after"
    clean(p)


def test_copy_out(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    result = c.query("COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 5000) g) TO STDOUT")
    assert result.tags == ["COPY 5000"] and result.types.count("d") == 5000
    clean(p)


def test_copy_out_that_fails_in_the_middle(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    result = c.query("COPY (SELECT 1/(4000 - g) FROM generate_series(1, 5000) g) TO STDOUT")
    assert result.error["C"] == "22012" and result.status == "I"
    assert c.one("SELECT 1") == "1"
    clean(p)


def test_client_dies_in_copy_in(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(*[wire.copy_data(f"{i}\tx\n") for i in range(100)])
    c.reset()
    wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE datname = 'p0' AND state <> 'idle'") == 0)
    d = p.client()
    assert d.one("SELECT count(*) FROM copied") == "0"
    clean(p)


def test_client_dies_in_copy_out(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.query("COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 200000) g) TO STDOUT"))
    c.expect("H")
    c.reset()
    assert p.client().one("SELECT 'next'") == "next"
    clean(p)


def test_copy_in_a_transaction(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.ok("BEGIN")
    c.copy_in_start("COPY copied FROM STDIN")
    c.send(wire.copy_data("1\tx\n"), wire.copy_done())
    assert c.until_ready().status == "T"
    assert c.query("ROLLBACK").status == "I"
    assert c.one("SELECT count(*) FROM copied") == "0"
