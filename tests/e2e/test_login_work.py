# SPDX-License-Identifier: ISC
"""Key derivation happens beside the event loops: who is logged in is served while others log in."""
import resource
import select
import threading

import pytest

from support import wire
from support.pooler import Console
from support.tap import fake_line
from support.util import wait_until
from support.wire import scram_secret

# A derivation of seconds, so that "before it was over" is no matter of luck.
ITERATIONS = 2_000_000
CLIENT_FIRST = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO"


def quiet(conn):
    """Nothing has arrived on this connection."""
    return not conn.buf and not select.select([conn.sock], [], [], 0)[0]


def begin_scram(p, user, database="p0"):
    c = p.raw()
    c.startup(user=user, database=database)
    c.expect("R")
    c.send(wire.message("p", b"SCRAM-SHA-256\0" + len(CLIENT_FIRST).to_bytes(4, "big") + CLIENT_FIRST))
    return c


@pytest.mark.poolwise
def test_a_client_is_served_while_a_verifier_is_derived(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(user="u_trust")}, auth_type="scram-sha-256", worker_threads=1,
                    scram_iterations=ITERATIONS, auth_file={"slow": "secret", "fast": scram_secret("secret")})
    fast = p.client("p0", "fast", "secret")
    slow = begin_scram(p, "slow")
    for _ in range(3):
        fast.ok("SELECT 1")
    assert quiet(slow)
    gone = begin_scram(p, "slow")  # leaves in the middle of it
    gone.close()
    p.client("p0", "fast", "secret").ok("SELECT 1")
    challenge = slow.expect("R")[0].body
    assert challenge[:4] == b"\0\0\0\x0b" and b"i=%d" % ITERATIONS in challenge
    again = begin_scram(p, "slow")  # now from the cache
    assert again.expect("R")[0].body.split(b",")[1] == challenge.split(b",")[1]  # the salt


@pytest.mark.poolwise
def test_a_client_is_served_while_a_password_is_checked(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(user="u_trust")}, auth_type="plain", worker_threads=1,
                    auth_file={"slow": scram_secret("secret", iterations=ITERATIONS), "fast": "secret"})
    fast = p.client("p0", "fast", "secret")
    slow = p.raw()
    slow.startup(user="slow", database="p0")
    slow.expect("R")
    slow.send(wire.message("p", b"secret\0"))
    for _ in range(3):
        fast.ok("SELECT 1")
    assert quiet(slow)
    assert slow.recv().body == b"\0\0\0\0"
    with pytest.raises(wire.ServerError) as e:
        p.client("p0", "slow", "wrong")
    assert e.value.message == "password authentication failed"


@pytest.mark.poolwise
def test_a_client_is_served_while_the_pooler_logs_in_to_a_server(make_pooler, pg, fake):
    p = make_pooler(databases={"p0": pg.line(), "f": fake_line(fake, user="srv", password="secret")}, worker_threads=1)
    fast = p.client("p0", "postgres")
    c = p.raw()
    c.startup(user="postgres", database="f")
    s = fake.accept_raw()
    s.send(wire.message("R", b"\0\0\0\x0a" + b"SCRAM-SHA-256\0\0"))
    nonce = s.recv().body.split(b"r=")[1]
    s.send(wire.message("R", b"\0\0\0\x0b" + b"r=" + nonce + b"XYZ,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=1000000"))
    fast.ok("SELECT 1")
    assert not select.select([s.sock], [], [], 0)[0]
    assert s.recv().type == "p"


@pytest.mark.poolwise
def test_a_server_that_talks_during_the_derivation_is_refused(make_pooler, fake):
    p = make_pooler(databases={"f": fake_line(fake, user="srv", password="secret")}, worker_threads=1, server_login_retry=0)

    def challenged(iterations):
        c = p.raw()
        c.startup(user="postgres", database="f")
        s = fake.accept_raw()
        s.send(wire.message("R", b"\0\0\0\x0a" + b"SCRAM-SHA-256\0\0"))
        nonce = s.recv().body.split(b"r=")[1]
        return c, s, wire.message("R", b"\0\0\0\x0b" + b"r=" + nonce + b"XYZ,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=%d" % iterations)

    c, s, challenge = challenged(1_000_000)
    s.send(challenge, wire.message("R", b"\0\0\0\0"))
    s.until_closed()
    assert "Z" not in c.until_closed().types
    c, s, challenge = challenged(4096)
    s.send(challenge)
    assert b"p=" in s.recv().body  # behind the first derivation on the one thread: nothing is under way at the end


@pytest.mark.poolwise
def test_many_users_log_in_at_once(make_pooler, pg, workers):
    users = {f"user{i}": f"secret{i}" for i in range(40)}
    p = make_pooler(databases={"p0": pg.line(user="u_trust")}, auth_type="scram-sha-256", auth_file=users, **workers)
    failures = []

    def login(user, password):
        try:
            p.raw().login(user, "p0", password).ok("SELECT 1")
        except Exception as e:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append((user, e))

    threads = [threading.Thread(target=login, args=item) for item in list(users.items()) * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert wait_until(lambda: p.running())


@pytest.mark.poolwise
def test_a_thousand_scram_logins_at_once(make_pooler, pg):
    """All have asked before the first one answers; half of them as users whose secret is derived on the way. Nobody is lost, and one
    who came before them is served all the time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    n = min(1000, most - 200)
    users = {"stored": wire.scram_secret("a secret"), "derived": "a secret", "admin": "adm"}
    p = make_pooler(databases={"p0": pg.line(user="u_trust")}, auth_type="scram-sha-256", auth_file=users, max_client_conn=n + 10, default_pool_size=5,
                    client_login_timeout=0)
    con = Console(p.client("pgbouncer", "admin", "adm"))
    before = p.client(user="stored", password="a secret")
    clients = [(p.raw(), ("stored", "derived")[i % 2]) for i in range(n)]
    for c, user in clients:
        c.startup(user=user, database="p0")
    wait_until(lambda: {r["list"]: r["items"] for r in con.show("LISTS")}["login_clients"] == str(n))
    failures = []

    def login(some):
        for c, user in some:
            try:
                c.authenticate(user, "a secret")
                c.ok("SELECT 1")
            except Exception as e:  # noqa: BLE001 - whatever it is, the test tells it
                failures.append((user, e))

    threads = [threading.Thread(target=login, args=(clients[i::20],)) for i in range(20)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        assert before.one("SELECT 1") == "1"
    assert not failures
    assert con.pool(user="u_trust")["cl_active"] == n + 1
