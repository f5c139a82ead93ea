# SPDX-License-Identifier: ISC
"""Named prepared statements in transaction mode: they follow their client from server to server."""
import psycopg
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.newer  # PgBouncer has them since 1.21


def run(c, name, params=(), want=None):
    c.send(wire.bind("", name, params), wire.execute(), wire.sync())
    result = c.until_ready()
    if want is not None:
        assert result.rows == [[want]], result.messages
    return result


def prepare(c, name, sql, oids=()):
    c.send(wire.parse(sql, name, oids), wire.sync())
    result = c.until_ready()
    assert result.types == "1Z", result.messages


def test_a_statement_follows_its_client(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    a, b = p.client(), p.client()
    prepare(a, "s1", "SELECT $1::int + 1")
    pids = set()
    for i in range(6):
        b.ok("BEGIN")  # b takes the server that a had
        pids.add(b.one("SELECT pg_backend_pid()"))
        run(a, "s1", [i], str(i + 1))
        b.ok("COMMIT")
    a.ok("BEGIN")
    prepare(b, "s1", "SELECT 'other ' || $1::text")
    run(b, "s1", ["x"], "other x")
    run(a, "s1", [41], "42")
    a.ok("COMMIT")
    run(b, "s1", ["y"], "other y")


def test_same_text_is_prepared_once_on_a_server(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    clients = [p.client() for _ in range(5)]
    when = "SELECT prepare_time FROM pg_prepared_statements WHERE statement LIKE '%* 2'"
    first = None
    for i, c in enumerate(clients):
        c.send(wire.parse("SELECT $1::int * 2", f"mine{i}"), wire.bind("", f"mine{i}", [i]), wire.execute(), wire.sync())
        assert c.until_ready().rows == [[str(2 * i)]]
        first = first or c.one(when)
    assert clients[0].one(when) == first  # one row, and never prepared anew
    stats = p.console().stats()
    assert stats["total_client_parse_count"] == 5 and stats["total_server_parse_count"] == 1


@pytest.mark.poolwise
def test_a_known_text_is_prepared_without_a_server(make_pooler):
    """libpq's PQprepare: Parse and Sync. A program that waits for it may itself hold all servers, on other connections."""
    p = make_pooler(default_pool_size=1, worker_threads=1)
    con = p.console()
    a, b = p.client(), p.client()
    prepare(a, "x", "SELECT $1::int + 1")
    a.ok("BEGIN")
    before = con.stats()
    prepare(b, "s", "SELECT $1::int + 1")
    prepare(b, "t", "SELECT $1::int + 1")
    message = wire.parse("SELECT $1::int + 1", "u") + wire.sync()
    for i in range(len(message)):  # no piece of it makes the client wait
        b.send(message[i:i + 1])
        assert con.pool()["cl_waiting"] == 0
    assert b.until_ready().types == "1Z"
    after = con.stats()
    assert after["total_client_parse_count"] - before["total_client_parse_count"] == 3
    assert after["total_server_parse_count"] == before["total_server_parse_count"]
    b.send(wire.bind("", "u", [41]), wire.execute(), wire.sync())
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    a.ok("COMMIT")
    assert b.until_ready().rows == [["42"]]
    run(b, "s", [1], "2")


@pytest.mark.poolwise
@pytest.mark.parametrize("messages, types", [
    ((wire.parse("SELECT 2", "n"), wire.sync()), "1Z"),
    ((wire.parse("SELECT $1::int + 1", "n"), wire.flush(), wire.sync()), "1Z"),
    ((wire.parse("SELECT $1::int + 1", "n"), wire.describe("S", "n"), wire.sync()), "1tTZ"),
    ((wire.parse("SELECT $1::int + 1", ""), wire.sync()), "1Z"),
    ((wire.parse("SELECT $1::int + 1", "n", [20]), wire.sync()), "1Z"),
], ids=["another text", "flush", "describe", "unnamed", "other types"])
def test_what_is_not_known_waits_for_a_server(make_pooler, messages, types):
    p = make_pooler(default_pool_size=1, worker_threads=1)
    con = p.console()
    a, b = p.client(), p.client()
    prepare(a, "x", "SELECT $1::int + 1")
    a.ok("BEGIN")
    b.send(*messages)
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    a.ok("COMMIT")
    assert b.until_ready().types == types


@pytest.mark.poolwise
def test_known_is_what_a_server_has_parsed(make_pooler):
    """A text that failed is asked for again; a name in use stays an error; other settings make another statement."""
    p = make_pooler(default_pool_size=1, worker_threads=1)
    a, b = p.client(), p.client()
    for c in (a, b):
        c.send(wire.parse("SELECT none FROM nowhere", "s"), wire.sync())
        assert c.until_ready().errors[0]["C"] == "42P01"
    prepare(a, "x", "SELECT '1/2/2000'::date::text")
    b.ok("SET datestyle = 'ISO, DMY'")
    prepare(b, "x", "SELECT '1/2/2000'::date::text")
    run(a, "x", [], "2000-01-02")
    run(b, "x", [], "2000-02-01")
    b.send(wire.parse("SELECT '1/2/2000'::date::text", "x"), wire.sync())
    assert b.fatal()["M"] == "prepared statement name is already in use"


def test_parse_bind_execute_in_one_group_with_a_name(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    a, b = p.client(), p.client()
    for c, word in ((a, "a"), (b, "b")):
        c.send(wire.parse(f"SELECT '{word}' || $1::text", "st"), wire.bind("", "st", ["1"]), wire.execute(), wire.sync())
        assert c.until_ready().rows == [[f"{word}1"]]
    for _ in range(5):
        a.send(*[wire.bind("", "st", [str(i)]) + wire.execute() + wire.sync() for i in range(5)])
        b.send(*[wire.bind("", "st", [str(i)]) + wire.execute() + wire.sync() for i in range(5)])
        for c, word in ((a, "a"), (b, "b")):
            assert [c.until_ready().rows for _ in range(5)] == [[[f"{word}{i}"]] for i in range(5)]


def test_describe(make_pooler):
    p = make_pooler(default_pool_size=2)
    a, b = p.client(), p.client()
    prepare(a, "d", "SELECT $1::int AS number")
    b.ok("BEGIN")
    a.send(wire.describe("S", "d"), wire.sync())
    result = a.until_ready()
    assert result.types == "tTZ" and result.columns == [("number", 23)]
    b.ok("COMMIT")


def test_close_and_prepare_again(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    prepare(c, "s", "SELECT 1")
    c.send(wire.close("S", "s"), wire.sync())
    assert c.until_ready().types == "3Z"
    prepare(c, "s", "SELECT 2")
    run(c, "s", [], "2")


def test_close_of_an_unknown_statement(make_pooler):
    c = make_pooler().client()
    c.send(wire.close("S", "nosuch"), wire.sync())
    assert c.until_ready().types == "3Z"


def test_a_parse_that_fails_leaves_no_trace(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.send(wire.parse("SELECT * FROM not_there_yet", "s"), wire.sync())
    assert c.until_ready().error["C"] == "42P01"
    c.ok("CREATE TEMP TABLE not_there_yet AS SELECT 7 AS n")
    prepare(c, "s", "SELECT * FROM not_there_yet")
    run(c, "s", [], "7")
    c.ok("DROP TABLE not_there_yet")


def test_a_name_whose_parse_was_skipped(make_pooler):
    """psycopg sends Parse behind one that fails and binds it later. PgBouncer then prepares it; PostgreSQL would not know it."""
    for behaviour, expected in (("pgbouncer", [["later"]]), ("postgres", [])):
        p = make_pooler(default_pool_size=1, error_behaviour=behaviour)
        c = p.client()
        c.send(wire.parse("SELECT * FROM not_there_yet", "bad"), wire.parse("SELECT 'later'", "s"), wire.sync())
        assert c.until_ready().error["C"] == "42P01"
        c.send(wire.bind("", "s"), wire.execute(), wire.sync())
        result = c.until_ready()
        assert result.rows == expected and bool(result.errors) == (behaviour == "postgres")


def test_error_in_a_pipeline_with_prepared_statements(make_pooler):
    p = make_pooler(default_pool_size=1)
    c, d = p.client(), p.client()
    c.send(wire.parse("SELECT 1/$1::int", "div"), wire.bind("", "div", ["0"]), wire.execute(),
           wire.parse("SELECT 'skipped'", "skipped"), wire.bind("", "skipped"), wire.execute(), wire.sync(),
           wire.bind("", "div", ["1"]), wire.execute(), wire.sync())
    first = c.until_ready()
    assert first.error["C"] == "22012" and not first.rows
    assert c.until_ready().rows == [["1"]]
    prepare(d, "skipped", "SELECT 'fresh'")
    run(d, "skipped", [], "fresh")


def test_bounded_on_the_server(make_pooler):
    p = make_pooler(default_pool_size=1, max_prepared_statements=5)
    c = p.client()
    for i in range(30):
        prepare(c, f"s{i}", f"SELECT {i}")
    assert int(c.one("SELECT count(*) FROM pg_prepared_statements")) <= 5
    for i in range(30):
        run(c, f"s{i}", [], str(i))
    assert int(c.one("SELECT count(*) FROM pg_prepared_statements")) <= 5


def test_eviction_within_one_pipeline(make_pooler):
    p = make_pooler(default_pool_size=1, max_prepared_statements=2)
    c = p.client()
    c.send(*[wire.parse(f"SELECT {i}", f"s{i}") + wire.bind("", f"s{i}") + wire.execute() for i in range(10)], wire.sync())
    result = c.until_ready()
    assert result.rows == [[str(i)] for i in range(10)] and not result.errors
    c.send(*[wire.bind("", f"s{i}") + wire.execute() + wire.sync() for i in range(10)])
    assert [c.until_ready().rows for _ in range(10)] == [[[str(i)]] for i in range(10)]


def test_large_parse_and_bind(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    text = "x" * 50000
    prepare(c, "n" * 5000, f"SELECT '{text}' || $1::text")
    run(c, "n" * 5000, ["y" * 50000], text + "y" * 50000)


def test_deallocate_all_and_discard_all_of_one_client(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    prepare(a, "s", "SELECT 1")
    prepare(b, "s", "SELECT 1")
    run(b, "s", [], "1")
    a.ok("DEALLOCATE ALL")
    run(b, "s", [], "1")
    prepare(a, "s", "SELECT 3")
    run(a, "s", [], "3")
    a.ok("DISCARD ALL")
    run(b, "s", [], "1")


def test_survives_reconnect_and_the_death_of_servers(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    prepare(c, "s", "SELECT $1::int")
    p.console().do("RECONNECT")
    run(c, "s", [5], "5")
    pg.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'p0'")
    con = p.console()
    wait_until(lambda: not con.servers())
    run(c, "s", [6], "6")


def test_psycopg_prepares_by_itself(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    conns = [p.psycopg(prepare_threshold=0) for _ in range(6)]
    for turn in range(10):
        for n, conn in enumerate(conns):
            assert conn.execute("SELECT %s::int + %s::int", (n, turn)).fetchone() == (n + turn,)
    with pytest.raises(psycopg.errors.DivisionByZero):
        conns[0].execute("SELECT 1/%s::int", (0,))
    assert conns[0].execute("SELECT %s::int + %s::int", (1, 1)).fetchone() == (2,)


def test_pipelines_of_psycopg(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    conns = [p.psycopg(prepare_threshold=0) for _ in range(4)]
    for n, conn in enumerate(conns):
        with conn.pipeline():
            cursors = [conn.execute("SELECT %s::text", (f"{n}.{i}",)) for i in range(50)]
            assert [c.fetchone()[0] for c in cursors] == [f"{n}.{i}" for i in range(50)]


def test_an_unknown_statement_ends_as_configured(make_pooler):
    """PgBouncer's text and FATAL; PostgreSQL itself would say 26000."""
    c = make_pooler().client()
    c.send(wire.bind("", "nosuch"), wire.execute(), wire.sync())
    err = c.fatal()
    assert (err["C"], err["M"]) == ("08P01", "prepared statement did not exist")


def test_a_name_in_use(make_pooler):
    c = make_pooler().client()
    prepare(c, "s", "SELECT 1")
    c.send(wire.parse("SELECT 2", "s"), wire.sync())
    err = c.fatal()
    assert (err["C"], err["M"]) == ("08P01", "prepared statement name is already in use")


def test_counters(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    for c in (a, b):
        prepare(c, "s", "SELECT $1::int")
    for c in (a, a, a, b, b):
        run(c, "s", [1], "1")
    stats = p.console().stats()
    assert (stats["total_client_parse_count"], stats["total_server_parse_count"], stats["total_bind_count"]) == (2, 1, 5)


def test_counters_with_two_servers(make_pooler, workers):
    """A statement counts once for each server, also where a client prepares it in a transaction that another one's Parse is older than."""
    p = make_pooler(default_pool_size=2, **workers)
    a, b = p.client(), p.client()

    def use(c, name, parse=False):
        c.send(*([wire.parse("SELECT 1", name)] if parse else []), wire.bind("", name), wire.describe("P", ""), wire.execute(), wire.sync())
        assert c.until_ready().rows == [["1"]]
    use(a, "s", parse=True)
    use(a, "s")
    b.ok("BEGIN")
    b.ok("SELECT 2")
    use(a, "s")
    use(b, "t", parse=True)
    b.ok("COMMIT")
    stats = p.console().stats("p0")
    assert (stats["total_client_parse_count"], stats["total_server_parse_count"], stats["total_bind_count"]) == (2, 2, 4)
