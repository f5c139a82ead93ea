# SPDX-License-Identifier: ISC
"""A pool whose connects or logins fail: how often it tries, and that it finds back by itself."""
import threading
import time

import pytest

from support import wire
from support.postgres import USERS, scram_secret
from support.tap import Tap, fake_line
from support.util import wait_until

RETRY = 0.15


class Refusing:
    """Refuses every login at a FakeServer, as a role's CONNECTION LIMIT does, until told otherwise."""

    def __init__(self, fake):
        self.fake, self.times, self.on = fake, [], True
        self.sessions = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                s = self.fake.accept_raw(60)
                if self.on:
                    self.times.append(time.monotonic())
                    s.error('too many connections for role "postgres"', "53300", "FATAL")
                    s.close()
                else:
                    s.welcome()
                    self.sessions.append(s)
        except OSError:
            pass


@pytest.mark.poolwise
def test_one_attempt_at_a_time_and_all_when_it_works(make_pooler, fake, workers):
    """One server works, so everybody waits; PgBouncer too makes one attempt each server_login_retry, however many wait."""
    p = make_pooler(databases={"p0": fake_line(fake)}, server_login_retry=str(RETRY), **workers)
    first, served = fake.login(p)
    first.send(wire.query("BEGIN"))
    served.recv()
    served.answer(tag="BEGIN", status=b"T")
    first.until_ready()
    others = [p.client() for _ in range(6)]
    begun = time.monotonic()
    refusing = Refusing(fake)
    for c in others:
        c.send(wire.query("SELECT 1"))
    wait_until(lambda: len(refusing.times) >= 14)
    # the first ones, one for each that waits, were begun before any had failed
    assert len(refusing.times) <= 6 + (time.monotonic() - begun) / RETRY + 2
    # once an attempt works every worker gets all that its clients want
    refusing.on = False
    wait_until(lambda: len(refusing.sessions) >= 6)
    for s in refusing.sessions[:6]:
        s.recv()
    for s in refusing.sessions[:6]:
        s.answer()
    for c in others:
        assert c.until_ready().rows == [["1"]]


@pytest.fixture
def tapped(make_pooler, pg):
    """A pooler whose way to the server can be closed; after a failure it tries again in a minute."""
    tap = Tap(pg.port)

    def make(**more):
        line = more.pop("line", {})
        return make_pooler(databases={"p0": pg.line(port=tap.port, **line)}, **{"server_login_retry": "60", **more}), tap

    yield make
    tap.close()


def close_the_way(p, tap):
    tap.refusing = True
    tap.cut()
    wait_until(lambda: not p.console().servers())


@pytest.mark.poolwise
def test_min_pool_size_comes_back_without_a_client(tapped):
    p, tap = tapped(line={"user": "postgres", "min_pool_size": 2}, server_login_retry="0.3")
    full = lambda: len([s for s in p.console().servers() if s["state"] == "idle"]) == 2
    wait_until(full)
    close_the_way(p, tap)
    p.wait_log("closing because: (connect failed|login failed|server closed)", count=2)
    tap.refusing = False
    wait_until(full)


@pytest.mark.poolwise
@pytest.mark.parametrize("command", ["RECONNECT", "RELOAD", "PAUSE p0; RESUME p0"])
def test_a_command_of_the_operator_ends_the_pause(tapped, command):
    p, tap = tapped(worker_threads=2)
    p.client().ok("SELECT 1")
    close_the_way(p, tap)
    p.client().send(wire.query("SELECT 1"))  # goes on waiting
    p.wait_log("closing because: (connect failed|login failed)")
    c = p.client()
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["M"].startswith("server login has been failing")
    tap.refusing = False
    con = p.console()
    for part in command.split("; "):
        con.do(part)
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_a_new_password_ends_the_pause(make_pooler, pg):
    """A password is changed under a warm pool: who logs in with the new one is not told that logins have been failing."""
    p = make_pooler(auth_type="scram-sha-256", auth_user="postgres", auth_file={"admin": "adm"}, server_login_retry="60",
                    auth_query="SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1", worker_threads=2)
    old = p.client("p0", "u_scram", USERS["u_scram"][0])
    old.ok("SELECT 1")
    try:
        pg.sql(f"ALTER ROLE u_scram PASSWORD '{scram_secret('another', b'abcdefghijklmnop')}'")
        p.client("pgbouncer", "admin", "adm").ok("RECONNECT")
        old.send(wire.query("SELECT 1"))
        assert "SCRAM secret does not match" in old.fatal()["M"]
        assert p.client("p0", "u_scram", "another").one("SELECT 1") == "1"
    finally:
        pg.sql(f"ALTER ROLE u_scram PASSWORD '{USERS['u_scram'][1]}'")


@pytest.mark.poolwise
def test_a_server_that_never_ends_its_parameters(make_pooler, fake):
    """What is kept of them for the clients is bounded."""
    p = make_pooler(databases={"p0": fake_line(fake)})
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.send(wire.message("R", b"\0\0\0\0"))
    parameter = wire.message("S", wire.cstr("x" * 30) + wire.cstr("y" * 10000))
    with pytest.raises(OSError):
        for _ in range(100000):
            s.send(parameter)
    assert c.fatal()["M"] == "server sent too many parameters"


@pytest.mark.poolwise
def test_no_character_of_a_long_refusal_is_torn(make_pooler, fake):
    p = make_pooler(databases={"p0": fake_line(fake)})
    for text in ("\u00e4" * 500, "x" + "\u00e4" * 500):
        c = p.raw()
        c.startup(user="postgres", database="p0")
        s = fake.accept_raw()
        s.error(text, "28000", "FATAL")
        s.close()
        while (msg := c.recv()).type != "E":
            pass
        told = dict((f[:1], f[1:]) for f in msg.body.split(b"\0") if f)[b"M"].decode()
        assert len(told) > 100 and text.startswith(told)
        p.console().do("RECONNECT")


@pytest.mark.poolwise
@pytest.mark.parametrize("how, text", [("close", "server closed the connection"), ("reset", "Connection reset by peer")])
def test_how_a_connection_ended_in_the_login_is_told(make_pooler, fake, how, text):
    """A firewall that resets is not a server that hangs up."""
    p = make_pooler(databases={"p0": fake_line(fake)})
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.send(wire.message("R", b"\0\0\0\0"))
    getattr(s, how)()
    p.wait_log(f"server login failed: {text}")
