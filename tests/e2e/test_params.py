# SPDX-License-Identifier: ISC
"""Parameters of a session follow their client from server to server."""
import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

TRACKED = [("client_encoding", "SET client_encoding = 'LATIN1'", "LATIN1"), ("DateStyle", "SET DateStyle = 'German, DMY'", "German, DMY"),
           ("TimeZone", "SET TimeZone = 'Asia/Tokyo'", "Asia/Tokyo"),
           ("standard_conforming_strings", "SET standard_conforming_strings = off", "off"),
           # PgBouncer does not restore a value that the other client never set
           pytest.param("application_name", "SET application_name = 'my app; \"quoted\" ''too'''", "my app; \"quoted\" 'too'",
                        marks=pytest.mark.differs)]


@pytest.mark.parametrize("name, command, value", TRACKED)
def test_a_reported_parameter_follows_its_client(make_pooler, name, command, value, workers):
    """Two clients on one server: each keeps its own value, and both are told."""
    p = make_pooler(default_pool_size=1, **workers)
    a, b = p.client(), p.client()
    default = b.one(f"SHOW {name}")
    a.ok(command)
    assert a.params[name] == value
    for _ in range(3):
        assert b.one(f"SHOW {name}") == default
        assert a.one(f"SHOW {name}") == value


@pytest.mark.poolwise  # PgBouncer tells what the pool's first server said until RECONNECT
def test_a_promoted_standby_is_told(make_pooler, fake):
    """Drivers that want the primary (target_session_attrs) look at what the login reports."""
    p = make_pooler(databases={"p0": fake_line(fake, dbname="p0")}, default_pool_size=1)
    a = p.raw()
    a.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.PARAMS = {**s.PARAMS, "in_hot_standby": "on"}
    s.welcome()
    a.authenticate("postgres", None)
    assert a.params["in_hot_standby"] == "on"
    a.send(wire.query("SELECT 1"))
    s.expect("Q")
    s.send(wire.message("S", b"in_hot_standby\0off\0"))
    s.answer()
    a.until_ready()
    assert a.params["in_hot_standby"] == "off" and p.client().params["in_hot_standby"] == "off"
    assert p.client().params["server_version"] == s.PARAMS["server_version"]
    # another server: its word counts
    s.close()
    a.send(wire.query("SELECT 1"))
    s = fake.accept_raw()
    s.PARAMS = {**s.PARAMS, "in_hot_standby": "on", "server_version": "16.1"}
    s.welcome()
    s.expect("Q")
    s.answer()
    a.until_ready()
    b = p.client()
    assert (b.params["in_hot_standby"], b.params["server_version"]) == ("on", "16.1")


def _restricted(make_pooler, fake, name, **settings):
    """A pool whose only server has said at its login that `name` is on, a while ago, and has been idle since; and the next login, which
    has had that server asked whether it is still so."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, **settings)
    a = p.raw()
    a.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.PARAMS = {**s.PARAMS, name: "on"}
    s.welcome()
    assert a.authenticate("postgres", None).params[name] == "on"

    def next_login():
        c = p.raw()
        c.startup(user="postgres", database="p0")
        if wait_until(lambda: c.readable() and "answered" or s.readable() and "asked") == "asked":
            return c
        assert c.authenticate("postgres", None).params[name] == "on"  # that was known a moment ago
        c.close()
        return None
    c = wait_until(next_login)
    assert b"default_transaction_read_only" in s.expect("Q")[-1].body
    return p, s, c


@pytest.mark.poolwise
def test_a_standby_promoted_while_its_pool_is_idle(make_pooler, fake):
    """Clients that want the primary send nothing to a standby: if only an answer told of the promotion, they would never come in."""
    p, s, c = _restricted(make_pooler, fake, "in_hot_standby", worker_threads=2)
    s.send(wire.message("S", b"in_hot_standby\0off\0"))
    s.answer("off")
    assert c.authenticate("postgres", None).params["in_hot_standby"] == "off"
    assert p.client().params["in_hot_standby"] == "off"
    c.send(wire.query("SELECT 1"))
    s.expect("Q")
    s.answer("it is free")
    assert c.until_ready().rows == [["it is free"]]


@pytest.mark.poolwise
@pytest.mark.parametrize("answer, told", [("off", "off"), ("error", "on")])
def test_a_read_only_default_that_ended_while_the_pool_is_idle(make_pooler, fake, answer, told):
    p, s, c = _restricted(make_pooler, fake, "default_transaction_read_only")
    if answer == "error":
        s.error("no")
        s.send(wire.message("Z", b"I"))
    else:
        s.answer(answer)
    assert c.authenticate("postgres", None).params["default_transaction_read_only"] == told
    assert p.client().params["default_transaction_read_only"] == told


@pytest.mark.poolwise
@pytest.mark.parametrize("end", ["silent", "server dies", "client dies"])
def test_a_login_does_not_depend_on_what_is_asked_for_it(make_pooler, fake, end):
    p, s, c = _restricted(make_pooler, fake, "in_hot_standby")
    if end == "client dies":
        c.reset()
        wait_until(lambda: len(p.console().clients()) == 1)
        c = p.raw()
        c.startup(user="postgres", database="p0")
    if end == "server dies":
        s.close()
    assert c.authenticate("postgres", None).params["in_hot_standby"] == "on"
    c.send(wire.query("SELECT 1"))
    if end == "server dies":
        s = fake.accept()
    else:
        s.answer("off")  # late, and nobody's
    assert s.expect("Q")[-1].body == b"SELECT 1\0"
    s.answer()
    assert c.until_ready().rows == [["1"]]


@pytest.mark.poolwise
def test_a_standby_without_a_server_is_asked_anew(make_pooler, fake):
    """Its pool has no connection left that could be told of the promotion."""
    p, s, c = _restricted(make_pooler, fake, "in_hot_standby")
    s.close()
    c.authenticate("postgres", None)

    def next_login():
        c = p.raw()
        c.startup(user="postgres", database="p0")
        return wait_until(lambda: c.readable() and "answered" or fake.waits() and "connects") == "connects" and c
    c = wait_until(next_login)
    fake.accept()
    assert c.authenticate("postgres", None).params["in_hot_standby"] == "off"


def test_set_in_a_transaction_that_rolls_back(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("BEGIN")
    a.ok("SET TimeZone = 'Asia/Tokyo'")
    a.ok("ROLLBACK")
    assert b.one("SHOW TimeZone") == "UTC"
    assert a.one("SHOW TimeZone") == "UTC"


def test_set_in_a_transaction_that_commits(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("BEGIN")
    a.ok("SET TimeZone = 'Asia/Tokyo'")
    a.ok("COMMIT")
    assert b.one("SHOW TimeZone") == "UTC"
    assert a.one("SHOW TimeZone") == "Asia/Tokyo"


def test_reset_goes_back_to_the_value_of_the_login(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("SET TimeZone = 'Asia/Tokyo'")
    b.ok("SELECT 1")
    a.ok("SET TimeZone = DEFAULT")
    assert b.one("SHOW TimeZone") == "UTC" == a.one("SHOW TimeZone")


def test_startup_parameters_are_applied(make_pooler):
    p = make_pooler(default_pool_size=1)
    a = p.client(client_encoding="LATIN1", DateStyle="German", TimeZone="Asia/Tokyo", application_name="one")
    b = p.client(application_name="two")
    for _ in range(2):
        assert a.one("SHOW client_encoding") == "LATIN1"
        assert a.one("SHOW TimeZone") == "Asia/Tokyo"
        assert a.one("SHOW application_name") == "one"
        assert b.one("SHOW application_name") == "two"
        assert b.one("SHOW client_encoding") == "UTF8"
    assert a.one("SELECT date '2020-02-01'") == "01.02.2020"


def test_login_tells_what_the_server_reports(make_pooler, pg):
    p = make_pooler()
    direct = wire.Conn(pg.port).login("postgres", "p0")
    through = p.client()
    for name in ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
                 "standard_conforming_strings", "IntervalStyle"):
        assert through.params[name] == direct.params[name], name
    direct.close()


def test_values_that_need_quoting(make_pooler):
    p = make_pooler(default_pool_size=1)
    evil = "x'; DROP TABLE users; --\\"
    a, b = p.client(application_name=evil), p.client()
    assert b.one("SHOW application_name") != evil
    assert a.one("SHOW application_name") == evil


def test_a_pipeline_right_after_a_switch_sees_its_own_parameters(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(TimeZone="Asia/Tokyo"), p.client(TimeZone="Europe/Paris")
    for _ in range(3):
        for c, zone in ((a, "Asia/Tokyo"), (b, "Europe/Paris")):
            c.send(wire.group("SHOW TimeZone"), wire.group("SELECT 2"))
            assert c.until_ready().rows == [[zone]]
            assert c.until_ready().rows == [["2"]]


def test_replay_is_not_visible_to_the_client(make_pooler, reference):
    """The SET that the pooler sends brings messages of its own: none of them may pass."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(TimeZone="Asia/Tokyo"), p.client()
    ignored = "S" if reference else ""  # PgBouncer passes the ParameterStatus of its own SET on
    for _ in range(2):
        for c in (b, a):
            assert "".join(t for t in c.query("SELECT 1").types if t not in ignored) == "TDCZ"


def test_no_replay_when_nothing_differs(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    c, session = fake.login(p)
    for _ in range(3):
        c.send(wire.query("SELECT 1"))
        msg = session.recv()
        assert msg.body == b"SELECT 1\0"
        session.answer()
        c.until_ready()


def test_a_replay_that_fails_ends_the_client_with_an_error(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    c, session = fake.login(p, TimeZone="Nowhere/Land")
    c.send(wire.query("SELECT 'secret'"))
    msg = session.recv()
    assert b"Nowhere/Land" in msg.body and b"secret" not in msg.body
    session.error("invalid value for parameter \"TimeZone\"", "22023")
    session.send(wire.message("Z", b"I"))
    assert c.fatal()["M"] == "invalid server parameter"
    d = p.raw()
    d.startup(user="postgres", database="p0")
    d.authenticate("postgres", None)
    d.send(wire.query("SELECT 1"))
    msg = session.recv()  # the same server, made sure of
    assert b"RESET ALL" in msg.body and b"secret" not in msg.body


def test_options_in_the_startup_packet(make_pooler, reference):
    p = make_pooler(default_pool_size=1)
    if reference:
        pytest.skip("newer: not in the reference binary")
    a, b = p.client(options="-c TimeZone=Asia/Tokyo --DateStyle=German"), p.client()
    assert b.one("SHOW TimeZone") == "UTC"
    assert a.one("SHOW TimeZone") == "Asia/Tokyo"
    assert a.one("SELECT date '2020-02-01'") == "01.02.2020"


@pytest.mark.poolwise
@pytest.mark.parametrize("half, whole", [("ISO", "ISO, MDY"), ("DMY", "ISO, DMY"), ("SQL", "SQL, MDY"), ("German", "German, DMY")])
def test_half_a_date_style(make_pooler, half, whole):
    """pgjdbc asks for ISO and means the server's order of day and month, not that of the client before."""
    p = make_pooler(default_pool_size=1)
    b = p.client()
    b.ok("SET DateStyle = 'Postgres, YMD'")
    a = p.client(DateStyle=half)
    for _ in range(2):
        assert a.one("SHOW DateStyle") == whole
        assert b.one("SHOW DateStyle") == "Postgres, YMD"


@pytest.mark.newer
@pytest.mark.parametrize("options, text", [
    ("-c nosuch=1", "unsupported startup parameter in options: nosuch"),
    ("gibberish", "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed")])
def test_bad_options(make_pooler, options, text):
    p = make_pooler()
    c = p.raw()
    c.startup(user="postgres", database="p0", options=options)
    assert c.fatal()["M"] == text


def test_application_name_add_host(make_pooler):
    p = make_pooler(application_name_add_host=1)
    c = p.client(application_name="tool")
    port = c.sock.getsockname()[1]
    assert c.one("SHOW application_name") == f"tool - 127.0.0.1:{port}"


@pytest.mark.newer
def test_track_extra_parameters_default(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.ok("SET IntervalStyle = 'iso_8601'")
    assert b.one("SHOW IntervalStyle") == "postgres"
    assert a.one("SHOW IntervalStyle") == "iso_8601"


def test_parameters_of_a_database_line(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(timezone="Asia/Tokyo", application_name="fixed", datestyle="German")})
    c = p.client()
    assert c.one("SHOW TimeZone") == "Asia/Tokyo"


def test_connect_query(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(connect_query="'SET work_mem = ''9MB'''")})
    assert p.client().one("SHOW work_mem") == "9MB"


def test_the_log_tells_a_canonical_spelling(make_pooler):
    """Lines that PgBouncer's users look for: what was replayed, and what the server made of it."""
    p = make_pooler()
    p.console().do("SET verbose = 2")
    c = p.client(options="-c DateStyle=ISO")
    c.ok("SELECT 1")
    c.ok("SELECT 1")
    p.wait_log("varcache_set_canonical: setting DateStyle to its canonical version ISO -> ISO, MDY")
    assert p.log().count("SET DateStyle='ISO'") == 1


@pytest.mark.poolwise
def test_the_client_is_told_the_servers_spelling(make_pooler, pg):
    """Of an encoding when it logs in, as drivers look at it then (asyncpg sends "'utf-8'"); of the rest with its first reply."""
    p = make_pooler()
    for spelling in ("'utf-8'", "unicode", "latin-9", "Win", "SHIFT_JIS_2004", "koi8"):
        direct = wire.Conn(pg.port).login("postgres", "p0", client_encoding=spelling)
        c = p.client(client_encoding=spelling, DateStyle="German")
        assert c.params["client_encoding"] == direct.params["client_encoding"]
        assert c.params["DateStyle"] == "German"
        types = c.query("SELECT 1").types
        assert c.params["DateStyle"] == "German, DMY" and types == "STDCZ"
        assert c.query("SELECT 1").types == "TDCZ"
        c.close()
        direct.close()


@pytest.mark.poolwise
@pytest.mark.parametrize("behind", [True, False], ids=["behind the replies", "instead of them"])
def test_a_server_that_says_good_bye_at_the_replay_is_replaced(make_pooler, fake, behind):
    """pg_terminate_backend between two clients: the client whose parameters it was to get knows nothing of it."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1)
    c, session = fake.login(p, TimeZone="Asia/Tokyo")
    c.send(wire.query("SELECT 'mine'"))
    assert b"Asia/Tokyo" in session.recv().body
    parts = [wire.message("C", wire.cstr("SET")), wire.message("Z", b"I")] if behind else []
    parts.append(wire.message("E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"))
    session.send(*parts) # in one piece
    session.close()
    session = fake.accept()
    assert b"Asia/Tokyo" in session.recv().body
    session.send(wire.message("S", wire.cstr("TimeZone") + wire.cstr("Asia/Tokyo")), wire.message("C", wire.cstr("SET")), wire.message("Z", b"I"))
    assert session.recv().body == b"SELECT 'mine'\0"
    session.answer("mine")
    result = c.until_ready()
    assert result.rows == [["mine"]] and result.types == "TDCZ"
