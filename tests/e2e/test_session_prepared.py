# SPDX-License-Identifier: ISC
"""Prepared statements of all kinds belong to their client, whatever server it gets and whoever shares it.
docs/session-state.md names these tests."""
import struct

import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def pair(make_pooler):
    """Two clients on one server."""
    p = make_pooler(default_pool_size=1)
    return p.client(), p.client()


def run(c, *messages):
    c.send(*messages, wire.sync())
    return c.until_ready()


def bound(c, name, *params):
    return run(c, wire.bind(statement=name, params=params), wire.execute())


# a setting, two values of it, and a text that means something else under each
READ = [("DateStyle", "ISO, MDY", "ISO, DMY", "SELECT '01/02/2020'::date"), ("TimeZone", "UTC", "Asia/Tokyo", "SELECT extract(hour FROM '2020-01-01 00:00'::timestamptz AT TIME ZONE 'UTC')::int"),
        ("IntervalStyle", "postgres", "sql_standard", "SELECT extract(hour FROM '-1 2:00:00'::interval)::int"),
        ("standard_conforming_strings", "on", "off", "SELECT length('a\\\\b')"), ("transform_null_equals", "off", "on", "SELECT coalesce((NULL = NULL)::text, 'null')"),
        ("array_nulls", "on", "off", "SELECT ('{NULL}'::text[])[1] IS NULL"), ("client_encoding", "UTF8", "LATIN1", "SELECT length('\u00e9')"),
        ("search_path", "prep_a", "prep_b", "SELECT v FROM prep_t"), ("xmloption", "content", "document", "SELECT 1"),
        ("role", "prep_a", "prep_b", "SELECT v FROM prep_t"), ("session_authorization", "prep_a", "prep_b", "SELECT v FROM prep_t"),
        ("timezone_abbreviations", "Default", "India", "SELECT extract(hour FROM '2020-01-01 12:00 IST'::timestamptz AT TIME ZONE 'UTC')::int")]


@pytest.mark.parametrize("name, one, other, sql", READ)
def test_a_text_is_shared_only_under_the_same_settings(pair, name, one, other, sql):
    a, b = pair
    if "prep_t" in sql: # by the search_path, or by the "$user" in it
        a.ok("CREATE SCHEMA IF NOT EXISTS prep_a; CREATE SCHEMA IF NOT EXISTS prep_b; DROP TABLE IF EXISTS prep_a.prep_t, prep_b.prep_t;"
             "CREATE TABLE prep_a.prep_t AS SELECT 'a' AS v; CREATE TABLE prep_b.prep_t AS SELECT 'b' AS v")
        for role in ("prep_a", "prep_b"):
            a.query(f"CREATE ROLE {role}")
            a.ok(f"GRANT USAGE ON SCHEMA {role} TO {role}; GRANT SELECT ON {role}.prep_t TO {role}")
    values = {}
    for c, value in ((a, one), (b, other)):
        c.ok(f"SET {name} = {value if name == 'search_path' else chr(39) + value + chr(39)}")
        values[c] = c.one(sql)
        assert not run(c, wire.parse(sql, "s")).errors
    for _ in range(2):
        for c in (a, b):
            assert bound(c, "s").rows == [[values[c]]], name


def test_the_settings_were_well_chosen(pg):
    """The texts above do mean something else: or the test could not fail."""
    differ = set()
    with wire.Conn(pg.port) as c:
        c.login("postgres", "p0")
        for name, one, other, sql in READ:
            if "prep_t" in sql or name == "xmloption":
                continue
            found = []
            for value in (one, other):
                c.ok(f"SET {name} = '{value}'")
                found.append(c.one(sql))
                c.ok(f"RESET {name}")
            if found[0] != found[1]:
                differ.add(name)
    assert differ >= {"DateStyle", "TimeZone", "standard_conforming_strings", "transform_null_equals", "array_nulls", "timezone_abbreviations"}


def test_a_text_that_is_wrong_under_the_others_settings(pair):
    """backslash_quote: what one client has prepared is an error to the other."""
    a, b = pair
    sql = "SELECT E'it\\'s'"
    a.ok("SET backslash_quote = on")
    b.ok("SET backslash_quote = off")
    for _ in range(2):
        assert not run(a, wire.close("S", "s"), wire.parse(sql, "s")).errors
        assert run(b, wire.parse(sql, "s")).error["C"] == "22P06"
        assert bound(a, "s").rows == [["it's"]]


def test_now_in_a_literal_is_read_for_each_client(pair):
    a, b = pair
    sql = "SELECT 'now'::timestamptz <= $1::timestamptz"
    assert not run(a, wire.parse(sql, "s")).errors
    assert bound(a, "s", "infinity").rows == [["t"]]
    before = b.one("SELECT clock_timestamp()")
    assert not run(b, wire.parse(sql, "s")).errors
    assert bound(b, "s", before).rows == [["f"]], "b's statement was prepared after that, not when a's was"


def test_the_unnamed_statement_follows_its_client(pair):
    """Parse in one group, Bind in the next: in between the other client has parsed its own."""
    a, b = pair
    for c, text in ((a, "a's"), (b, "b's")):
        result = run(c, wire.parse(f"SELECT $1::text || '{text.replace(chr(39), chr(39) * 2)}'"), wire.describe("S"))
        assert result.types == "1tTZ"
    for _ in range(2):
        for c, text in ((a, "a's"), (b, "b's")):
            result = run(c, wire.bind(params=("x ",)), wire.execute())
            assert result.rows == [["x " + text]] and result.types == "2DCZ"
            assert run(c, wire.describe("S")).types == "tTZ"


def test_nobody_binds_anothers_unnamed_statement(pair):
    a, b = pair
    assert not run(a, wire.parse("SELECT 'secret'")).errors
    result = run(b, wire.bind(), wire.execute())
    assert result.error["C"] == "26000" and not result.rows
    assert run(b, wire.describe("S")).error["C"] == "26000"


def test_an_unnamed_statement_with_an_effect(pair):
    """Its Bind sets something, two transactions after its Parse."""
    a, b = pair
    default = b.one("SHOW work_mem")
    assert not run(a, wire.parse("SET work_mem = '7MB'")).errors
    b.ok("SELECT 1")
    assert not run(a, wire.bind(), wire.execute()).errors
    assert b.one("SHOW work_mem") == default and a.one("SHOW work_mem") == "7MB"


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("name, sql", [("s", "DEALLOCATE s"), ("s", "deallocate PREPARE S"), ("Mixed \"x\"", "DEALLOCATE \"Mixed \"\"x\"\"\"")])
def test_deallocate_of_a_protocol_statement(pair, name, sql, extended):
    a, b = pair
    for c in (a, b):
        assert not run(c, wire.parse("SELECT 'here'", name)).errors
    for _ in range(2):
        if extended:
            result = run(a, wire.parse(sql), wire.bind(), wire.execute())
            assert result.tags == ["DEALLOCATE"] and result.types == "12CZ"
        else:
            result = a.query(sql)
            assert result.tags == ["DEALLOCATE"] and result.types == "CZ"
        assert a.query(sql).error["C"] == "26000", "it is gone"
        assert bound(b, name).rows == [["here"]], "the other client's is not"
        assert run(a, wire.parse("SELECT 'again'", name)).types == "1Z"
        assert bound(a, name).rows == [["again"]]


def test_deallocate_in_a_transaction_that_failed(pair):
    a, _ = pair
    assert not run(a, wire.parse("SELECT 1", "s")).errors
    a.ok("BEGIN")
    assert a.query("SELECT 1/0").errors
    assert a.query("DEALLOCATE s").error["C"] == "25P02"
    a.ok("ROLLBACK")
    assert bound(a, "s").rows == [["1"]]
    assert a.query("DEALLOCATE s").tags == ["DEALLOCATE"]


def test_psycopg_deallocates_what_it_prepared(make_pooler):
    p = make_pooler(default_pool_size=2)
    with p.psycopg() as a, p.psycopg() as b:
        for c in (a, b):
            c.prepare_threshold, c.prepared_max = 0, 2
        for i in range(12):
            for c in (a, b):
                assert c.execute(f"SELECT %s::int + {i % 6}", (1,)).fetchone() == (1 + i % 6,)


def test_a_stale_plan_is_prepared_anew_for_the_retry(make_pooler):
    """SELECT * after ADD COLUMN, nobody ever asked for a description: who made the plan gets the error of a direct connection once; then
    every server prepares it anew."""
    p = make_pooler(default_pool_size=2)
    a, b, c = p.client(), p.client(), p.client()
    a.ok("DROP TABLE IF EXISTS prep_stale; CREATE TABLE prep_stale AS SELECT 1 AS x")
    assert bound_after_parse(a) == [["1"]]
    b.ok("ALTER TABLE prep_stale ADD COLUMN y int DEFAULT 2")
    assert bound(a, "s").error["C"] == "0A000"
    assert bound_after_parse(c) == [["1", "2"]]
    for _ in range(3):
        for client in (a, c):
            assert bound(client, "s").rows == [["1", "2"]]
    b.ok("BEGIN") # takes the server that knows the statement
    assert bound(c, "s").rows == [["1", "2"]]
    assert bound(a, "s").rows == [["1", "2"]]


def bound_after_parse(c):
    assert not run(c, wire.parse("SELECT * FROM prep_stale", "s")).errors
    return bound(c, "s").rows


FIRST_OR_SECOND = "SELECT '01/02/2020'::date" # of January in MDY, of February in DMY


def prepared_at_once(c, before, name="s"):
    """Sends what comes before it and the group that prepares, without waiting; the row."""
    c.send(before, wire.parse(FIRST_OR_SECOND, name), wire.bind("", name), wire.execute(), wire.sync())
    while before:
        (length,) = struct.unpack_from("!i", before, 1)
        if before[:1] in (b"Q", b"S"):
            assert not c.until_ready().errors
        before = before[length + 1:]
    return c.until_ready().rows[0][0]


@pytest.mark.parametrize("how", ["query", "group", "one group", "transaction", "rolled back"])
def test_settings_that_are_not_answered_yet(pair, how):
    """What a text means depends on them: it is shared with nobody."""
    a, b = pair
    dmy = "SET DateStyle = 'ISO, DMY'"
    if how == "rolled back":
        a.ok(f"BEGIN; {dmy}")
        assert prepared_at_once(a, wire.query("ROLLBACK")) == "2020-01-02"
        b.ok(dmy)
        assert prepared_at_once(b, b"") == "2020-02-01"
        return
    before = {"query": wire.query(dmy), "group": wire.group(dmy), "one group": wire.parse(dmy) + wire.bind() + wire.execute(),
              "transaction": wire.query("BEGIN") + wire.query(dmy)}[how]
    assert prepared_at_once(a, before) == "2020-02-01"
    if how == "transaction":
        a.ok("COMMIT")
    assert prepared_at_once(b, b"") == "2020-01-02"


@pytest.mark.parametrize("name", [None, "", "s"], ids=["query", "unnamed", "named"])
def test_a_text_that_is_read_otherwise(pair, name):
    """Where its strings end is told by a SET that was not answered when it was looked at."""
    a, b = pair
    text = "SELECT 'a\\'', set_config('work_mem', '7MB', false) --'"
    group = wire.query(text) if name is None else wire.parse(text, name) + wire.bind("", name) + wire.execute() + wire.sync()
    a.send(wire.query("SET standard_conforming_strings = off"), group)
    assert not a.until_ready().errors
    assert a.until_ready().rows == [["a'", "7MB"]]
    assert b.one("SHOW work_mem") == "4MB" and a.one("SHOW work_mem") == "7MB"
    a.ok("SET standard_conforming_strings = on; RESET work_mem")
    a.ok("BEGIN; SET standard_conforming_strings = off")
    a.send(wire.query("ROLLBACK"), wire.query("SELECT 'a\\', set_config('work_mem', '8MB', false), '' --'"))
    assert not a.until_ready().errors
    assert a.until_ready().rows == [["a\\", "8MB", ""]]
    assert b.one("SHOW work_mem") == "4MB" and a.one("SHOW work_mem") == "8MB"


def test_settings_that_only_the_server_knows(pair):
    a, b = pair
    text = "SELECT coalesce((NULL = NULL)::text, 'null')"
    a.ok("BEGIN; DO $$ BEGIN PERFORM set_config('transform_null_equals', 'on', false); END $$")
    assert run(a, wire.parse(text, "s"), wire.bind("", "s"), wire.execute()).rows == [["true"]]
    a.ok(f"PREPARE q AS {text}; COMMIT")
    b.ok(f"PREPARE q AS {text}")
    assert run(b, wire.parse(text, "s"), wire.bind("", "s"), wire.execute()).rows == [["null"]]
    assert b.one("EXECUTE q") == "null"
    assert a.one("EXECUTE q") == "true" and b.one("EXECUTE q") == "null"


# ---- PREPARE, EXECUTE, DEALLOCATE ----


def test_a_text_that_is_brought_along_under_other_settings(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    for c in (a, b):
        c.ok(f"PREPARE q AS {FIRST_OR_SECOND}")
    p.console().do("RECONNECT")
    a.ok("SET DateStyle = 'ISO, DMY'")
    a.ok("EXECUTE q")
    assert b.one("EXECUTE q") == "2020-01-02"


def test_prepared_in_the_query_that_sets(pair):
    a, b = pair
    a.ok(f"SET DateStyle = 'ISO, DMY'; PREPARE q AS {FIRST_OR_SECOND}")
    b.ok(f"PREPARE q AS {FIRST_OR_SECOND}")
    assert b.one("EXECUTE q") == "2020-01-02"
    assert a.one("EXECUTE q") == "2020-02-01"
    assert b.one("EXECUTE q") == "2020-01-02"


def same_pid(*clients):
    return len({c.one("SELECT pg_backend_pid()") for c in clients}) == 1


@pytest.mark.parametrize("extended", [False, True])
def test_prepare_in_sql_follows_its_client(pair, extended):
    """The same name, another meaning for each client, one server; nobody is pinned."""
    a, b = pair

    def ask(c, sql):
        if not extended:
            return c.query(sql)
        return run(c, wire.parse(sql), wire.bind(), wire.execute())

    assert ask(a, "PREPARE q (int) AS SELECT $1 + 1").tags == ["PREPARE"]
    assert ask(b, "PREPARE q (int) AS SELECT $1 + 2").tags == ["PREPARE"]
    assert ask(a, "PREPARE \"Q q\" AS SELECT 'a'").tags == ["PREPARE"]
    for _ in range(3):
        assert ask(a, "EXECUTE q(1)").rows == [["2"]] and ask(b, "EXECUTE q(1)").rows == [["3"]]
        assert ask(a, "EXECUTE \"Q q\"").rows == [["a"]] and ask(b, "EXECUTE \"Q q\"").error["C"] == "26000"
    assert same_pid(a, b)
    assert ask(a, "PREPARE q AS SELECT 1").error["C"] == "42P05"
    assert ask(a, "DEALLOCATE q").tags == ["DEALLOCATE"]
    assert ask(a, "EXECUTE q(1)").error["C"] == "26000" and ask(a, "DEALLOCATE PREPARE q").error["C"] == "26000"
    assert ask(b, "EXECUTE q(1)").rows == [["3"]]
    assert ask(a, "DEALLOCATE ALL").tags == ["DEALLOCATE ALL"]
    assert ask(a, "EXECUTE \"Q q\"").error["C"] == "26000"
    assert ask(b, "EXECUTE q(1)").rows == [["3"]], "what DEALLOCATE ALL took from the server comes back"


def test_explain_and_create_with_execute(pair):
    a, b = pair
    a.ok("PREPARE q AS SELECT 41 + 1 AS x")
    b.ok("PREPARE q AS SELECT 'b'::text AS y")
    assert "Result" in a.ok("EXPLAIN EXECUTE q")[0][0]
    a.ok("DROP TABLE IF EXISTS prep_made; CREATE TABLE prep_made AS EXECUTE q")
    assert a.one("SELECT x FROM prep_made") == "42"
    assert b.one("EXECUTE q") == "b"


def test_several_in_one_query(pair):
    a, b = pair
    b.ok("PREPARE q AS SELECT 'b'")
    assert a.query("PREPARE q AS SELECT 'a'; EXECUTE q; DEALLOCATE q; PREPARE q AS SELECT 'c'; EXECUTE q").rows == [["a"], ["c"]]
    assert b.one("EXECUTE q") == "b" and a.one("EXECUTE q") == "c"


def test_prepared_statements_survive_a_rollback_and_what_they_set_is_followed(pair):
    a, b = pair
    default = b.one("SHOW work_mem")
    a.ok("BEGIN")
    a.ok("PREPARE q AS SELECT set_config('work_mem', '7MB', false)")
    a.ok("ROLLBACK")
    b.ok("SELECT 1")
    a.ok("EXECUTE q")
    assert b.one("SHOW work_mem") == default and a.one("SHOW work_mem") == "7MB"


def test_without_waiting_for_replies(pair):
    a, b = pair
    b.ok("PREPARE q AS SELECT 'b'")
    for _ in range(3):
        texts = ["PREPARE q AS SELECT 'a'", "EXECUTE q", "BEGIN", "EXECUTE q", "SELECT 1/0", "EXECUTE q", "ROLLBACK", "EXECUTE q", "DEALLOCATE q"]
        a.send(*[wire.query(t) for t in texts])
        results = [a.until_ready() for _ in texts]
        assert [r.rows for r in results] == [[], [["a"]], [], [["a"]], [], [], [], [["a"]], []]
        assert [bool(r.errors) for r in results] == [False] * 4 + [True] * 2 + [False] * 3
        assert b.one("EXECUTE q") == "b"


def test_prepared_in_sql_bound_by_the_protocol(pair):
    """PQexec("PREPARE ...") and then PQexecPrepared."""
    a, b = pair
    a.ok("PREPARE q (int) AS SELECT $1 * 2")
    for _ in range(2):
        assert b.query("EXECUTE q(1)").error["C"] == "26000"
        assert bound(a, "q", "21").rows == [["42"]]
        assert run(a, wire.describe("S", "q")).types == "tTZ"
    assert run(a, wire.close("S", "q")).types == "3Z"
    assert a.query("EXECUTE q(1)").error["C"] == "26000"


def test_bound_before_its_prepare_was_answered(pair):
    """PREPARE and requests by the protocol that name it, sent without waiting."""
    a, b = pair
    use = wire.describe("S", "q") + wire.bind(statement="q", params=["mine"]) + wire.execute()
    b.ok("PREPARE q (text) AS SELECT 'b'")
    for prepare in ("PREPARE q (text) AS SELECT $1", "PREPARE q (text) AS SELECT $1 || ''"):
        a.send(wire.query(prepare), use, wire.sync(), wire.query("DEALLOCATE q"))
        assert not a.until_ready().errors
        assert a.until_ready().rows == [["mine"]]
        assert not a.until_ready().errors
        assert b.one("EXECUTE q('x')") == "b"
    assert run(a, wire.parse("PREPARE q (text) AS SELECT $1"), wire.bind(), wire.execute(), use).rows == [["mine"]]
    a.ok("DEALLOCATE q")
    a.send(wire.query("PREPARE q (text) AS SELECT nothing"), use, wire.sync())
    assert a.until_ready().error["C"] == "42703"
    assert a.until_ready().error["C"] == "26000"
    assert b.one("EXECUTE q('x')") == "b"


def test_a_pinned_client_has_statements_of_all_kinds(make_pooler):
    p = make_pooler(default_pool_size=2)
    c, console = p.client(), p.console()
    run(c, wire.parse("SELECT 's'", "s"))
    c.ok("PREPARE q AS SELECT 'q'")
    c.ok("DO $$ BEGIN EXECUTE 'PREPARE hidden AS SELECT 1'; END $$")
    wait_until(lambda: any("prepared" in (x["pin_reason"] or "") for x in console.clients()), what="it keeps its server")
    assert run(c, wire.describe("S", "s")).types == "tTZ" and bound(c, "s").rows == [["s"]]
    assert bound(c, "q").rows == [["q"]] and bound(c, "hidden").rows == [["1"]]
    assert run(c, wire.close("S", "s"), wire.parse("SELECT 'again'", "s")).types == "31Z"
    assert bound(c, "s").rows == [["again"]]


def ended(c, *groups):
    """Sends groups at once, each with its Sync; the Results."""
    c.send(*(g + wire.sync() for g in groups))
    return [c.until_ready() for _ in groups]


FAILS = wire.execute("nope") # what follows is skipped, the pooler's own messages too


@pytest.mark.parametrize("mine", [True, False])
def test_the_unnamed_statement_behind_a_group_that_is_skipped(pair, mine):
    """What was put in front of the first Bind is skipped with it; the second must not meet what the other client left there."""
    a, b = pair
    if mine:
        run(a, wire.parse("SELECT 'a'"))
    run(b, wire.parse("SELECT 'b'"))
    use = wire.bind() + wire.execute()
    first, second = ended(a, FAILS + use, use)
    assert first.error["C"] == "34000"
    assert second.rows == [["a"]] if mine else second.error["C"] == "26000"
    run(b, wire.parse("SELECT 'b'"))
    first, second = ended(a, FAILS + wire.describe("S", "") + use, wire.describe("S", "") + use)
    assert second.rows == [["a"]] if mine else second.error["C"] == "26000"


def test_a_parse_of_the_client_that_is_skipped(pair):
    a, b = pair
    use = wire.bind() + wire.execute()
    run(b, wire.parse("SELECT 'b'"))
    for text in ("SELECT 'a'", "SELECT 'a' AS again"):
        first, second = ended(a, FAILS + wire.parse(text) + use, use)
        assert first.error["C"] == "34000" and second.error["C"] == "26000"


def test_a_parse_behind_one_that_is_skipped(pair):
    """The error of the first comes while the second waits for its Bind."""
    a, b = pair
    run(b, wire.parse("SELECT 'b'"))
    a.send(FAILS, wire.parse("SELECT 'skipped'"), wire.sync(), wire.parse("SELECT 'a'"), wire.flush())
    assert a.until_ready().error["C"] == "34000"
    assert a.recv().type == "1"
    assert bound(a, "").rows == [["a"]]


def test_statements_with_names_behind_a_group_that_is_skipped(make_pooler):
    p = make_pooler(default_pool_size=1, error_behaviour="postgres")
    a, b = p.client(), p.client()
    run(a, wire.parse("SELECT 'a' || $1", "s"))
    a.ok("PREPARE q AS SELECT 'a'")
    p.console().do("RECONNECT")
    b.ok("PREPARE q AS SELECT 'b'")
    use = wire.bind(statement="s", params=["x"]) + wire.execute()
    assert [r.rows for r in ended(a, FAILS + use, use)] == [[], [["ax"]]]
    by_sql = wire.parse("EXECUTE q") + wire.bind() + wire.execute()
    for use in (by_sql, wire.bind(statement="q") + wire.execute()):
        assert [r.rows for r in ended(a, FAILS + use, use)] == [[], [["a"]]]
        assert b.one("EXECUTE q") == "b"
    a.send(wire.query("BEGIN; SELECT 1/0"), wire.query("EXECUTE q"), wire.query("ROLLBACK"), wire.query("EXECUTE q"))
    assert [a.until_ready().rows for _ in range(4)] == [[], [], [], [["a"]]]
    assert b.one("EXECUTE q") == "b"
    assert ended(a, FAILS + wire.close("S", "q"))[0].errors # it is still there
    b.ok("DEALLOCATE q")
    assert b.query("EXECUTE q").error["C"] == "26000"
    b.ok("PREPARE q AS SELECT 'b2'")
    assert b.one("EXECUTE q") == "b2"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_name_of_sql_whose_close_is_skipped_is_still_there(make_pooler, elsewhere):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("PREPARE q AS SELECT 'a'")
    if elsewhere:
        p.console().do("RECONNECT")
        b.ok("PREPARE q AS SELECT 'b'")
    close, use = wire.close("S", "q"), wire.bind(statement="q") + wire.execute()
    assert ended(a, FAILS + close)[0].error["C"] == "34000"
    assert bound(a, "q").rows == [["a"]]
    first, second, third = ended(a, FAILS + close + use + close, use, FAILS + use + close)
    assert (first.error["C"], second.rows, third.error["C"]) == ("34000", [["a"]], "34000")
    assert a.one("EXECUTE q") == "a"
    if elsewhere:
        assert b.one("EXECUTE q") == "b"
    first, second = ended(a, close + use, FAILS + wire.parse("SELECT 1"))  # one that is not skipped: the server itself tells so
    assert (first.types, first.error["C"], second.error["C"]) == ("3EZ", "26000", "34000")
    assert a.query("EXECUTE q").error["C"] == "26000"
    a.ok("PREPARE q AS SELECT 'anew'")
    assert bound(a, "q").rows == [["anew"]]


@pytest.mark.parametrize("opened, code", [(FAILS, "34000"), (wire.parse("SELECT 1"), "26000"), (FAILS + wire.query("SELECT 1"), "34000"),
                                          (FAILS + wire.function_call(1397, []), "34000")], ids=["failed", "open", "query", "function"])
def test_a_query_within_a_group_never_runs_anothers_statement(pair, opened, code):
    """It may be skipped with the group; what is in front of it then is, too, and may not end that."""
    a, b = pair
    b.ok("PREPARE q AS SELECT 'b'")
    a.send(opened, wire.query("EXECUTE q"), wire.sync())
    a.send(wire.query("SELECT 'end'"))
    replies = []
    while not replies or replies[-1].rows != [["end"]]:
        replies.append(a.until_ready())
        assert ["b"] not in replies[-1].rows
    assert [e["C"] for r in replies for e in r.errors] == [code]
    assert a.query("EXECUTE q").error["C"] == "26000"
    assert b.one("EXECUTE q") == "b"


def test_close_ends_the_unnamed_statement(pair):
    a, b = pair
    run(a, wire.parse("SELECT 'a'"))
    run(b, wire.parse("SELECT 'b'"))
    assert run(a, wire.close("S", ""), wire.bind(), wire.execute()).error["C"] == "26000"
    run(b, wire.parse("SELECT 'b'"))
    assert bound(a, "").error["C"] == "26000"
    run(a, wire.parse("SELECT 'anew'"))
    run(b, wire.parse("SELECT 'b'"))
    assert bound(a, "").rows == [["anew"]]


@pytest.mark.parametrize("text", ["EXECUTE nothing", "DEALLOCATE nothing", "SELECT 'never'"])
def test_a_name_given_anew_in_a_group_that_is_skipped(make_pooler, text):
    """What comes behind must know which of the two it was."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    run(c, wire.parse("SELECT 'kept'", "s"))
    use = wire.bind(statement="s") + wire.execute()
    first, second = ended(c, FAILS + wire.close("S", "s") + wire.parse(text, "s") + use, use)
    assert first.error["C"] == "34000" and second.rows == [["kept"]]


def test_the_same_behind_a_copy(make_pooler, pg):
    """The data has been sent to its end, so nothing more of the client is needed to answer it."""
    with pg.connect("p0") as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS copied (a text)")
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    run(a, wire.parse("SELECT 'kept'", "s"))
    run(a, wire.parse("SELECT 'a'"))
    run(b, wire.parse("SELECT 'b'"))
    use, unnamed = wire.bind(statement="s") + wire.execute(), wire.bind() + wire.execute()
    for group, want in ((FAILS + wire.close("S", "s") + wire.parse("SELECT 'never'", "s") + use, "kept"), (FAILS + unnamed, None)):
        a.send(wire.query("COPY copied FROM STDIN"))
        assert a.recv().type == "G"
        second = use if want else unnamed
        a.send(wire.copy_data("x\n" * 9), wire.copy_done(), group, wire.sync(), second, wire.sync())
        assert a.until_ready().tags == ["COPY 9"]
        assert a.until_ready().error["C"] == "34000"
        got = a.until_ready()
        assert got.rows == [[want]] if want else got.error["C"] == "26000"  # a Query has ended the unnamed one
        run(b, wire.parse("SELECT 'b'"))


@pytest.mark.parametrize("text", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_a_statement_prepared_behind_the_end_of_all(pair, text):
    """In the same group: it is the server's and the client's, and another client shares it."""
    a, b = pair
    assert run(a, wire.parse(text), wire.bind(), wire.execute(), wire.parse("SELECT 'kept'", "s")).types == "12C1Z"
    assert bound(a, "s").rows == [["kept"]]
    assert run(b, wire.parse("SELECT 'kept'", "t")).types == "1Z"
    assert bound(b, "t").rows == [["kept"]]
    assert run(a, wire.parse(text), wire.bind(), wire.execute(), FAILS, wire.parse("SELECT 'skipped'", "u")).error["C"] == "34000"
    run(b, wire.parse("SELECT 'skipped'", "v"))
    assert bound(b, "v").rows == [["skipped"]]


def test_errors_speak_of_the_clients_own_name(make_pooler):
    """On the server the statement has another one."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    text = "SELECT 'told' || $1"
    assert ended(c, FAILS + wire.parse(text, "never"), wire.bind(statement="never", params=["x"]) + wire.execute())[1].error["M"] == \
        'prepared statement "never" does not exist'
    run(c, wire.parse(text + " || 'b'", "mine"), wire.parse(text + " || 'c'", "m" * 300))
    assert bound(c, "mine").error["M"] == 'bind message supplies 0 parameters, but prepared statement "mine" requires 1'
    assert f'"{"m" * 300}"' in bound(c, "m" * 300).error["M"]
    assert bound(c, "mine", "a").rows == [["toldab"]]


def test_the_unnamed_statement_of_a_pinned_client(make_pooler):
    """A question to the server is a Query, which ends it."""
    p = make_pooler()
    c = p.client()
    c.ok("CREATE TEMP TABLE mine (x int)")
    run(c, wire.parse("SELECT set_config('work_mem', $1 || 'MB', false)"))
    for size in ("7", "8"):
        assert bound(c, "", size).rows == [[size + "MB"]]


@pytest.mark.parametrize("state, prepare", [("pin", "PREPARE q (text) AS SELECT $1"),
                                            ("track", "DO $$ BEGIN EXECUTE 'PREPARE q (text) AS SELECT $1'; END $$")], ids=["pin", "track"])
def test_what_pins_is_bound_by_the_protocol(make_pooler, state, prepare):
    """A name that only the server knows, which its client keeps for that."""
    p = make_pooler(default_pool_size=2, session_state=state)
    a, b = p.client(), p.client()
    console = p.console()
    a.ok(prepare)
    wait_until(lambda: any("prepared" in (c["pin_reason"] or "") for c in console.clients()), what="it keeps its server")
    assert run(a, wire.describe("S", "q")).types == "tTZ"
    assert bound(a, "q", "21").rows == [["21"]]
    b.send(wire.bind(statement="q", params=["22"]), wire.execute(), wire.sync())
    assert b.fatal()["M"] == "prepared statement did not exist"
    assert run(a, wire.close("S", "q")).types == "3Z"
    wait_until(lambda: not any("prepared" in (c["pin_reason"] or "") for c in console.clients()), what="it does not keep it for that")


@pytest.mark.parametrize("between", ["PREPARE q AS UPDATE pg_class SET relname = relname WHERE false", "EXECUTE q", "DEALLOCATE q"])
def test_an_unnamed_execute_is_described_behind_another_client(make_pooler, between):
    """As psql's \\gdesc does: Parse and Describe are groups of their own, and the name meant something else on the server meanwhile."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("PREPARE q AS SELECT 1 AS first, 2 AS second")
    a.send(wire.parse("EXECUTE q"), wire.sync())
    a.until_ready()
    b.query(between)
    a.send(wire.describe("S", ""), wire.sync())
    assert a.until_ready().types == "tTZ"
    b.query(between)
    a.send(wire.bind(), wire.execute(), wire.sync())
    assert a.until_ready().rows == [["1", "2"]]


def test_an_error_in_a_text_that_is_brought_along(pair):
    """Its table is gone: the client hears it at EXECUTE, and nobody else is hurt."""
    a, b = pair
    a.ok("DROP TABLE IF EXISTS prep_gone; CREATE TABLE prep_gone (x int); PREPARE q AS SELECT * FROM prep_gone")
    b.ok("PREPARE q AS SELECT 'b'")
    b.ok("DROP TABLE prep_gone")
    assert a.query("EXECUTE q").errors
    assert a.one("SELECT 1") == "1" and b.one("EXECUTE q") == "b"


def test_names_on_a_server_are_bounded(make_pooler):
    p = make_pooler(default_pool_size=1, max_prepared_statements=3)
    a, b = p.client(), p.client()
    for i in range(8):
        a.ok(f"PREPARE q{i} AS SELECT {i}")
    b.ok("PREPARE q1 AS SELECT 'b'")
    for i in (0, 7, 1, 3):
        assert a.one(f"EXECUTE q{i}") == str(i)
        assert b.one("EXECUTE q1") == "b"
    assert int(a.one("SELECT count(*) FROM pg_prepared_statements WHERE from_sql")) <= 8
    (row,) = [r for r in p.console().show("MEM") if r["name"] == "sql_prepared_bytes"]
    assert int(row["used"]) > 0


def test_not_followed_means_pinned(make_pooler):
    p = make_pooler(default_pool_size=2, max_prepared_statements=0)
    a, b = p.client(), p.client()
    a.ok("PREPARE q AS SELECT 'a'")
    b.ok("PREPARE q AS SELECT 'b'")
    for _ in range(2):
        assert a.one("EXECUTE q") == "a" and b.one("EXECUTE q") == "b"
    assert not same_pid(a, b)
    a.ok("DEALLOCATE q")


@pytest.mark.parametrize("name", ["", "n"], ids=["unnamed", "named"])
def test_describe_of_an_execute(make_pooler, name):
    """psql's \\gdesc: the name is looked up at the Parse, and the Describe comes in another transaction."""
    p = make_pooler(default_pool_size=2, server_round_robin=1)
    c, other = p.client(), p.client()
    other.send(wire.query("BEGIN"))
    other.until_ready()
    c.ok("PREPARE test AS SELECT 1 AS first, 'x'::text AS second") # on the second server
    blocker = p.client()
    blocker.send(wire.query("BEGIN"))
    blocker.until_ready()
    other.ok("COMMIT") # now only the first is free
    for _ in range(2):
        c.send(wire.parse("EXECUTE test", name), wire.sync())
        assert c.until_ready().types == "1Z"
        c.send(wire.describe("S", name), wire.sync())
        result = c.until_ready()
        assert [n for n, _ in result.columns] == ["first", "second"], result.types
        if name:
            c.send(wire.close("S", name), wire.sync())
            c.until_ready()
        blocker.ok("COMMIT")


@pytest.mark.parametrize("mode, state", [("transaction", "track"), ("transaction", "off"), ("statement", "off")])
def test_a_name_whose_parse_is_skipped_is_unknown_to_the_group_behind(make_pooler, mode, state):
    """Also where the server has that statement, and nothing would be sent for the Parse."""
    p = make_pooler(pool_mode=mode, session_state=state, default_pool_size=1, error_behaviour="postgres", max_prepared_statements=200)
    other = p.client()
    for _ in range(3):
        other.send(wire.parse("SELECT 5", "s1") + wire.bind("", "s1") + wire.execute() + wire.close("S", "s1") + wire.sync())
        assert other.until_ready().rows == [["5"]]
    for _ in range(5):
        c = p.client()
        c.ok("SELECT 1")
        c.send(wire.bind("", "nosuch") + wire.execute() + wire.parse("SELECT 5", "s1") + wire.sync() + wire.bind("", "s1") + wire.execute() + wire.sync())
        for name in ("nosuch", "s1"):
            error = c.until_ready().error
            assert (error["C"], error["M"]) == ("26000", f'prepared statement "{name}" does not exist')
        c.send(wire.parse("SELECT 5", "s1") + wire.bind("", "s1") + wire.execute() + wire.sync())
        assert c.until_ready().rows == [["5"]]
