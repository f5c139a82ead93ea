# SPDX-License-Identifier: ISC
"""State that a text sets without looking like it: it neither reaches the next client of the server nor is lost.
docs/session-state.md names these tests."""
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def pair(make_pooler):
    """Two clients on one server."""
    p = make_pooler(default_pool_size=1)
    return p.client(), p.client(), p.console()


def reason(console, c):
    port = str(c.sock.getsockname()[1])
    return next(row["pin_reason"] for row in console.clients() if row["port"] == port)


def run(c, text, extended):
    if extended and ";" not in text:
        c.send(wire.group(text))
        assert not c.until_ready().errors
    else:
        c.ok(text)


CALLS = ["SELECT DISTINCT ON (g) hidden_set(g) FROM generate_series(1, 2) g", "SELECT year(1)", "SELECT 1 OPERATOR(pg_catalog.+) hidden_set(1)",
         "SELECT sum(g) OVER (ORDER BY hidden_set(g)) FROM generate_series(1, 2) g"]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sql", CALLS)
def test_calls_that_look_like_something_else(pair, sql, extended):
    """Behind the list of DISTINCT ON, and by the name of a key word: a function of one's own is asked for."""
    a, b, console = pair
    for name in ("hidden_set", "year"):
        a.ok(f"CREATE OR REPLACE FUNCTION {name}(i int) RETURNS int LANGUAGE plpgsql AS $$BEGIN SET work_mem = '7MB'; RETURN i; END$$")
    default = b.one("SHOW work_mem")
    run(a, sql, extended)
    for _ in range(2):
        assert b.one("SHOW work_mem") == default
        assert a.one("SHOW work_mem") == "7MB"
    assert reason(console, a) == ""


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("view", ["pg_settings", "ONLY pg_catalog.\"pg_settings\""])
def test_update_of_pg_settings(pair, extended, view):
    """A rule of that view calls set_config."""
    a, b, _ = pair
    default = b.one("SHOW work_mem")
    run(a, f"UPDATE {view} SET setting = '7MB' WHERE name = 'work_mem'", extended)
    for _ in range(2):
        assert b.one("SHOW work_mem") == default
        assert a.one("SHOW work_mem") == "7MB"


def test_what_belongs_to_a_transaction_is_not_brought_along(pair):
    """PostgreSQL keeps transaction_isolation on the list of what a session has set, for ever, once somebody has said SET without LOCAL."""
    a, b, _ = pair
    a.ok("SET transaction_isolation = 'read committed'; SELECT set_config('transaction_read_only', 'off', false)")
    a.ok("SET default_transaction_isolation = 'serializable'")
    a.ok("DO $$BEGIN END$$")
    for _ in range(2):
        assert b.one("SHOW transaction_isolation") == "read committed"
        assert a.one("SHOW transaction_isolation") == "serializable"


def test_names_that_are_cut(make_pooler):
    """After 63 bytes; beyond ASCII only the server can tell where, so such a client keeps its server."""
    p = make_pooler(default_pool_size=2)
    a, b = p.client(), p.client()
    long = "n" * 70
    a.ok(f"PREPARE {long} AS SELECT 1")
    b.ok("BEGIN")  # on the server that a had
    assert a.one(f"EXECUTE {long[:63]}") == a.one(f"EXECUTE {long[:65]}") == "1"
    b.ok("COMMIT")
    a.ok(f"BEGIN; SET work_mem = '7MB'; SAVEPOINT {long}; SET work_mem = '8MB'; ROLLBACK TO {long[:63]}; COMMIT")
    b.ok("BEGIN")
    assert a.one("SHOW work_mem") == "7MB"
    b.ok("COMMIT")
    a.ok(f"DEALLOCATE \"{long[:64]}\"")
    assert reason(p.console(), a) == ""
    a.ok(f"PREPARE {'ü' * 40} AS SELECT 2")
    wait_until(lambda: reason(p.console(), a) == "prepared")
    assert a.one(f"EXECUTE {'ü' * 31}") == "2"


def test_function_call_messages(pair):
    """query_to_xml runs a text; so may any function that has not to do with large objects."""
    a, b, _ = pair
    default = b.one("SHOW work_mem")
    text = b"SELECT set_config('work_mem', '7MB', false), set_config('app.fast', 'x', false)"
    a.send(wire.function_call(int(a.one("SELECT 'query_to_xml'::regproc::oid")), [text, b"\1", b"\0", b""]))
    assert not a.until_ready().errors
    for _ in range(2):
        assert b.one("SELECT current_setting('work_mem') || coalesce(current_setting('app.fast', true), '')") == default
        assert a.one("SELECT current_setting('work_mem') || current_setting('app.fast')") == "7MBx"


TEMP = [("SET search_path = pg_temp, public",), ("SET search_path = 'pg_temp', public",), ("SELECT set_config('search_path', 'pg_temp', false)",),
        ("BEGIN", "SET LOCAL search_path = 'pg_temp'"), ("BEGIN", "SELECT set_config('search_path', 'pg_temp', true)"),
        ("BEGIN; SET LOCAL search_path = 'pg_temp'",)]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("before", TEMP, ids=range(len(TEMP)))
def test_temporary_by_the_search_path(pair, before, extended):
    """CREATE without TEMP: where the search_path begins with pg_temp it makes something temporary all the same."""
    a, b, console = pair
    a.ok("SET search_path = 'public'") # the same text as below but for a constant
    a.ok("RESET search_path")
    for text in before:
        run(a, text, extended)
    run(a, "CREATE SEQUENCE hidden_temp", extended)
    if before[0].startswith("BEGIN"):
        run(a, "COMMIT", extended)
    wait_until(lambda: reason(console, a) == "temp_table") # the server is asked when the client has its reply
    assert a.one("SELECT nextval('hidden_temp')") == "1"
    a.ok("DROP SEQUENCE hidden_temp")
    assert b.one("SELECT 1") == "1"


def test_settings_beyond_ascii(pair):
    """They mean something only in the encoding in which they were written; the other client's is another one."""
    a, b, console = pair
    a.ok("SET client_encoding = 'LATIN1'")
    a.send(wire.message("Q", b"SET app.name = 'J\xfcrgen'\0"))
    assert not a.until_ready().errors
    b.ok("SET app.name = 'Jürgen'")
    for _ in range(3):
        for c in (a, b):
            assert c.one("SELECT length(current_setting('app.name')) || '-' || ascii(substr(current_setting('app.name'), 2, 1))") == "6-252"
    assert reason(console, a) == reason(console, b) == ""


@pytest.mark.parametrize("change", ["SET client_encoding = 'LATIN1'", "BEGIN; SET client_encoding = 'LATIN1'; COMMIT"])
def test_settings_beyond_ascii_and_another_encoding(pair, change):
    """Who changes client_encoding afterwards keeps the server, which knows them."""
    a, b, console = pair
    a.ok("SET app.name = 'Jürgen'")
    assert b.one("SELECT coalesce(current_setting('app.name', true), '')") == ""
    a.ok(change)
    assert reason(console, a) == "setting"
    assert a.one("SELECT length(current_setting('app.name'))") == "6"
    a.ok("DISCARD ALL")
    assert b.one("SELECT coalesce(current_setting('app.name', true), '')") == ""


def test_a_setting_and_the_encoding_in_one_text(pair):
    a, b, _ = pair
    for text in ("SET client_encoding = 'LATIN1'; SET app.name = 'ü'", "SET app.name = 'ü'; SET client_encoding = 'LATIN1'"):
        a.ok(text)
        assert a.one("SELECT ascii(current_setting('app.name'))") == "252"
        a.ok("DISCARD ALL")
        assert b.one("SELECT coalesce(current_setting('app.name', true), '')") == ""


UNREPORTED = {"work_mem": ("7MB", "9MB"), "app.kept": ("mine", "other")}


@pytest.mark.parametrize("name", list(UNREPORTED))
@pytest.mark.parametrize("reset", ["RESET {}", "SET {} TO DEFAULT", "RESET ALL", "DISCARD ALL"])
def test_reset_of_what_no_server_reports(make_pooler, pg, reset, name):
    """track_extra_parameters: the start-up packet's value comes back, as on a direct connection, and stays with its client."""
    value, other = UNREPORTED[name]
    p = make_pooler(default_pool_size=1, track_extra_parameters="IntervalStyle,work_mem,app.kept")
    a, b = p.client(options=f"-c {name}={value}"), p.client()
    default = b.one(f"SELECT coalesce(current_setting('{name}', true), '')")
    with wire.Conn(pg.port) as direct:
        direct.login("postgres", "p0", options=f"-c {name}={value}")
        for text in (None, f"SET {name} = '{other}'", f"BEGIN; SET {name} = '{other}'; ROLLBACK"):
            for c in (a, direct):
                if text:
                    c.ok(text)
                c.ok(reset.format(name))
            for _ in range(2):
                assert a.one(f"SHOW {name}") == direct.one(f"SHOW {name}") == value
                assert b.one(f"SELECT coalesce(current_setting('{name}', true), '')") == default
    a.ok("BEGIN")
    a.ok(f"SET {name} = '{other}'")
    if reset != "DISCARD ALL":
        a.ok(reset.format(name))
    a.ok("ROLLBACK")
    a.ok(f"SET {name} = '{other}'")
    a.ok("RESET enable_seqscan")
    assert b.one(f"SELECT coalesce(current_setting('{name}', true), '')") == default
    assert a.one(f"SHOW {name}") == other
