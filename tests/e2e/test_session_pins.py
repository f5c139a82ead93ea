# SPDX-License-Identifier: ISC
"""What cannot follow its client keeps the server for it, with a reason that can be seen, and only as long as it lasts.
docs/session-state.md names these tests."""
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def trio(make_pooler):
    p = make_pooler(default_pool_size=2)
    return p, p.client(), p.client(), p.console()


def pid(c):
    return c.one("SELECT pg_backend_pid()")


def reason(console, c):
    """pin_reason of the client on this socket."""
    port = str(c.sock.getsockname()[1])
    return next(row["pin_reason"] for row in console.clients() if row["port"] == port)


# what pins, its reason, what ends it
PINS = [
    ("LISTEN news", "listen", "UNLISTEN news"), ("LISTEN news; LISTEN more", "listen", "UNLISTEN *"),
    ("SELECT pg_advisory_lock(1)", "advisory_lock", "SELECT pg_advisory_unlock(1)"),
    ("SELECT pg_try_advisory_lock_shared(1, 2)", "advisory_lock", "SELECT pg_advisory_unlock_all()"),
    ("SELECT pg_catalog.pg_try_advisory_lock(7)", "advisory_lock", "SELECT pg_advisory_unlock(7)"),
    ("CREATE TEMP TABLE t (a int)", "temp_table", "DROP TABLE t"),
    ("CREATE LOCAL TEMPORARY TABLE t AS SELECT 1 AS a", "temp_table", "DISCARD TEMP"),
    ("SELECT 1 AS a INTO TEMP t", "temp_table", "DROP TABLE t"), ("CREATE TABLE pg_temp.t (a int)", "temp_table", "DROP TABLE pg_temp.t"),
    ("CREATE TEMP VIEW t AS SELECT 1 AS a", "temp_table", "DROP VIEW t"), ("CREATE TEMP SEQUENCE t", "temp_table", "DROP SEQUENCE t"),
    ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temp_table", "DROP FUNCTION pg_temp.f()"),
    ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9); COMMIT", "hold_cursor", "CLOSE c"),
    ("BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1; COMMIT", "hold_cursor", "CLOSE ALL"),
    ("DO $$BEGIN PERFORM pg_advisory_lock(3); END$$", "advisory_lock", "DO $$BEGIN PERFORM pg_advisory_unlock(3); END$$"),
    ("DO 'BEGIN CREATE TEMP TABLE t (a int); END'", "temp_table", "DROP TABLE t"), ("LISTEN a", "listen", "DISCARD ALL"),
    ("DO 'BEGIN EXECUTE ''PREPARE q AS SELECT 1''; END'", "prepared", "DEALLOCATE q"),
    ("SELECT pg_advisory_lock(4), pg_advisory_lock(5); LISTEN a", "listen+advisory_lock", "SELECT pg_advisory_unlock_all(); UNLISTEN *"),
]


# a Parse takes one statement
BOTH = [(*row, extended) for row in PINS for extended in (False, True) if not extended or ";" not in row[0] or row[0].startswith("DO")]


@pytest.mark.parametrize("sql, why, end, extended", BOTH)
def test_pinned_as_long_as_it_lasts(trio, sql, why, end, extended):
    p, a, b, console = trio

    def run(c, text):
        if extended and (";" not in text or text.startswith("DO")):
            c.send(wire.group(text))
            assert not c.until_ready().errors
        else:
            c.ok(text)

    run(a, sql)
    mine = pid(a)
    other = pid(b)
    assert other != mine and pid(a) == mine
    assert reason(console, a) == why and reason(console, b) == ""
    p.wait_log(f"keeps its server: {why.replace('+', '.')} .query [0-9a-f]{{16}}.")
    run(a, end)
    wait_until(lambda: reason(console, a) == "") # the server is asked when the client has its reply
    p.wait_log("no longer keeps its server")


NOT = ["BEGIN; LISTEN news; ROLLBACK", "SELECT pg_advisory_xact_lock(1)", "BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; COMMIT",
       "BEGIN; DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1; COMMIT", "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; ROLLBACK",
       "SELECT 1 AS temp", "DO 'BEGIN PERFORM 1; END'", "SELECT 'LISTEN x', 'pg_temp', pg_try_advisory_xact_lock(5)",
       "BEGIN; SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1); COMMIT", "NOTIFY news", "SET work_mem = '7MB'",
       "BEGIN; CREATE TEMP TABLE t (a int); ROLLBACK", "SELECT nosuchfunction(1)"]


@pytest.mark.parametrize("sql", NOT)
def test_not_pinned(make_pooler, sql):
    """The only server is free for the other one, though the first has not gone."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.query(sql)
    assert b.one("SELECT 1") == "1"
    assert reason(p.console(), a) == ""


def test_a_lock_taken_by_a_statement_that_fails_pins(trio):
    p, a, b, console = trio
    assert a.query("SELECT pg_advisory_lock(1), 1/(random()*0)::int").errors
    a.ok("SELECT 1")
    held = b.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert (held == "1") == (reason(console, a) == "advisory_lock")


def test_load_pins_for_good(trio):
    p, a, b, console = trio
    a.ok("LOAD 'auto_explain'")
    first = pid(a)
    a.ok("DISCARD ALL")
    assert reason(console, a) == "load" and pid(a) == first != pid(b)
    a.close()
    wait_until(lambda: not any(s["remote_pid"] == first for s in console.servers()))


def test_what_a_pinned_client_leaves_is_washed_off(make_pooler):
    """Terminate, and death: the next client finds a clean session on the same server."""
    p = make_pooler(default_pool_size=1)
    first = None
    for die in (False, True):
        a = p.client()
        first = first or pid(a)
        a.ok("CREATE TEMP TABLE left_over (a int)")
        a.ok("SELECT pg_advisory_lock(9)")
        a.ok("SET work_mem = '7MB'")
        if die:
            a.reset()
        else:
            a.send(wire.terminate())
        b = p.client()
        assert pid(b) == first
        assert b.one("SELECT count(*) FROM pg_class WHERE relname = 'left_over'") == "0"
        assert b.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        assert b.one("SHOW work_mem") != "7MB"
        b.send(wire.terminate())


def test_notifications_reach_a_pinned_client(trio):
    p, a, b, console = trio
    a.ok("LISTEN news")
    b.ok("NOTIFY news, 'hello'")
    assert b"hello" in a.expect("A")[-1].body


def test_settings_made_where_the_lexer_cannot_see(make_pooler):
    """A function sets something: the server is asked, and the setting follows."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("CREATE OR REPLACE FUNCTION state_hidden() RETURNS void LANGUAGE plpgsql AS $$BEGIN SET work_mem = '7MB'; "
         "PERFORM set_config('app.hidden', 'x', false); END$$")
    default = b.one("SHOW work_mem")
    a.ok("SELECT state_hidden()")
    assert b.one("SHOW work_mem") == default
    assert b.one("SELECT current_setting('app.hidden', true)") in (None, ""), "it never leaks"
    assert a.one("SHOW work_mem") == "7MB"


DOTTED = [("SELECT set_config('app.one', 'a' || 'b', false)", "ab"), ("SELECT 1, set_config('app.one', 'x', false)", "x"),
          ("DO $$BEGIN PERFORM set_config('App.One', 'x', false); SET app.two = 'y'; END$$", "x"),
          ("SELECT state_dotted('app.one', 'x')", "x"), ("SELECT state_dotted('app.one', '')", "")]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("sql, value", DOTTED)
def test_settings_that_no_list_shows(make_pooler, sql, value, extended, known):
    """Names with a dot: the server is asked for those that the text names, and for what the client has set before."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("CREATE OR REPLACE FUNCTION state_dotted(n text, v text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config(n, v, false); END$$")
    if known:
        a.ok("SET app.one = 'before'")
    a.ok("SET app.kept = 'kept'")
    if extended:
        a.send(wire.group(sql))
        assert not a.until_ready().errors
    else:
        a.ok(sql)
    for _ in range(2):
        assert b.one("SELECT coalesce(current_setting('app.one', true), '') || coalesce(current_setting('app.kept', true), '')") == ""
        assert a.one("SELECT coalesce(current_setting('app.one', true), '')") == value
        assert a.one("SELECT current_setting('app.kept')") == "kept"
    assert reason(p.console(), a) == ""


def test_a_setting_named_by_a_parameter(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.send(wire.group("SELECT 1, set_config($1, upper($2), false)", ("app.bound", "x")))
    assert not a.until_ready().errors
    assert b.one("SELECT coalesce(current_setting('app.bound', true), '')") == ""
    assert a.one("SELECT current_setting('app.bound')") == "X"


def test_a_setting_of_a_library_is_not_taken_for_the_clients(make_pooler):
    """plpgsql.* and the like are named, and are not the client's: bringing them along could fail."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("DO $$BEGIN PERFORM current_setting('plpgsql.variable_conflict'), 'public.x', 'pg_catalog.y'; END$$")
    b.ok("SELECT 1")
    before = sum(int(r["replays"]) for r in p.console().show("PINS"))
    a.ok("SELECT 1")
    b.ok("SELECT 1")
    a.ok("SELECT 1")
    assert sum(int(r["replays"]) for r in p.console().show("PINS")) <= before + 1, "only what a question leaves behind is reset"


UNNAMED = [("SELECT set_config('app.' || 'x', 'y', false)", True), ("SELECT set_config(k, 'y', false) FROM (VALUES ('app.x')) t(k)", True),
           ("SELECT set_config('app.' || 'x', 'y', true)", False), ("SELECT set_config(k, 'y', true) FROM (VALUES ('app.x')) t(k)", False)]


@pytest.mark.parametrize("sql, pins", UNNAMED)
def test_a_setting_whose_name_is_not_told_pins(trio, sql, pins):
    p, a, b, console = trio
    a.ok(sql)
    mine = pid(a)
    b.ok("BEGIN") # whatever server is free
    assert reason(console, a) == ("setting" if pins else "")
    if pins:
        assert pid(a) == mine and a.one("SELECT current_setting('app.x')") == "y"
    a.ok("DISCARD ALL")
    wait_until(lambda: reason(console, a) == "")


def test_a_role_set_in_a_block(make_pooler, pg):
    pg.sql("DROP ROLE IF EXISTS pins_role")
    pg.sql("CREATE ROLE pins_role")
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("DO $$BEGIN SET ROLE pins_role; END$$")
    assert b.one("SELECT current_user") == "postgres"
    assert a.one("SELECT current_user") == "pins_role"


def test_pinned_clients_count_in_the_limit_and_others_wait(make_pooler):
    p = make_pooler(default_pool_size=1, query_wait_timeout=1)
    a, b, c = p.client(), p.client(), p.client()
    a.ok("SELECT pg_advisory_lock(1)")
    b.send(wire.query("SELECT 1"))
    assert b.fatal()["M"] == "query_wait_timeout"
    c.send(wire.query("SELECT 2"))
    a.ok("SELECT pg_advisory_unlock(1)")
    assert c.until_ready().rows == [["2"]]


def test_a_request_sent_while_the_server_is_asked_waits_its_turn(trio):
    p, a, b, console = trio
    for _ in range(20):
        a.send(wire.query("SELECT pg_advisory_lock(1)"), wire.query("SELECT 'mine'"), wire.query("SELECT pg_advisory_unlock(1)"))
        a.until_ready()
        assert a.until_ready().rows == [["mine"]]
        assert a.until_ready().rows == [["t"]]


def test_the_probe_is_not_fooled_by_the_search_path(make_pooler):
    p = make_pooler(default_pool_size=2)
    a = p.client()
    a.ok("DROP SCHEMA IF EXISTS pins_evil CASCADE")
    a.ok("CREATE SCHEMA pins_evil CREATE VIEW pg_locks AS SELECT 'x'::text AS locktype, 0 AS pid WHERE false")
    a.ok("SET search_path = pins_evil, pg_catalog")
    a.ok("SELECT pg_advisory_lock(1)")
    a.ok("SELECT 1")
    assert reason(p.console(), a) == "advisory_lock"


def test_many_clients_that_pin_and_unpin(make_pooler, workers):
    p = make_pooler(default_pool_size=3, **workers)
    clients = [p.client() for _ in range(6)]
    for turn in range(5):
        for i, c in enumerate(clients):
            c.send(wire.query(f"SELECT pg_advisory_lock({100 + i})"), wire.query(f"SELECT pg_advisory_unlock({100 + i}), {turn}"))
        for c in clients:
            c.until_ready()
            assert c.until_ready().rows == [["t", str(turn)]]


def test_show_pins(trio):
    p, a, b, console = trio
    a.ok("LISTEN x")
    a.ok("SELECT 1")
    rows = [r for r in console.show("PINS") if r["database"] == "p0"]
    assert sum(int(r["pinned"]) for r in rows) == 1 == sum(int(r["listen"]) for r in rows)
    assert sum(int(r["probes"]) for r in rows) >= 1 and {r["session_state"] for r in rows} == {"track"}


LISTENS = ["LISTEN news", "listen /* who */ news;", "SELECT 1; LISTEN news", "-- a comment\nLISTEN \"News\"", "BEGIN; LISTEN news; COMMIT"]


@pytest.mark.parametrize("sql", LISTENS)
def test_listen_refused(make_pooler, sql):
    """An error for the statement, its transaction fails, nothing is listened to, nobody is pinned."""
    p = make_pooler(default_pool_size=1, listen_mode="refuse")
    a, b = p.client(), p.client()
    result = a.query(sql)
    assert result.error["C"] == "0A000" and "LISTEN is refused" in result.error["M"] and result.types == "EZ" and result.status == "I"
    for message in ([wire.parse(sql), wire.bind(), wire.execute()], [wire.parse(sql, "s"), wire.describe("S", "s")]):
        a.send(*message, wire.sync())
        result = a.until_ready()
        assert result.error["C"] == "0A000" and result.types == "EZ"
    a.ok("BEGIN")
    assert a.query(sql).status == "E"
    assert a.query("SELECT 1").error["C"] == "25P02"
    a.ok("ROLLBACK")
    assert a.query("SELECT 'LISTEN news', 1 AS listen").rows and a.query("UNLISTEN *").tags == ["UNLISTEN"]
    assert b.one("SELECT count(*) FROM pg_listening_channels()") == "0"
    assert reason(p.console(), a) == ""


def test_listen_refused_in_a_pipeline(make_pooler):
    """Requests around it, sent without waiting, are answered in their order; a very long one too."""
    p = make_pooler(default_pool_size=1, listen_mode="refuse")
    a = p.client()
    long = "LISTEN news /* " + "x" * 100000 + " */"
    for text in ("LISTEN news", long):
        a.send(wire.query("SELECT 1"), wire.query(text), wire.group("SELECT 2"), wire.group(text), wire.query("SELECT 3"))
        results = [a.until_ready() for _ in range(5)]
        assert [r.rows for r in results] == [[["1"]], [], [["2"]], [], [["3"]]]
        assert [len(r.errors) for r in results] == [0, 1, 0, 1, 0]


def test_listen_mode_of_a_database_and_a_user(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line("p0") + " listen_mode=refuse", "p1": pg.line("p1")}, users={"u_trust": "listen_mode=pin"})
    assert p.client("p0").query("LISTEN x").error["C"] == "0A000"
    for c in (p.client("p1"), p.client("p0", "u_trust")):
        assert c.query("LISTEN x").tags == ["LISTEN"]
    p.console().do("SET listen_mode = 'refuse'")
    assert p.client("p1").query("LISTEN x").error["C"] == "0A000"


@pytest.mark.parametrize("settings", [{"pool_mode": "session"}, {"session_state": "off"}])
def test_listen_is_refused_only_where_state_is_followed(make_pooler, settings):
    p = make_pooler(listen_mode="refuse", **settings)
    assert p.client().query("LISTEN x").tags == ["LISTEN"]


@pytest.mark.parametrize("word", [True, False], ids=["with a word", "without"])
def test_a_server_that_dies_while_it_is_asked_takes_its_client_along(make_pooler, fake, word):
    """What the session held (a lock, a temporary table) is gone: the client must hear of it, as on a direct connection."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={fake.port}"}, default_pool_size=1)
    c, session = fake.login(p)
    c.send(wire.query("SELECT pg_advisory_lock(1)"))
    assert b"pg_advisory_lock" in session.recv().body
    session.answer("")
    assert c.until_ready().status == "I"
    assert b"pg_locks" in session.recv().body
    if word:
        session.error("terminating connection due to administrator command", "57P01", "FATAL")
    session.close()
    c.fatal()
