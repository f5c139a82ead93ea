# SPDX-License-Identifier: ISC
"""Logins: of clients to the pooler, and of the pooler to servers."""
import re

import pytest

from support import wire
from support.pooler import Console, refused
from support.postgres import USERS
from support.tap import fake_line
from support.util import wait_until
from support.wire import md5_secret, scram_secret

PASSWORD = "p@ss w\"ord' \\x ö"


def trust_line(pg):
    """The server lets everybody in as u_trust: only the client's side is under test."""
    return {"p0": pg.line(user="u_trust")}


STORED = {
    "plain": PASSWORD,
    "md5": md5_secret("someone", PASSWORD),
    "scram": scram_secret(PASSWORD),
}


@pytest.mark.parametrize("auth_type, stored, asked", [
    ("plain", "plain", [3]), ("plain", "md5", [3]), ("plain", "scram", [3]),
    ("md5", "plain", [5]), ("md5", "md5", [5]), ("md5", "scram", [10, 11, 12]),
    ("scram-sha-256", "plain", [10, 11, 12]), ("scram-sha-256", "scram", [10, 11, 12])])
def test_client_login(make_pooler, pg, auth_type, stored, asked):
    p = make_pooler(databases=trust_line(pg), auth_type=auth_type, auth_file={"someone": STORED[stored]})
    c = p.client(user="someone", password=PASSWORD)
    assert c.auth_methods == asked
    assert c.one("SELECT 1") == "1"
    want = "SASL authentication failed" if 10 in asked else "password authentication failed"
    assert refused(p, "someone", "wrong") == want
    assert refused(p, "someone", PASSWORD + " ") == want
    p.client(user="someone", password=PASSWORD).ok("SELECT 1")


def test_scram_with_a_stored_md5_secret_fails(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="scram-sha-256", auth_file={"someone": STORED["md5"]})
    refused(p, "someone", PASSWORD)


@pytest.mark.parametrize("auth_type", ["trust", "plain", "md5", "scram-sha-256"])
def test_the_log_names_a_user_who_does_not_exist(make_pooler, pg, auth_type):
    p = make_pooler(databases=trust_line(pg), auth_type=auth_type, auth_file={"someone": STORED["plain"]})
    refused(p, "nobody here", "wrong")
    p.wait_log("no such user: nobody here\n")


@pytest.mark.poolwise
def test_the_log_says_why_a_login_is_refused(make_pooler, pg):
    """The client hears the same words for all of them."""
    p = make_pooler(databases=trust_line(pg), auth_type="scram-sha-256", auth_file={"someone": STORED["plain"], "old": STORED["md5"]})
    for user, why in ("someone", "wrong password"), ("nobody here", "no such user"), ("old", "user has an md5 secret, which SCRAM cannot use"):
        refused(p, user, "wrong")
        p.wait_log(f"/{user}@.*login refused: {why}")


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_unknown_user_fails_as_a_wrong_password_does(make_pooler, pg, auth_type):
    p = make_pooler(databases=trust_line(pg), auth_type=auth_type, auth_file={"someone": STORED["plain"]})
    known, unknown = refused(p, "someone", "wrong"), refused(p, "nobody here", "wrong")
    assert known == unknown


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_unknown_database_is_told_only_to_whom_may_come_in(make_pooler, pg, auth_type, reference):
    if reference:
        pytest.skip("newer: not in the reference binary")
    p = make_pooler(databases=trust_line(pg), auth_type=auth_type, auth_file={"someone": STORED["plain"]})
    assert refused(p, "someone", PASSWORD, "nosuch") == "no such database: nosuch"
    assert refused(p, "someone", "wrong", "nosuch") == refused(p, "someone", "wrong", "p0")


@pytest.mark.parametrize("auth_type", ["plain", "md5", pytest.param("scram-sha-256", marks=pytest.mark.newer)])
def test_an_empty_password_never_matches(make_pooler, pg, auth_type):
    p = make_pooler(databases=trust_line(pg), auth_type=auth_type, auth_file={"someone": ""})
    refused(p, "someone", "")


def test_trust_wants_a_known_user(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="trust", auth_file={"someone": "x"})
    assert p.client(user="someone").one("SELECT 1") == "1"
    with pytest.raises(wire.ServerError) as e:
        p.client(user="stranger")
    assert e.value.code == "08P01"


@pytest.mark.newer
def test_trust_error_text(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="trust", auth_file={"someone": "x"})
    assert refused(p, "stranger", None) == '"trust" authentication failed'


def test_any_takes_everybody_to_the_forced_user(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="any", auth_file={})
    assert p.client(user="who ever").one("SELECT current_user") == "u_trust"


@pytest.mark.parametrize("user", ["u_plain", "u_md5", "u_scram"])
def test_server_login_with_a_plain_stored_password(make_pooler, user):
    p = make_pooler(auth_file={user: USERS[user][0]})
    assert p.client(user=user).one("SELECT current_user") == user


@pytest.mark.parametrize("user", ["u_plain", "u_md5", "u_scram"])
def test_server_login_with_the_password_of_the_database_line(make_pooler, pg, user):
    password = USERS[user][0]
    p = make_pooler(databases={"p0": pg.line(user=user, password=f"'{password}'")}, auth_file={"someone": ""})
    assert p.client(user="someone").one("SELECT current_user") == user


def test_server_login_with_a_stored_md5_secret(make_pooler):
    p = make_pooler(auth_file={"u_md5": md5_secret("u_md5", USERS["u_md5"][0])})
    assert p.client(user="u_md5").one("SELECT current_user") == "u_md5"


@pytest.mark.poolwise
@pytest.mark.parametrize("user, stored", [("u_plain", "scram"), ("u_plain", "md5"), ("u_md5", "scram"), ("u_scram", "md5")])
def test_a_proved_clear_text_password_serves_every_server_method(make_pooler, user, stored):
    password = USERS[user][0]
    secret = {"scram": scram_secret(password), "md5": md5_secret(user, password)}[stored]
    p = make_pooler(auth_type="plain", auth_file={user: secret})
    refused(p, user, "wrong")
    assert p.client(user=user, password=password).one("SELECT current_user") == user
    assert password not in p.log()


@pytest.mark.poolwise
def test_a_password_that_the_server_refuses_is_not_tried_again(make_pooler, own_pg_factory):
    server = own_pg_factory()
    password = USERS["u_scram"][0]
    p = make_pooler(postgres=server, databases={"p0": server.line()}, auth_type="plain", server_login_retry=1,
                    auth_file={"u_scram": scram_secret(password), "admin": "adm"})
    c = p.client(user="u_scram", password=password)
    c.ok("SELECT 1")
    server.sql("ALTER ROLE u_scram PASSWORD 'another'")
    Console(p.client("pgbouncer", "admin", "adm")).do("RECONNECT")
    c.send(wire.query("SELECT 1"))
    p.wait_log('server login failed: FATAL password authentication failed for user "u_scram"')
    assert "password authentication failed" in c.fatal()["M"]
    p.reload(Console(p.client("pgbouncer", "admin", "adm")), auth_type="trust")

    def attempt():
        d = p.raw()
        d.startup(user="u_scram", database="p0")
        d.until_closed()
        return "server login failed: FATAL wrong password type" in p.log()

    # only the SCRAM secret is left, which no client has opened for us
    wait_until(attempt, what="the password is forgotten", every=0.2)


def test_server_login_with_a_wrong_password(make_pooler):
    p = make_pooler(auth_file={"u_scram": "not it"})
    c = p.raw()
    c.startup(user="u_scram", database="p0")
    err = c.fatal()
    assert err["S"] == "FATAL" and 'password authentication failed for user "u_scram"' in err["M"]
    p.wait_log('server login failed: FATAL password authentication failed for user "u_scram"')
    assert re.search(r"127.0.0.1:\d+ new connection to server \(from 127.0.0.1:\d+\)\n.* server login failed", p.log())


@pytest.mark.newer
def test_server_login_error_keeps_its_sqlstate(make_pooler):
    p = make_pooler(auth_file={"u_scram": "not it"})
    c = p.raw()
    c.startup(user="u_scram", database="p0")
    assert c.fatal()["C"] == "28P01"


def test_scram_pass_through(make_pooler, pg, workers):
    """The same SCRAM secret in the server and in our file, the plain password nowhere."""
    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_scram": secret}, default_pool_size=3, **workers)
    password = USERS["u_scram"][0]
    clients = [p.client(user="u_scram", password=password) for _ in range(3)]
    for c in clients:
        assert c.query("BEGIN").status == "T"  # three server logins
    assert clients[0].one("SELECT current_user") == "u_scram"
    refused(p, "u_scram", "wrong")
    with open(p.ini_path, encoding="utf-8") as f:
        assert password not in f.read()
    assert password not in p.log()


def test_scram_pass_through_survives_reload(make_pooler, pg):
    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_scram": secret, "admin": "adm"}, default_pool_size=3)
    c = p.client(user="u_scram", password=USERS["u_scram"][0])
    c.ok("SELECT 1")
    con = Console(p.client("pgbouncer", "admin", "adm"))
    con.do("RELOAD")
    con.do("RECONNECT")
    assert c.one("SELECT 1") == "1"


@pytest.mark.newer
def test_scram_pass_through_keeps_a_pool_warm(make_pooler, pg):
    """With the key of one login the pool fills up to min_pool_size by itself. Another secret in auth_file ends that key, not the servers."""
    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_scram": secret, "admin": "adm"}, min_pool_size=3, default_pool_size=5, query_wait_timeout="0.5")
    con = Console(p.client("pgbouncer", "admin", "adm"))
    c = p.client(user="u_scram", password=USERS["u_scram"][0])
    wait_until(lambda: [s["state"] for s in con.servers()] == ["idle"] * 3)
    p.settings["min_pool_size"], p.auth = 0, {"u_scram": wire.scram_secret("another one"), "admin": "adm"}
    p.write()
    con.do("RELOAD")
    assert c.one("SELECT 1") == "1"
    con.do("RECONNECT")
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["M"] == "server login failed: wrong password type"


@pytest.mark.poolwise  # PgBouncer shows the server a proof that cannot fit, and tells of a wrong password
def test_scram_pass_through_names_what_differs(make_pooler):
    """The password is the same; the secrets are not."""
    password = USERS["u_scram"][0]
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_scram": scram_secret(password, iterations=5000)})
    c = p.raw()
    c.startup(user="u_scram", database="p0")
    with pytest.raises(wire.ServerError) as e:
        c.authenticate("u_scram", password)
    text = "server login failed: SCRAM secret does not match the server's: the same salt (ours has 5000 iterations, the server's 4096)"
    assert (e.value.severity, e.value.code, e.value.message) == ("FATAL", "08P01", text)
    assert text.split(": ", 1)[1] in p.log()


@pytest.mark.poolwise
def test_a_scram_key_that_the_server_refuses_is_forgotten(make_pooler, own_pg_factory):
    """Also when the server takes its old secret back: only a login brings the key again."""
    server = own_pg_factory()
    secret = server.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    another = secret.split("$")[:2] + [wire.scram_secret("another").split("$")[2]]  # the same salt and iterations
    password = USERS["u_scram"][0]
    p = make_pooler(postgres=server, databases={"p0": server.line()}, auth_type="scram-sha-256", server_login_retry=1,
                    auth_file={"u_scram": secret, "admin": "adm"})
    con = Console(p.client("pgbouncer", "admin", "adm"))
    c = p.client(user="u_scram", password=password)
    c.ok("SELECT 1")
    server.sql(f"ALTER ROLE u_scram PASSWORD '{'$'.join(another)}'")
    con.do("RECONNECT")
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["C"] == "28P01"
    server.sql(f"ALTER ROLE u_scram PASSWORD '{secret}'")
    con.do("SET auth_type=trust")

    def attempt():
        d = p.raw()
        d.startup(user="u_scram", database="p0")
        d.until_closed()
        return "server login failed: FATAL wrong password type" in p.log()
    wait_until(attempt, what="the key is forgotten", every=0.2)
    con.do("SET auth_type='scram-sha-256'")
    wait_until(lambda: logs_in(p, "u_scram", password), every=0.2)


def logs_in(p, user, password):
    try:
        return p.client(user=user, password=password).one("SELECT current_user") == user
    except wire.ServerError:
        return False


def test_scram_secret_without_the_clients_key_cannot_log_in(make_pooler, pg):
    """auth_type trust: nobody ever showed the password."""
    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    p = make_pooler(auth_type="trust", auth_file={"u_scram": secret}, query_wait_timeout=3)
    c = p.raw()
    c.startup(user="u_scram", database="p0")
    assert c.fatal()["C"] == "08P01"


def test_clear_text_password_to_the_server(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake, user="srv", password="'se cret'")})
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    assert s.startup_params["user"] == "srv" and s.startup_params["database"] == "p0"
    s.send(wire.message("R", b"\0\0\0\3"))
    assert s.recv() == wire.Msg("p", b"se cret\0")
    s.welcome()
    c.authenticate("postgres", None)


@pytest.mark.parametrize("answer", [b"\0\0\0\x0c" + b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", b"\0\0\0\0", None],
                         ids=["wrong signature", "no signature", "no end"])
def test_server_that_proves_nothing_in_scram_is_refused(make_pooler, fake, answer):
    """A man in the middle who says AuthenticationOk after our proof without showing his signature, or shows another one, or
    leaves both out."""
    p = make_pooler(databases={"p0": fake_line(fake, user="srv", password="secret")}, query_wait_timeout=3)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.send(wire.message("R", b"\0\0\0\x0a" + b"SCRAM-SHA-256\0\0"))
    first = s.recv().body
    nonce = first.split(b"r=")[1]
    s.send(wire.message("R", b"\0\0\0\x0b" + b"r=" + nonce + b"XYZ,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"))
    assert s.recv().type == "p"
    s.send(wire.message("R", answer) if answer else b"", wire.message("Z", b"I"))
    assert s.until_closed().types in ("", "X")
    assert "Z" not in c.until_closed().types


def test_auth_file_is_read_again_on_reload(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file={"someone": "old", "admin": "adm"})
    p.client(user="someone", password="old")
    p.auth = {"someone": "new", "admin": "adm"}
    p.write_auth()
    Console(p.client("pgbouncer", "admin", "adm")).do("RELOAD")
    refused(p, "someone", "old")
    p.client(user="someone", password="new")


@pytest.mark.poolwise  # with PgBouncer only the users before that place can log in
@pytest.mark.parametrize("cut", ["", '"admin" "adm"\n"some', '"admin" "adm"\n"someone" "ne'], ids=["empty", "in the name", "in the secret"])
def test_reload_of_an_auth_file_that_is_being_written(make_pooler, pg, cut):
    """Nobody loses the login, the operator hears of it, and the next RELOAD takes the whole file."""
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file={"someone": "old", "admin": "adm"})
    con = Console(p.client("pgbouncer", "admin", "adm"))
    p.auth = cut
    p.write_auth()
    with pytest.raises(wire.ServerError) as e:
        con.do("RELOAD")
    assert (e.value.code, e.value.message) == ("F0000", "RELOAD failed, see logs for additional details")
    p.wait_log('user "someone", and perhaps others, would lose the login')
    p.client(user="someone", password="old")
    p.auth = {"someone": "new", "admin": "adm"}
    p.write_auth()
    con.do("RELOAD")
    p.client(user="someone", password="new")


def test_reload_of_an_auth_file_that_was_malformed_from_the_beginning(make_pooler, pg):
    """It gives the users before that line, then as now."""
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file='"admin" "adm"\n"someone" "old"\nrubbish\n"lost" "x"\n')
    p.auth = '"admin" "adm"\n"someone" "new"\n"other" "y"\nrubbish\n"lost" "x"\n'
    p.write_auth()
    Console(p.client("pgbouncer", "admin", "adm")).do("RELOAD")
    p.client(user="someone", password="new")
    p.client(user="other", password="y")
    refused(p, "lost", "x")


def test_auth_file_syntax(make_pooler, pg):
    text = ('; a comment\n"someone" "pass" rest is ignored\n"quo""ted" "pa""ss"\n\n"third" "x"\n')
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file=text)
    assert p.client(user="someone", password="pass").one("SELECT 1") == "1"
    assert p.client(user='quo"ted', password='pa"ss').one("SELECT 1") == "1"
    assert p.client(user="third", password="x").one("SELECT 1") == "1"


def test_overlong_password_message(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file={"someone": "x"})
    c = p.raw()
    c.startup(user="someone", database="p0")
    c.expect("R")
    try:
        c.send(wire.message("p", b"x" * 3_000_000 + b"\0"))
    except OSError:
        pass  # closed while we were still sending
    assert "Z" not in c.until_closed().types
    p.client(user="someone", password="x").ok("SELECT 1")


@pytest.mark.newer  # 1.18 crashes on the length -1
@pytest.mark.parametrize("body", [b"", b"SCRAM-SHA-256\0", b"SCRAM-SHA-256\0\xff\xff\xff\xff", b"SCRAM-SHA-256\0\0\0\0\x7fn,,n=,r=x",
                                  b"NOSUCH\0\0\0\0\x05n,,n=", b"SCRAM-SHA-256\0\0\0\0\x03n,,", b"\0" * 50])
def test_malformed_sasl_messages(make_pooler, pg, body):
    p = make_pooler(databases=trust_line(pg), auth_type="scram-sha-256", auth_file={"someone": "x"}, client_login_timeout=3)
    c = p.raw()
    c.startup(user="someone", database="p0")
    c.expect("R")
    c.send(wire.message("p", body))
    assert "Z" not in c.until_closed().types
    p.client(user="someone", password="x").ok("SELECT 1")


def test_psycopg_logs_in_by_scram(make_pooler, pg):
    """A real driver's SCRAM, not only the test's own."""
    p = make_pooler(databases=trust_line(pg), auth_type="scram-sha-256", auth_file={"someone": STORED["scram"]})
    assert p.psycopg(user="someone", password=PASSWORD).execute("SELECT 1").fetchone() == (1,)


def test_nothing_before_the_login_is_over(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="plain", auth_file={"someone": "x"})
    c = p.raw()
    c.startup(user="someone", database="p0")
    c.expect("R")
    c.send(wire.query("SELECT 1"))
    result = c.until_closed()
    assert "D" not in result.types and "Z" not in result.types


@pytest.mark.poolwise
def test_user_names_have_a_limit(make_pooler, pg):
    p = make_pooler(databases=trust_line(pg), auth_type="any", auth_file={})
    p.client(user="x" * 127).ok("SELECT 1")
    assert refused(p, "x" * 128, None) == "username too long"


@pytest.mark.poolwise
def test_keys_stay_out_of_core_dumps(make_pooler, pg):
    """The pages of the key cache, and of the keys that a pool keeps for pass-through, are marked so."""
    def excluded():
        with open(f"/proc/{p.proc.pid}/smaps", encoding="ascii") as f:
            return sum(1 for line in f if line.startswith("VmFlags:") and " dd" in line)

    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_scram": secret})
    before = excluded()
    p.client(user="u_scram", password=USERS["u_scram"][0]).ok("SELECT 1")
    assert excluded() > before
