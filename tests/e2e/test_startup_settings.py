# SPDX-License-Identifier: ISC
"""track_extra_parameters = *: any parameter of the start-up packet is set for its client, as on a direct connection, and for
nobody else."""
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def roles(pg):
    if not pg.sql("SELECT 1 FROM pg_roles WHERE rolname = 'start_a'"):
        for text in ("CREATE ROLE start_a", "CREATE ROLE start_b", "GRANT start_a TO u_trust"):
            pg.sql(text)


def direct(pg, user="postgres", **params):
    return wire.Conn(pg.port).login(user, "p0", **params)


def value(c, name):
    return c.one(f"SELECT current_setting('{name}', true)")


PARAMS = [
    ({"statement_timeout": "7s"}, "statement_timeout"), ({"lock_timeout": "1234"}, "lock_timeout"), ({"Work_Mem": "7MB"}, "work_mem"),
    ({"options": "-c enable_seqscan=off"}, "enable_seqscan"), ({"options": "--Enable-SeqScan=off -cwork_mem=7MB"}, "enable_seqscan"),
    ({"options": "-c app.Tenant=it\\'s\\ \\\\x"}, "app.tenant"), ({"app.empty": ""}, "app.empty"), ({"sort_mem": "7MB"}, "work_mem"),
    ({"search_path": "a, \"B c\", pg_catalog"}, "search_path"), ({"IntervalStyle": "iso_8601"}, "intervalstyle"),
    ({"default_transaction_read_only": "on"}, "default_transaction_read_only"), ({"work_mem": "9MB", "options": "-c work_mem=7MB"}, "work_mem"),
    ({"options": "-c application_name=a", "application_name": "b"}, "application_name"), ({"log_statement": "none"}, "log_statement"),
    ({"options": "-c _pq_.x=1"}, "_pq_.x"), ({"options": "-c TimeZone=Asia/Tokyo"}, "timezone"), ({"role": "start_a"}, "role"),
]


REPORTED = ("IntervalStyle", "default_transaction_read_only", "application_name", "TimeZone")


@pytest.mark.parametrize("listed", ["*", "app.Tenant, *, statement_timeout"])
def test_as_on_a_direct_connection(make_pooler, pg, roles, listed):
    p = make_pooler(default_pool_size=1, track_extra_parameters=listed)
    b = p.client()
    for params, name in PARAMS:
        default = value(b, name) or ""
        with direct(pg, **params) as d, p.client(**params) as a:
            for _ in range(2):
                assert value(a, name) == value(d, name), params
                assert (value(b, name) or "") == default, params
            assert [a.params.get(k) for k in REPORTED] == [d.params.get(k) for k in REPORTED], params
            a.ok(f"SELECT set_config('{name}', $${value(a, name)}$$, false)")  # its own SET is followed like any other
            assert (value(b, name) or "") == default, params


@pytest.mark.parametrize("options", [False, True])
@pytest.mark.parametrize("mode, state", [("transaction", "track"), ("transaction", "pin"), ("transaction", "off"), ("statement", "off"), ("session", "off")])
def test_what_servers_report_needs_no_option(make_pooler, mode, state, options):
    """As in PgBouncer since 1.26, on servers that do not report search_path, too."""
    p = make_pooler(pool_mode=mode, session_state=state, default_pool_size=2 if mode == "session" else 1)
    params = {"Search_Path": "information_schema", "default_transaction_read_only": "on", "IntervalStyle": "iso_8601"}
    a = p.client(**({"options": " ".join(f"-c {k}={v}" for k, v in params.items())} if options else params))
    b = p.client()
    for _ in range(2):
        assert [value(a, name) for name in params] == list(params.values())
        assert [value(b, name) for name in params] == ['"$user", public', "off", "postgres"]
    with pytest.raises(wire.ServerError, match="unsupported startup parameter: enable_seqscan"):
        p.client(search_path="x", enable_seqscan="off")


@pytest.mark.parametrize("mode, state", [("transaction", "track"), ("transaction", "pin"), ("transaction", "off"), ("statement", "track"), ("session", "track")])
def test_in_every_mode(make_pooler, mode, state):
    p = make_pooler(track_extra_parameters="*", pool_mode=mode, session_state=state, default_pool_size=2 if mode == "session" else 1, worker_threads=2)
    for _ in range(2):
        a, b = p.client(options="-c statement_timeout=7s", **{"app.x": "mine"}), p.client()
        for _ in range(2):
            assert a.one("SELECT current_setting('statement_timeout') || current_setting('app.x')") == "7smine"
            assert b.one("SELECT current_setting('statement_timeout') || coalesce(current_setting('app.x', true), '')") == "0"
        a.close()
        b.close()
        wait_until(lambda: len(p.console().clients()) == 0)


BAD = [("nosuch", "1"), ("work_mem", "lots"), ("server_version", "1"), ("shared_buffers", "1GB"), ("app.x y", "1"), ("role", "nosuch"), ("names", "latin1"),
       ("options", "-c replication=1"), ("options", "-c user=x"), ("work-mem", "7MB"), ("log_statement", "all"), ("role", "start_b"),
       ("session_authorization", "start_a")]


@pytest.mark.parametrize("threads", [1, 4])
def test_what_the_server_refuses(make_pooler, pg, roles, threads):
    """A direct connection ends at its login; here the first request says the same, and nobody else notices."""
    p = make_pooler(default_pool_size=1, track_extra_parameters="*", worker_threads=threads)
    b = p.client(user="u_trust", work_mem="7MB")
    pid = b.one("SELECT pg_backend_pid()")
    for name, text in BAD:
        with pytest.raises(wire.ServerError) as want:
            direct(pg, "u_trust", **{name: text})
        for _ in range(2):
            with p.client(user="u_trust", **{name: text}) as a:
                a.send(wire.query("CREATE TABLE start_never()"))
                got = a.fatal()
            assert (got["C"], got["M"]) == (want.value.fields["C"], want.value.fields["M"])
            assert b.query("SELECT pg_backend_pid(), current_setting('work_mem'), current_user").rows == [[pid, "7MB", "u_trust"]], name
    assert b.one("SELECT to_regclass('start_never')") is None


def test_what_belongs_to_a_transaction_is_refused(make_pooler):
    p = make_pooler(track_extra_parameters="*")
    for params in ({"transaction_isolation": "serializable"}, {"options": "-c transaction_read_only=on"}, {"SEED": "0.5"}, {"Transaction_Deferrable": "on"}):
        with pytest.raises(wire.ServerError, match="unsupported startup parameter"):
            p.client(**params)


def test_many(make_pooler):
    """Nobody is known when the packet is read, so it may not ask for any number of them."""
    p = make_pooler(track_extra_parameters="*")
    c = p.client(**{f"app.n{i}": str(i) for i in range(200)})
    assert value(c, "app.n199") == "199"
    with pytest.raises(wire.ServerError, match="unsupported startup parameter: app.n200"):
        p.client(**{f"app.n{i}": str(i) for i in range(201)})


def test_backslashes_in_other_encodings(make_pooler):
    """In SJIS the second byte of U+8868 is a backslash."""
    p = make_pooler(track_extra_parameters="*", default_pool_size=1)
    text = "\u8868'\\x'; CREATE TEMP TABLE mine(); --$pw$ $pw".encode("shift_jis")
    c = p.raw()
    pairs = [b"user", b"postgres", b"database", b"p0", b"client_encoding", b"SJIS", b"app.x", text]
    body = wire.startup_packet({})[4:8] + b"".join(x + b"\0" for x in pairs) + b"\0"
    c.send((len(body) + 4).to_bytes(4, "big") + body)
    c.authenticate("postgres", None)
    for _ in range(2):
        assert c.one("SELECT encode(convert_to(current_setting('app.x'), 'SJIS'), 'hex')") == text.hex()
        assert p.client().one("SELECT pg_my_temp_schema()") == "0"


def test_ignore_startup_parameters_comes_first(make_pooler):
    p = make_pooler(track_extra_parameters="*", ignore_startup_parameters="work_mem, lock_timeout")
    c = p.client(work_mem="7MB", options="-c lock_timeout=7 -c statement_timeout=7s")
    assert [value(c, n) for n in ("work_mem", "lock_timeout", "statement_timeout")] == ["4MB", "0", "7s"]


RESETS = ["RESET {n}", "SET {n} TO DEFAULT", "SET {n} = '{o}'; RESET {n}", "SET {n} = '{o}'; RESET ALL", "BEGIN; SET {n} = '{o}'; RESET {n}; ROLLBACK",
          "SET {n} = '{o}'; BEGIN; RESET {n}; COMMIT", "SET LOCAL {n} = '{o}'", "SELECT set_config('{n}', '{o}', false); RESET ALL"]


def test_reset_goes_back_to_the_start(make_pooler, pg):
    p = make_pooler(default_pool_size=1, track_extra_parameters="*")
    b = p.client()
    for name, start, other in (("statement_timeout", "7s", "9s"), ("app.x", "mine", "other"), ("search_path", "a, b", "c"),
                               ("default_transaction_read_only", "on", "off"), ("IntervalStyle", "iso_8601", "postgres")):
        default = value(b, name) or ""
        with p.client(**{name: start}) as a, direct(pg, **{name: start}) as d:
            for text in RESETS + ["DISCARD ALL"]:
                for c in (a, d):
                    for part in text.format(n=name, o=other).split(";"):
                        c.ok(part)
                for _ in range(2):
                    assert value(a, name) == value(d, name), text
                    assert (value(b, name) or "") == default, text
                for c in (a, d):
                    c.ok(f"RESET {name}")


def test_a_reset_among_other_requests(make_pooler, pg, roles):
    """Nothing of the pooler's own may come behind a group that might copy: the values come back all the same."""
    p = make_pooler(default_pool_size=1, track_extra_parameters="*")
    start = {"statement_timeout": "7s", "TimeZone": "Asia/Tokyo", "app.x": "mine", "role": "start_a", "application_name": "mine"}
    a, b, d = p.client(**start), p.client(), direct(pg, **start)
    ask = ("SELECT current_setting('statement_timeout'), current_setting('TimeZone'), coalesce(current_setting('app.x', true), ''), current_setting('application_name'),"
           " current_user")
    default = b.query(ask).rows
    for reset in ("RESET ALL", "RESET TimeZone", "RESET app.x", "RESET ROLE", "RESET SESSION AUTHORIZATION"):
        for texts in (["SET TimeZone = 'Europe/Rome'", "SET app.x = 'other'", "SET statement_timeout = '9s'", "SET ROLE start_b", reset, "SELECT 1"], [reset, "SELECT 1"], ["SELECT 1", reset]):
            for c in (a, d):
                c.send(*[m for t in texts for m in (wire.parse(t), wire.bind(), wire.execute())], wire.sync())
                assert not c.until_ready().errors
            for _ in range(2):
                assert a.query(ask).rows == d.query(ask).rows, texts
                assert b.query(ask).rows == default, texts
    for text in ("SET ROLE start_b", "BEGIN", "", "SELECT 1/0", "COMMIT AND CHAIN", "ROLLBACK"):  # what could not be sent behind the RESET meets a failed transaction
        for c in (a, d):
            if text:
                c.query(text)
            else:
                c.send(*[m for t in ("RESET ROLE", "COMMIT", "BEGIN") for m in (wire.parse(t), wire.bind(), wire.execute())], wire.sync())
                c.until_ready()
    assert a.query(ask).rows == d.query(ask).rows
    for c in (a, d):
        c.ok("RESET ALL; RESET ROLE; COPY (SELECT 1) TO STDOUT")
    assert a.query(ask).rows == d.query(ask).rows
    assert b.query(ask).rows == default
    d.close()


def test_a_reset_that_no_text_shows(make_pooler, pg):
    """Inside a block or a function it goes back to the start-up packet too; a SET to the server's default does not."""
    p = make_pooler(default_pool_size=1, track_extra_parameters="*")
    start = {"statement_timeout": "7s", "TimeZone": "Asia/Tokyo", "DateStyle": "German", "application_name": "mine"}
    a, b, d = p.client(**start), p.client(), direct(pg, **start)
    ask = "SELECT current_setting('statement_timeout'), current_setting('TimeZone'), current_setting('DateStyle'), current_setting('application_name')"
    default = b.query(ask).rows
    for text in ("SELECT 1", "DO $$BEGIN RESET ALL; END$$", "DO $$BEGIN RESET TimeZone; RESET statement_timeout; END$$", "SET TimeZone = 'UTC'", "DO $$BEGIN END$$",
                 "DO $$BEGIN SET DateStyle = 'SQL'; END$$", "DO $$BEGIN EXECUTE 'RESET ' || 'DateStyle'; END$$", "DO $$BEGIN SET DateStyle = 'ISO, MDY'; END$$", "DO $$BEGIN END$$"):
        for c in (a, d):
            c.ok(text)
        for _ in range(2):
            assert a.query(ask).rows == d.query(ask).rows, text
            assert b.query(ask).rows == default, text
        assert {k: a.params[k] for k in ("TimeZone", "DateStyle", "application_name")} == {k: d.params[k] for k in ("TimeZone", "DateStyle", "application_name")}, text
    d.close()


WHO = ["SELECT 1", "RESET ROLE", "SET ROLE NONE", "SET ROLE start_b", "SET ROLE start_b; RESET ROLE", "SET ROLE NONE; RESET ALL", "SET ROLE start_b; RESET ALL",
       "SET ROLE start_b; DISCARD ALL", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION start_b", "SET SESSION AUTHORIZATION DEFAULT",
       "SET SESSION AUTHORIZATION start_b; SET SESSION AUTHORIZATION DEFAULT", "SET SESSION AUTHORIZATION start_b; DISCARD ALL", "SET SESSION AUTHORIZATION start_b; RESET ALL",
       "BEGIN; SET ROLE start_b; RESET ROLE; COMMIT", "BEGIN; SET ROLE start_b; ROLLBACK", "SET ROLE NONE; BEGIN; RESET ROLE; ROLLBACK", "BEGIN; SET LOCAL ROLE start_b; COMMIT",
       "SELECT set_config('role', 'start_b', false)", "SELECT set_config('session_authorization', 'start_b', false)", "SELECT set_config('role', 'start_b', true)"]


@pytest.mark.parametrize("start", [{"role": "start_a"}, {"options": "-c role=start_a -c work_mem=7MB"}, {}], ids=str)
def test_roles(make_pooler, pg, roles, start):
    """A role of the start-up packet has the path of SET ROLE, and no other client ever runs as it."""
    p = make_pooler(default_pool_size=1, track_extra_parameters="*")
    a, b, d = p.client(**start), p.client(), direct(pg, **start)
    who = "SELECT current_user, session_user, current_setting('role')"
    for text in WHO:
        for c in (a, d):
            for part in text.split(";"):
                c.ok(part)
                if c is a and "BEGIN" not in text:
                    assert b.query(who).rows == [["postgres", "postgres", "none"]], text
        for _ in range(2):
            assert a.query(who).rows == d.query(who).rows, text
            assert b.query(who).rows == [["postgres", "postgres", "none"]], text
        for c in (a, d):
            c.ok("RESET SESSION AUTHORIZATION")
        assert a.query(who).rows == d.query(who).rows, text
        for c in (a, d):
            c.ok("RESET ROLE")
        assert a.query(who).rows == d.query(who).rows, text
    d.close()


def test_a_replication_connection_has_them_too(make_pooler, pg):
    p = make_pooler(track_extra_parameters="*")
    c = p.client(replication="database", statement_timeout="7s", options="-c work_mem=7MB")
    assert c.one("SELECT current_setting('statement_timeout') || current_setting('work_mem')") == "7s7MB"


def test_the_console_takes_no_notice(make_pooler):
    p = make_pooler(track_extra_parameters="*")
    c = p.client("pgbouncer", "admin", statement_timeout="7s", options="-c app.x=1")
    assert c.query("SHOW VERSION").rows


def test_it_takes_a_restart(make_pooler):
    """RELOAD says so and leaves it as it is, both ways."""
    for before, after in (("*", "IntervalStyle"), ("IntervalStyle", "*")):
        p = make_pooler(track_extra_parameters=before)
        p.reload(track_extra_parameters=after)
        p.wait_log('"track_extra_parameters" changed in the file: it takes a restart')
        assert p.console().config("track_extra_parameters") == before
        if before == "*":
            assert value(p.client(lock_timeout="7s"), "lock_timeout") == "7s"
        else:
            with pytest.raises(wire.ServerError, match="unsupported startup parameter: lock_timeout"):
                p.client(lock_timeout="7s")
