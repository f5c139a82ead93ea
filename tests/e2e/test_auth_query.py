# SPDX-License-Identifier: ISC
"""auth_query: secrets that a database knows, not auth_file."""
import threading

import pytest

from support import wire
from support.pooler import Console, refused
from support.postgres import USERS
from support.tap import fake_line
from support.util import wait_until

QUERY = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"
AUTH_FILE = {"postgres": "", "admin": "adm"}


@pytest.fixture
def ask(make_pooler, pg):
    """A pooler whose users are those of the server; auth_user is its superuser."""

    def make(**settings):
        settings = {"auth_type": "md5", "auth_user": "postgres", "auth_file": AUTH_FILE, **settings}
        return make_pooler(**settings)

    return make


@pytest.fixture
def role(pg):
    """role(password=..., more): a login role of this test."""
    made = []

    def make(name, password=None, more=""):
        pg.sql(f"CREATE ROLE \"{name}\" LOGIN " + (f"PASSWORD '{password}' " if password else "") + more)
        made.append(name)
        return name

    yield make
    for name in made:
        pg.no_backends()
        pg.sql(f'DROP ROLE "{name}"')


def test_a_user_of_the_server_logs_in(ask):
    p = ask()
    password = USERS["u_scram"][0]
    c = p.client("p0", "u_scram", password)
    assert c.auth_methods == [10, 11, 12]
    assert c.one("SELECT current_user") == "u_scram"  # and pass-through to the server
    c = p.client("p0", "u_md5", USERS["u_md5"][0])
    assert c.auth_methods == [5]
    assert c.one("SELECT current_user") == "u_md5"
    assert refused(p, "u_scram", "wrong") == "SASL authentication failed"
    assert refused(p, "u_md5", "wrong") == "password authentication failed"
    assert refused(p, "nobody here", "x") == "no such user"
    p.wait_log("closing because: no such user")


@pytest.mark.differs  # PgBouncer asks with whatever is set there, and keeps no settings
def test_what_others_left_on_the_server(ask, pg):
    """auth_query runs with the settings of a new session, and whoever comes after it has his own."""
    p = ask(default_pool_size=1, auth_file=AUTH_FILE, auth_type="trust", max_prepared_statements=0)
    user = p.client("p0", "postgres")
    pid = user.one("SELECT pg_backend_pid()")
    user.ok("SET search_path = information_schema; SET ROLE u_trust; SET work_mem = '7MB'")
    p.console().do("SET auth_type = md5")
    p.client("p0", "u_md5", USERS["u_md5"][0])
    assert [user.one(q) for q in ("SHOW search_path", "SELECT current_user", "SHOW work_mem", "SELECT pg_backend_pid()")] == [
        "information_schema", "u_trust", "7MB", pid]


def test_the_default_query_knows_valid_until_and_nologin(ask, role, pg):
    role("r_valid", "secret", "VALID UNTIL '1999-01-01'")
    pg.sql("CREATE ROLE r_nologin PASSWORD 'secret'")
    try:
        p = ask()
        assert refused(p, "r_valid", "secret") == "password authentication failed"
        assert refused(p, "r_nologin", "secret") == "no such user"
        pg.sql("ALTER ROLE r_valid VALID UNTIL 'infinity'")
        p.client("p0", "r_valid", "secret").ok("SELECT 1")
    finally:
        pg.sql("DROP ROLE r_nologin")


def test_a_changed_password_counts_at_the_next_login(ask, role, pg):
    role("r_change", "first")
    p = ask()
    c = p.client("p0", "r_change", "first")
    c.ok("SELECT 1")
    pg.sql("ALTER ROLE r_change PASSWORD 'second'")
    assert refused(p, "r_change", "first") == "SASL authentication failed"
    c.ok("SELECT 1")
    d = p.client("p0", "r_change", "second")
    assert d.one("SELECT current_user") == "r_change"


def test_a_null_secret_never_matches(ask, role):
    role("r_null")
    p = ask()
    for password in ("x", "md5", "r_null"):
        assert refused(p, "r_null", password) == "password authentication failed"
    p = ask(auth_type="plain")
    assert refused(p, "r_null", "") == "empty password returned by client"


def test_a_users_own_search_path_and_names_change_nothing(ask, role, pg):
    """What a client brings along never reaches auth_query: CVE-2025-12819 and its like."""
    role("r_path", "secret")
    with pg.connect("p0") as conn:
        conn.execute("CREATE SCHEMA evil")
        conn.execute("CREATE TABLE public.known (name text, secret text)")
        conn.execute("INSERT INTO public.known VALUES ('r_path', 'secret'), ('it''s', 'quoted')")
        conn.execute("CREATE TABLE evil.known AS SELECT name, 'stolen'::text AS secret FROM public.known")
    try:
        p = ask(auth_query="SELECT name, secret FROM known WHERE name = $1", track_extra_parameters="search_path",
                ignore_startup_parameters="search_path")
        c = p.raw()
        c.startup(user="r_path", database="p0", options="-c search_path=evil")
        c.authenticate("r_path", "secret")
        assert refused(p, "r_path", "stolen") == "password authentication failed"
        assert refused(p, "x' OR name = 'r_path", "secret") == "no such user"
    finally:
        pg.no_backends()
        with pg.connect("p0") as conn:
            conn.execute("DROP TABLE public.known, evil.known")
            conn.execute("DROP SCHEMA evil")


def test_a_session_that_shares_the_pool_cannot_bend_the_query(ask, role, pg):
    """auth_user's own sessions may leave a search_path behind on the server that the query then gets."""
    role("r_bend", "secret")
    with pg.connect("p0") as conn:
        conn.execute("CREATE TABLE public.known (name text, secret text)")
        conn.execute("INSERT INTO public.known VALUES ('r_bend', 'secret')")
        conn.execute("CREATE SCHEMA evil")
        conn.execute("CREATE TABLE evil.known AS SELECT name, 'stolen'::text AS secret FROM public.known")
    try:
        p = ask(auth_query="SELECT name, secret FROM known WHERE name = $1", default_pool_size=1, auth_type="plain",
                auth_file={"postgres": "pg", "admin": "adm"})
        c = p.client("p0", "postgres", "pg")
        c.ok("SET search_path = evil")
        p.client("p0", "r_bend", "secret").close()
        assert refused(p, "r_bend", "stolen") == "password authentication failed"
    finally:
        for conn in p.conns:
            conn.close()
        p.stop()
        pg.no_backends()
        with pg.connect("p0") as conn:
            conn.execute("DROP TABLE public.known, evil.known")
            conn.execute("DROP SCHEMA evil")


def test_per_database_settings_beat_the_global_ones(ask, pg):
    p = ask(auth_query="SELECT 1", auth_user="nosuch",
            databases={"p0": pg.line(auth_user="postgres", auth_query=f"'{QUERY}'"),
                       "p1": pg.line("p1", auth_user="postgres", auth_query=f"'{QUERY}'", auth_dbname="p0"),
                       "p2": pg.line("p2")})
    for database in ("p0", "p1"):
        p.client(database, "u_md5", USERS["u_md5"][0]).close()
    assert "nosuch" in refused_any(p, "u_md5", "x", "p2")


def refused_any(p, user, password, database):
    with pytest.raises(wire.ServerError) as e:
        p.client(database, user, password)
    return e.value.message


def test_auth_dbname_is_where_the_query_runs(ask, pg):
    p = ask(auth_query=f"{QUERY} AND current_database() = 'p2'", auth_dbname="p2")
    p.client("p0", "u_md5", USERS["u_md5"][0]).ok("SELECT 1")
    assert p.psycopg("p0", "u_md5", password=USERS["u_md5"][0]).execute("SELECT current_database()").fetchone() == ("p0",)


def test_errors_are_told_to_the_log_only(ask, pg):
    p = ask(auth_query="SELECT usename, passwd FROM not_there WHERE usename = $1")
    assert refused(p, "u_md5", "x") == "bouncer config error"
    p.wait_log('relation "not_there" does not exist')
    p = ask(auth_query="SELECT 1 WHERE $1 = $1")
    assert refused(p, "u_md5", "x") == "bouncer config error"
    p.wait_log("auth_query must return two columns")


def test_auth_database_that_is_not_there(ask, pg):
    p = ask(databases={"p0": pg.line(), "p1": pg.line(auth_dbname="nosuch"), "p2": pg.line(auth_dbname="pgbouncer"),
                       "p3": pg.line(auth_dbname="p1")})
    assert refused(p, "u_md5", "x", "p1") == "bouncer config error"
    p.wait_log('authentication database "nosuch" is not configured')
    assert refused(p, "u_md5", "x", "p2") == "bouncer config error"
    p.wait_log('cannot use the reserved "pgbouncer" database as an auth_dbname')
    con = Console(p.client("pgbouncer", "admin", "adm"))
    con.do("DISABLE p1")
    assert refused(p, "u_md5", "x", "p3") == 'authentication database "p1" is disabled'
    con.do("ENABLE p1")
    p.client("p3", "u_md5", USERS["u_md5"][0])


def test_users_of_the_console_are_asked_for_too(ask):
    p = ask(stats_users="u_md5")
    assert refused(p, "u_md5", "x", "pgbouncer") == "bouncer config error"
    p.wait_log('cannot use the reserved "pgbouncer" database as an auth_dbname')
    p = ask(stats_users="u_md5", auth_dbname="p0")
    p.client("pgbouncer", "u_md5", USERS["u_md5"][0]).ok("SHOW VERSION")
    assert refused(p, "u_md5", "wrong", "pgbouncer") == "password authentication failed"


def test_an_unknown_database_stays_hidden(ask):
    p = ask()
    assert refused(p, "u_md5", "x", "nosuch") == "password authentication failed"
    assert refused(p, "nobody", "x", "nosuch") == "password authentication failed"
    p = ask(auth_dbname="p0")
    assert refused(p, "u_md5", USERS["u_md5"][0], "nosuch") == "password authentication failed"


def test_trust_takes_whom_the_query_finds(ask):
    p = ask(auth_type="trust")
    assert p.client("p0", "u_trust").one("SELECT current_user") == "u_trust"
    assert refused(p, "nobody", None) == "no such user"


def test_a_refused_auth_user_is_told(ask, pg):
    p = ask(auth_user="u_scram", auth_file={"u_scram": "not it"})
    c = p.raw()
    c.startup(user="u_md5", database="p0")
    err = c.fatal()
    assert err["C"] == "28P01" and 'password authentication failed for user "u_scram"' in err["M"]
    c = p.raw()
    c.startup(user="u_md5", database="p0")
    assert "server login has been failing, cached error" in c.fatal()["M"]


def test_many_logins_share_a_small_pool(ask, workers):
    p = ask(default_pool_size=2, max_client_conn=200, **workers)
    failures = []

    def login():
        try:
            p.raw().login("u_md5", "p0", USERS["u_md5"][0]).ok("SELECT 1")
        except Exception as e:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append(e)

    threads = [threading.Thread(target=login) for _ in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    con = p.raw().login("admin", "pgbouncer", "adm")
    assert wait_until(lambda: len([s for s in Console(con).servers() if s["user"] == "postgres"]) <= 2)


def test_a_client_that_leaves_while_asked_for_leaves_nothing(ask, pg):
    p = ask(auth_query=f"SELECT rolname, rolpassword FROM pg_authid, pg_sleep(0.3) WHERE rolname = $1", default_pool_size=1)
    c = p.raw()
    c.startup(user="u_md5", database="p0")
    wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.3)%' AND state = 'active' "
                              "AND pid <> pg_backend_pid()"), what="auth_query runs")
    c.close()
    p.client("p0", "u_md5", USERS["u_md5"][0]).ok("SELECT 1")


@pytest.mark.poolwise
def test_an_auth_query_whose_client_has_left_is_cancelled(ask, pg):
    """Its server serves the next login; nobody waits until the query ends, or somebody gives it up."""
    asks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%AS hung%' AND state = 'active' AND pid <> pg_backend_pid()"
    p = ask(auth_query="SELECT rolname, rolpassword FROM pg_authid, pg_sleep(CASE WHEN rolname = 'u_md5' THEN 600 ELSE 0 END) AS hung "
            "WHERE rolname = $1", default_pool_size=1, server_recovery_timeout=0, server_connect_timeout=0)
    c = p.raw()
    c.startup(user="u_md5", database="p0")
    wait_until(lambda: pg.one(asks) == 1, what="auth_query runs")
    console = Console(p.raw().login("admin", "pgbouncer", "adm"))
    server = console.servers()[0]  # it has no client to point to
    assert (server["state"], server["link"]) == ("active", "")
    assert [r["link"] for r in console.show("FDS") if r["task"] == "server"] == ["0"]
    pid = server["remote_pid"]
    c.close()
    wait_until(lambda: pg.one(asks) == 0, what="auth_query is cancelled")
    p.client("p0", "u_scram", USERS["u_scram"][0]).ok("SELECT 1")
    assert pid in [s["remote_pid"] for s in console.servers()], "it is whole, and was kept"


@pytest.mark.poolwise
@pytest.mark.parametrize("limit", ["query_timeout", "server_connect_timeout"])
def test_an_auth_query_without_an_answer_ends(make_pooler, fake, limit):
    """A server that died without a word: its slot is free for a new connection, which serves the next login."""
    p = make_pooler(databases={"p0": fake_line(fake)}, auth_type="md5", auth_user="postgres", default_pool_size=1,
                    auth_file={"postgres": ""}, **{limit: 1})
    c = p.raw()
    c.startup(user="somebody", database="p0")
    silent = fake.accept()
    silent.expect("PBEPBES")
    error = c.until_closed().errors[-1]
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", "bouncer config error")
    p.wait_log("auth_query failed: no answer within 1 s")
    d = p.raw()
    d.startup(user="somebody", database="p0")
    fake.accept().expect("PBEPBES")
