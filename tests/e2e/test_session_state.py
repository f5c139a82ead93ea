# SPDX-License-Identifier: ISC
"""Settings of a session follow their client in transaction mode: two clients share one server, neither loses or sees
what the other has set. docs/session-state.md names these tests."""
import pytest

from support import wire

pytestmark = pytest.mark.poolwise


@pytest.fixture
def pair(make_pooler):
    """Two clients on one server."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    pid = a.one("SELECT pg_backend_pid()")
    assert b.one("SELECT pg_backend_pid()") == pid
    return a, b


def whose(c):
    return c.query("SELECT current_user, session_user").rows[0]


def direct(pg, sql, name="work_mem"):
    """What a direct connection has after the same text."""
    with wire.Conn(pg.port) as c:
        c.login("postgres", "p0")
        if c.query(sql).status == "E":
            c.query("ROLLBACK TO s")
            c.query("COMMIT")
        return setting(c, name)


def setting(c, name):
    return c.one(f"SELECT current_setting('{name}', true)")


FORMS = [
    ("SET work_mem = '7MB'", "work_mem", "7MB"), ("SET work_mem TO 7168", "work_mem", "7MB"),
    ("set session work_mem to '7MB'", "work_mem", "7MB"), ("SET WORK_MEM = '7MB' ; ", "work_mem", "7MB"),
    ("/* a */ SET -- b\n work_mem /* c */ = '7MB' -- d", "work_mem", "7MB"), ("SET \"work_mem\" = '7MB'", "work_mem", "7MB"),
    ("SET enable_seqscan = off", "enable_seqscan", "off"), ("SET enable_seqscan TO FALSE", "enable_seqscan", "off"),
    ("SET seq_page_cost = 2.5", "seq_page_cost", "2.5"), ("SET jit_above_cost = -1", "jit_above_cost", "-1"),
    ("SET search_path = a, \"B c\", public", "search_path", "a, \"B c\", public"),
    ("SET search_path TO 'a, b'", "search_path", "\"a, b\""), ("SET SCHEMA 'mine'", "search_path", "mine"),
    ("SET app.tenant = 'forty ''two'''", "app.tenant", "forty 'two'"), ("SET app.tenant TO E'tab\\there'", "app.tenant", "tab\there"),
    ("SET app.tenant TO $$do\\llar$$", "app.tenant", "do\\llar"), ("SET App.Tenant = Mixed", "app.tenant", "mixed"),
    ("SET app.tenant = \"Mixed\"", "app.tenant", "Mixed"), ("SET app.\"Tenant\" = 'x'", "app.tenant", "x"),
    ("SET statement_timeout = '11s'", "statement_timeout", "11s"), ("SET sort_mem = '7MB'", "work_mem", "7MB"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "default_transaction_isolation", "repeatable read"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE", "default_transaction_read_only", "on"),
    ("SET XML OPTION DOCUMENT", "xmloption", "document"), ("SELECT set_config('work_mem', '7MB', false)", "work_mem", "7MB"),
    ("SELECT pg_catalog.set_config('app.tenant', 'x\\y', 'f') AS t", "app.tenant", "x\\y"),
    ("SELECT set_config('app.a', '1', true), set_config('app.tenant', '2', false)", "app.tenant", "2"),
    ("SELECT set_config('search_path', 'a, b', false)", "search_path", "a, b"),
    ("SELECT 1; SET work_mem = '7MB'; SELECT 2", "work_mem", "7MB"), ("BEGIN; SET work_mem = '7MB'; COMMIT", "work_mem", "7MB"),
    ("SET work_mem = '6MB'; SET work_mem = '7MB'", "work_mem", "7MB"), ("DO $$BEGIN SET work_mem = '7MB'; END$$", "work_mem", "7MB"),
]


# a Parse takes one statement
BOTH = [(*row, how) for row in FORMS for how in ("simple", "extended")
        if how == "simple" or ";" not in row[0].rstrip("; ") or row[0].startswith("DO")]


@pytest.mark.parametrize("sql, name, value, protocol", BOTH)
def test_set_follows_its_client(pair, pg, sql, name, value, protocol):
    a, b = pair
    assert direct(pg, sql, name) == value
    default = setting(b, name)
    if protocol == "extended":
        a.send(wire.group(sql))
        assert not a.until_ready().errors
    else:
        a.ok(sql)
    for _ in range(3):
        assert setting(b, name) in (default, "" if default is None else default)
        assert setting(a, name) == value


BACK = ["RESET work_mem", "SET work_mem TO DEFAULT", "SET work_mem = default", "RESET ALL", "DISCARD ALL", "RESET \"work_mem\"",
        "BEGIN; RESET work_mem; COMMIT"]


@pytest.mark.parametrize("sql", BACK)
def test_reset(pair, sql):
    a, b = pair
    default = setting(b, "work_mem")
    a.ok("SET work_mem = '7MB'")
    assert setting(b, "work_mem") == default
    a.ok(sql)
    b.ok("SELECT 1")
    assert setting(a, "work_mem") == default


LOCAL = ["SET work_mem = '7MB'; BEGIN; SET work_mem = '9MB'; ROLLBACK", "BEGIN; SET LOCAL work_mem = '7MB'; COMMIT", "SELECT set_config('work_mem', '7MB', true)", "SET LOCAL work_mem = '7MB'",
         "BEGIN; SET work_mem = '7MB'; ROLLBACK", "BEGIN; SET work_mem = '7MB'; SELECT 1/0; COMMIT", "SET work_mem = '7MB'; SELECT 1/0",
         "BEGIN; SAVEPOINT s; SET work_mem = '7MB'; ROLLBACK TO s; COMMIT",
         "BEGIN; SET app.x = '1'; SAVEPOINT s; SET work_mem = '7MB'; ROLLBACK TO SAVEPOINT s; COMMIT",
         "BEGIN; SET app.x = '1'; SAVEPOINT s; SAVEPOINT t; SET work_mem = '7MB'; RELEASE t; ROLLBACK WORK TO s; COMMIT",
         "BEGIN; SAVEPOINT s; SET app.x = '1'; SAVEPOINT s; SET work_mem = '7MB'; RELEASE s; ROLLBACK TO s; COMMIT",
         "BEGIN; SET work_mem = '7MB'; ROLLBACK; SELECT 1", "BEGIN; SET work_mem = '7MB'; ABORT", "SET work_mem = 'rubbish'"]


@pytest.mark.parametrize("sql", LOCAL)
def test_what_a_transaction_takes_back(pair, pg, sql):
    a, b = pair
    assert direct(pg, sql) == setting(a, "work_mem")
    default = setting(a, "work_mem")
    if a.query(sql).status != "I":
        a.query("ROLLBACK")
    b.ok("SELECT 1")
    assert setting(a, "work_mem") == default == setting(b, "work_mem")


KEPT = ["BEGIN; SET work_mem = '7MB'; SAVEPOINT s; SET work_mem = '8MB'; ROLLBACK TO s; COMMIT",
        "BEGIN; SET work_mem = '7MB'; SAVEPOINT s; SELECT 1/0", "SET work_mem = '7MB'; COMMIT; SET work_mem = '9MB'; SELECT 1/0",
        "BEGIN; SET work_mem = '7MB'; COMMIT AND CHAIN; SET work_mem = '9MB'; ROLLBACK", "BEGIN; SET work_mem = '7MB'; END",
        "BEGIN; SAVEPOINT s; SET work_mem = '7MB'; RELEASE s; COMMIT", "BEGIN; SET work_mem = '7MB'; SET LOCAL work_mem = '9MB'; COMMIT",
        "BEGIN; SAVEPOINT \"S\"; SAVEPOINT s; SET work_mem = '7MB'; RELEASE s; COMMIT"]


@pytest.mark.parametrize("sql", KEPT)
def test_what_a_transaction_keeps(pair, pg, sql):
    a, b = pair
    assert direct(pg, sql) == "7MB"
    default = setting(b, "work_mem")
    if a.query(sql).status == "E":
        a.ok("ROLLBACK TO s")
        a.ok("COMMIT")
    assert setting(b, "work_mem") == default
    assert setting(a, "work_mem") == "7MB"


def test_each_statement_in_a_message_of_its_own_without_waiting(pair):
    """The replies are matched in order, whatever was sent ahead."""
    a, b = pair
    default = setting(b, "work_mem")
    texts = ["BEGIN", "SET work_mem = '7MB'", "SAVEPOINT s", "SET work_mem = '8MB'", "ROLLBACK TO s", "COMMIT", "SELECT 1/0",
             "SET app.x = 'y'"]
    a.send(*[wire.query(t) for t in texts])
    for _ in texts:
        a.until_ready()
    assert setting(b, "work_mem") == default and setting(b, "app.x") in (None, "")
    assert setting(a, "work_mem") == "7MB" and setting(a, "app.x") == "y"


def test_a_pipeline_that_fails_takes_its_set_back(pair):
    a, b = pair
    default = setting(b, "work_mem")
    a.send(wire.parse("SET work_mem = '7MB'"), wire.bind(), wire.execute(), wire.parse("SELECT 1/0"), wire.bind(),
           wire.execute(), wire.sync())
    assert a.until_ready().errors
    b.ok("SELECT 1")
    assert setting(a, "work_mem") == default


def test_set_config_with_bound_values(pair):
    a, b = pair
    for value in ("one", "t'wo"):
        a.send(wire.parse("SELECT set_config('app.tenant', $1, $2)"), wire.bind(params=[value.encode(), b"f"]), wire.execute(), wire.sync())
        assert not a.until_ready().errors
        assert setting(b, "app.tenant") in (None, "")
        assert setting(a, "app.tenant") == value
    a.send(wire.parse("SELECT set_config('app.tenant', $1, $2)"), wire.bind(params=[b"never", b"true"]), wire.execute(), wire.sync())
    assert not a.until_ready().errors
    b.ok("SELECT 1")
    assert setting(a, "app.tenant") == "t'wo"


def test_a_named_statement_that_sets(pair):
    """Prepared once, run in several transactions."""
    a, b = pair
    default = setting(b, "work_mem")
    a.send(wire.parse("SET work_mem = '7MB'", name="s"), wire.parse("RESET work_mem", name="r"), wire.sync())
    assert not a.until_ready().errors
    for name, value in (("s", "7MB"), ("r", default), ("s", "7MB")):
        a.send(wire.bind(statement=name), wire.execute(), wire.sync())
        assert not a.until_ready().errors
        assert setting(b, "work_mem") == default
        assert setting(a, "work_mem") == value


@pytest.mark.parametrize("name, value", [("app.x", "mine"), ("work_mem", "7MB")])
def test_a_setting_by_a_select_with_a_limit_of_rows(pair, name, value):
    """What ends it is PortalSuspended, then: nobody asks for the rest."""
    a, b = pair
    default = b.one(f"SELECT coalesce(current_setting('{name}', true), '')")
    a.send(wire.parse("SELECT set_config($1, $2, false)"), wire.bind("", "", [name, value]), wire.execute("", 1), wire.sync())
    assert a.until_ready().types == "12DsZ"
    assert b.one(f"SELECT coalesce(current_setting('{name}', true), '')") == default
    assert a.one(f"SELECT current_setting('{name}')") == value


@pytest.mark.parametrize("sql, params", [("SET app.x = 'mine'", []), ("SELECT set_config('app.x', $1, false)", ["mine"])], ids=["set", "function"])
def test_a_setting_with_a_dot_by_a_portal_with_a_name(pair, sql, params):
    a, b = pair
    a.send(wire.parse(sql), wire.bind("p", "", params), wire.execute("p"), wire.sync())
    assert not a.until_ready().errors
    assert b.one("SELECT coalesce(current_setting('app.x', true), '')") == ""
    assert a.one("SELECT current_setting('app.x')") == "mine"


def test_portals_with_names(pair):
    """Which of them runs is not followed: the server is asked."""
    a, b = pair
    default = setting(b, "work_mem")
    a.send(wire.parse("SET work_mem = '7MB'"), wire.bind(portal="p"), wire.parse("SELECT 1"), wire.bind(portal="q"), wire.execute("q"),
           wire.execute("p"), wire.sync())
    assert not a.until_ready().errors
    assert setting(b, "work_mem") == default
    assert setting(a, "work_mem") == "7MB"


def test_named_statements_that_are_not_followed(make_pooler):
    p = make_pooler(default_pool_size=1, max_prepared_statements=0)
    a, b = p.client(), p.client()
    default = setting(b, "work_mem")
    a.send(wire.group("SET work_mem = '7MB'", name="raw"))
    assert not a.until_ready().errors
    assert setting(b, "work_mem") == default
    assert setting(a, "work_mem") == "7MB"


def test_without_observation(make_pooler):
    p = make_pooler(default_pool_size=1, query_observation=0)
    a, b = p.client(), p.client()
    default = setting(b, "work_mem")
    for protocol in (a.ok, lambda sql: (a.send(wire.group(sql)), a.until_ready())):
        protocol("SET work_mem = '7MB'")
        assert setting(b, "work_mem") == default and setting(a, "work_mem") == "7MB"
        protocol("RESET work_mem")
        assert setting(a, "work_mem") == default


def test_a_client_encoding_that_the_lexer_may_misread(pair):
    """In SJIS the second byte of a letter may be a backslash or a quote's neighbour: such texts are asked for."""
    a, b = pair
    default = setting(b, "work_mem")
    a.ok("SET client_encoding = 'SJIS'")
    a.send(wire.message("Q", b"SELECT '\x83\x5c'; SET work_mem = '7MB'\0"))
    assert not a.until_ready().errors
    assert setting(b, "work_mem") == default
    assert setting(a, "work_mem") == "7MB"


def test_roles(make_pooler, pg):
    pg.sql("CREATE ROLE state_role")
    pg.sql("CREATE ROLE state_other")
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()

    for command, expected in (("SET ROLE state_role", ["state_role", "postgres"]), ("SET SESSION AUTHORIZATION state_other", ["state_other"] * 2),
                              ("SET SESSION AUTHORIZATION DEFAULT", ["postgres"] * 2), ("SET ROLE 'state_role'", ["state_role", "postgres"]),
                              ("RESET ROLE", ["postgres"] * 2), ("SET SESSION AUTHORIZATION 'state_role'", ["state_role"] * 2),
                              ("RESET SESSION AUTHORIZATION", ["postgres"] * 2), ("SET role TO state_other", ["state_other", "postgres"]),
                              ("SET ROLE NONE", ["postgres"] * 2), ("BEGIN; SET LOCAL ROLE state_role; COMMIT", ["postgres"] * 2),
                              ("SELECT set_config('role', 'state_role', false)", ["state_role", "postgres"]),
                              ("DISCARD ALL", ["postgres"] * 2)):
        a.ok(command)
        assert whose(b) == ["postgres", "postgres"], command
        assert whose(a) == expected, command


def test_a_setting_that_cannot_be_replayed_ends_the_client(make_pooler, pg):
    """Not with other settings than it asked for; and the next client is not hurt."""
    pg.sql("CREATE ROLE state_gone")
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("SET ROLE state_gone")
    b.ok("SELECT 1")
    pg.sql("DROP ROLE state_gone")
    a.send(wire.query("SELECT 1"))
    assert a.fatal()["M"] == "invalid server parameter"
    assert b.one("SELECT current_user") == "postgres"


def test_connect_query_survives_a_reset(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(connect_query="'SET work_mem = ''9MB'''")}, default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("SET work_mem = '7MB'")
    assert setting(b, "work_mem") == "9MB"
    assert setting(a, "work_mem") == "7MB"
    assert setting(b, "work_mem") == "9MB"


def test_a_client_that_leaves_takes_its_settings_with_it(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    default = setting(b, "work_mem")
    a.ok("SET work_mem = '7MB'")
    a.close()
    assert setting(b, "work_mem") == default
    c = p.client()
    c.ok("BEGIN")
    c.ok("SET work_mem = '7MB'")
    c.close()
    assert setting(b, "work_mem") == default


def test_off_loses_settings_as_pgbouncer_does(make_pooler):
    p = make_pooler(default_pool_size=1, session_state="off")
    a, b = p.client(), p.client()
    a.ok("SET work_mem = '7MB'")
    assert setting(b, "work_mem") == "7MB"


@pytest.mark.parametrize("query", ["RESET ALL", "DISCARD ALL", "DEALLOCATE ALL", "SELECT 1; RESET work_mem"])
def test_a_reset_query_after_each_transaction(make_pooler, query):
    """What it takes back comes back with its client."""
    p = make_pooler(default_pool_size=1, server_reset_query=query, server_reset_query_always=1)
    a, b = p.client(), p.client()
    a.ok("SET work_mem = '7MB'; SET app.x = 'a'")
    for _ in range(2):
        assert a.ok("SELECT current_setting('work_mem'), current_setting('app.x')") == [["7MB", "a"]]
        assert b.ok("SELECT current_setting('work_mem'), coalesce(current_setting('app.x', true), '')") == [["4MB", ""]]


def test_pin_keeps_the_server(make_pooler):
    p = make_pooler(default_pool_size=2, session_state="pin")
    a, b = p.client(), p.client()
    a.ok("SET work_mem = '7MB'")
    pid = a.one("SELECT pg_backend_pid()")
    assert b.one("SELECT pg_backend_pid()") != pid == a.one("SELECT pg_backend_pid()")
    assert setting(a, "work_mem") == "7MB"


def test_nothing_is_sent_when_nothing_differs(make_pooler, pg):
    """Two clients with the same settings: one statement each reaches the server, without a replay in between."""
    p = make_pooler(default_pool_size=1, verbose=2)
    a, b = p.client(), p.client()
    for c in (a, b):
        c.ok("SET work_mem = '7MB'")
    before = p.log().count("varcache_apply")
    for _ in range(3):
        assert setting(a, "work_mem") == setting(b, "work_mem") == "7MB"
    assert p.log().count("varcache_apply") <= before + 1


def test_reset_goes_back_to_the_start_up_value(make_pooler, pg, workers):
    """RESET, SET ... TO DEFAULT, RESET ALL and DISCARD ALL of what the start-up packet asked for, as on a direct connection (asyncpg's
    pool runs RESET ALL whenever a connection comes back)."""
    p = make_pooler(default_pool_size=2, **workers)
    asked = {"DateStyle": "German", "TimeZone": "Asia/Tokyo", "application_name": "mine", "options": "-c client_encoding=latin1"}
    both = [p.client(**asked), wire.Conn(pg.port).login("postgres", "p0", **asked)]
    other = p.client()

    def same(*messages):
        replies = []
        for c in both:
            c.send(*messages)
            n = b"".join(messages).count(wire.sync()) + sum(m[:1] == b"Q" for m in messages)
            replies.append([(r.rows, r.tags, [e["C"] for e in r.errors], r.status) for r in (c.until_ready() for _ in range(n))])
        assert replies[0] == replies[1], messages
        return replies[0]
    ask = wire.query("SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('application_name'), current_setting('client_encoding')")
    change = "SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET application_name = 'x'; SET client_encoding = 'UTF8'"
    for reset in ("RESET DateStyle", "SET TimeZone TO DEFAULT", "SET TIME ZONE LOCAL", "RESET client_encoding", "RESET ALL", "DISCARD ALL",
                  "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"):
        for how in (wire.query(reset), wire.parse(reset) + wire.bind() + wire.execute() + wire.sync()):
            same(wire.query(change))
            same(how)
            other.ok("SET DateStyle = 'SQL'")
            same(ask)
            same(wire.query(change), how, ask)
            both[0].ok("RESET work_mem")
            assert both[0].params["DateStyle"] == both[1].params["DateStyle"] and both[0].params["TimeZone"] == both[1].params["TimeZone"]
            same(wire.query("RESET ALL"))
    # what an error or a rolled back transaction takes back, and what waits in front of a COPY
    same(wire.query(change))
    same(wire.query("RESET DateStyle; SELECT 1/0"))
    same(ask)
    same(wire.query("BEGIN"), wire.query("RESET ALL"), ask, wire.query("ROLLBACK"), ask)
    same(wire.query("BEGIN"), wire.query("SELECT 1/0"), wire.query("RESET ALL"), wire.query("ROLLBACK"), ask)
    same(wire.query("BEGIN; RESET ALL; COMMIT"), ask)
    for c in both:
        c.ok("CREATE TABLE IF NOT EXISTS reset_copy (a int)")
        c.send(wire.query("RESET ALL; COPY reset_copy FROM STDIN"), wire.copy_data("1\n"), wire.copy_done())
        assert c.until_ready().tags == ["RESET", "COPY 1"]
    pg.sql("SELECT 1")
    both[1].ok("DROP TABLE reset_copy")
    both[1].close()
