# SPDX-License-Identifier: ISC
"""listen_mode = shared: one server connection of a pool listens for all its clients, and nobody is pinned.
docs/session-state.md names these tests."""
import asyncio
import os
import random
import struct
import threading
import time

import asyncpg
import psycopg
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise
SECONDS = float(os.environ.get("LISTEN_SECONDS", "0.7"))


def maker(make_pooler, workers):
    """make(setting=...): a pooler with one server, so that whoever keeps it is noticed."""
    def make(**settings):
        return make_pooler(**{"listen_mode": "shared", "default_pool_size": 1, "worker_threads": workers, **settings})
    return make


@pytest.fixture
def shared(make_pooler):
    return maker(make_pooler, 2)


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def either(make_pooler, request):
    return maker(make_pooler, request.param)


class Direct:
    """A connection to the database without the pooler."""

    def __init__(self, conn):
        self.conn = conn

    def sql(self, text, *args):
        self.conn.execute(text, args or None)


@pytest.fixture
def db(make_pooler, pg):  # pylint: disable=unused-argument
    """Closed before the poolers are stopped, which then look for connections that are left."""
    with pg.connect("p0") as conn:
        yield Direct(conn)


def told(c, deadline=None):
    """The next notification: pid, channel, payload."""
    body = c.expect("A", deadline)[-1].body
    channel, payload, rest = body[4:].split(b"\0")
    assert rest == b""
    return struct.unpack("!I", body[:4])[0], channel.decode(), payload.decode()


def payloads(messages):
    return [m.body[4:].split(b"\0")[1].decode() for m in messages if m.type == "A"]


def nothing_waits(db, c, channel="news"):
    """What was sent before has not come: this comes first."""
    db.sql(f"NOTIFY {channel}, 'the end'")
    assert told(c)[2] == "the end"


def listener(console):
    rows = console.show("LISTENERS")
    return rows[0] if rows else None


def reason(console, c):
    port = str(c.sock.getsockname()[1])
    return next(row["pin_reason"] for row in console.clients() if row["port"] == port)


def warnings(c):
    return [n["M"] for n in c.notices if n["S"] == "WARNING"]


def test_one_connection_for_all(either, pg, db):
    """Clients of all workers; nobody is pinned; the server goes on serving everybody."""
    p = either()
    console = p.console()
    clients = [p.client() for _ in range(6)]
    for c in clients:
        assert c.query("LISTEN news").tags == ["LISTEN"]
    for i in range(3):
        db.sql(f"NOTIFY news, 'n{i}'")
    for c in clients:
        assert [told(c)[1:] for _ in range(3)] == [("news", f"n{i}") for i in range(3)]
        assert c.one("SELECT 1") == "1" and reason(console, c) == ""
    row = listener(console)
    assert row["state"] == "up" and row["channels"] == "1" and row["connects"] == "1" and int(row["notifications"]) == 3
    assert pg.one("SELECT count(*) FROM pg_stat_activity WHERE datname = 'p0' AND backend_type = 'client backend' AND pid <> pg_backend_pid()") <= 3
    assert sorted(r["listens"] for r in console.clients()) == ["1"] * 6
    assert sorted(r["listens"] for r in console.servers()) == ["0", "1"]
    assert {r["list"]: r["items"] for r in console.show("LISTS")}["used_servers"] == "2"
    assert clients[0].one("SELECT count(*) FROM pg_listening_channels()") == "0", "as documented"


def test_counted_by_reference(shared, db):
    """The connection listens as long as anybody does, whoever goes how."""
    p = shared(server_idle_timeout=1)
    console = p.console()
    a, b, c = (p.client() for _ in range(3))
    for client in (a, b, c):
        client.ok("LISTEN news")
    a.ok("UNLISTEN news")
    b.reset()
    wait_until(lambda: len(console.clients()) == 2)
    db.sql("NOTIFY news, 'x'")
    assert told(c)[2] == "x"
    a.ok("SELECT 1")
    assert not a.readable()
    c.send(wire.terminate())
    wait_until(lambda: listener(console) is None, what="the connection goes when nobody listens")
    a.ok("LISTEN other")
    assert listener(console)["channels"] == "1"


COMMITTED = [("LISTEN news",), ("BEGIN", "LISTEN news", "COMMIT"), ("BEGIN; LISTEN news; COMMIT",), ("LISTEN other; LISTEN news",),
             ("BEGIN", "SAVEPOINT s", "LISTEN news", "RELEASE s", "COMMIT"), ("BEGIN", "LISTEN news", "SAVEPOINT s", "UNLISTEN *", "ROLLBACK TO s", "COMMIT"),
             ("LISTEN news", "BEGIN", "UNLISTEN news", "ROLLBACK"), ("LISTEN news", "UNLISTEN news; SELECT 1/0"), ('LISTEN "news"',), ("listen NEWS",)]
NOT = [("BEGIN", "LISTEN news", "ROLLBACK"), ("BEGIN; LISTEN news; ROLLBACK",), ("BEGIN", "SAVEPOINT s", "LISTEN news", "ROLLBACK TO s", "COMMIT"),
       ("LISTEN news; SELECT 1/0",), ("BEGIN", "LISTEN news", "SELECT 1/0", "COMMIT"), ("LISTEN news", "UNLISTEN news"), ("LISTEN news", "UNLISTEN *"),
       ("LISTEN news", "DISCARD ALL"), ("BEGIN", "SELECT 1/0", "LISTEN news", "ROLLBACK"), ("LISTEN news", "BEGIN", "UNLISTEN news", "COMMIT"),
       ("LISTEN news news",), ('LISTEN "News"',)]


def plays(c, db, texts, extended):
    """Runs the texts; does the client then listen on `news`?"""
    c.ok("LISTEN sure")
    for text in texts:
        c.send(wire.group(text) if extended and ";" not in text else wire.query(text))
        c.until_ready()
    c.ok("LISTEN sure")
    db.sql("NOTIFY news, 'x'")
    db.sql("NOTIFY sure, 'end'")
    got = []
    while "end" not in got:
        got.append(told(c)[2])
    c.close()
    return "x" in got


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_transactional(make_pooler, pg, db, extended):
    """LISTEN and UNLISTEN take effect at COMMIT, as on a direct connection, which is asked too."""
    p = make_pooler(listen_mode="shared", default_pool_size=1, worker_threads=2)
    for texts, listens in [(t, True) for t in COMMITTED] + [(t, False) for t in NOT]:
        assert plays(wire.Conn(pg.port).login("postgres", "p0"), db, texts, extended) == listens, texts
        assert plays(p.client(), db, texts, extended) == listens, texts


def test_named_statement(shared, db):
    """Prepared once, run again after an UNLISTEN (asyncpg keeps them), on a server that another one used meanwhile."""
    p = shared()
    a, b = p.client(), p.client()
    a.send(wire.group("LISTEN news", name="l"))
    assert a.until_ready().tags == ["LISTEN"]
    for _ in range(2):
        b.ok("SELECT 1")
        a.ok("UNLISTEN news")
        a.send(wire.bind("", "l"), wire.execute(), wire.sync())
        assert a.until_ready().tags == ["LISTEN"]
        db.sql("NOTIFY news, 'x'")
        assert told(a)[2] == "x"
    assert reason(p.console(), a) == ""


def test_pipeline(shared, db):
    """Requests around it, sent without waiting, are answered in their order; it waits for the connection in the midst of them."""
    p = shared()
    a = p.client()
    a.send(wire.query("SELECT 1"), wire.query("LISTEN news"), wire.group("SELECT 2"), wire.group("LISTEN other"), wire.query("BEGIN"),
           wire.query("LISTEN third"), wire.query("COMMIT"), wire.parse("SELECT 3"), wire.bind(), wire.execute(), wire.parse("LISTEN fourth", "n"),
           wire.bind("", "n"), wire.execute(), wire.sync(), wire.query("SELECT 4"))
    results = [a.until_ready() for _ in range(9)]
    assert not any(r.errors for r in results)
    assert [r.rows for r in results if r.rows] == [[["1"]], [["2"]], [["3"]], [["4"]]]
    for channel in ("news", "other", "third", "fourth"):
        db.sql(f"NOTIFY {channel}, '{channel}'")
        assert told(a)[1:] == (channel, channel)


def test_between_transactions_only(shared, db):
    p = shared(default_pool_size=2)
    a = p.client()
    a.ok("LISTEN news")
    a.ok("BEGIN")
    for i in range(5):
        db.sql(f"NOTIFY news, '{i}'")
    wait_until(lambda: int(listener(p.console())["notifications"]) == 5)
    assert a.query("SELECT 1").types == "TDCZ" and not a.readable()
    a.send(wire.query("COMMIT"))
    assert a.until_ready().types == "CZ"
    assert [told(a)[2] for _ in range(5)] == list("01234")


def test_each_once(either, db):
    """While LISTEN is repeated, and while the client's own server listens for a moment too."""
    p = either(default_pool_size=2)
    a, b = p.client(), p.client()
    a.ok("LISTEN news")
    for i in range(40):
        b.send(wire.query(f"NOTIFY news, '{i}'"))
        a.send(wire.query("LISTEN news" if i % 2 else "BEGIN; LISTEN news; COMMIT"))
        b.until_ready()
        messages = []
        while payloads(messages) != [str(i)] or not [m for m in messages if m.type == "Z"]:
            messages.append(a.recv())
        assert not [m for m in messages if m.type == "E"]
    nothing_waits(db, a)


def test_no_notification_is_missed(either):
    """Once LISTEN is answered, or the COMMIT behind it, what is sent arrives; the sender waits for nothing else."""
    p = either(default_pool_size=2)
    a, b = p.client(), p.client()
    for i in range(30):
        name = f"c{i % 3}"
        if i % 2:
            a.ok(f"LISTEN {name}")
        else:
            a.ok("BEGIN")
            a.ok(f"LISTEN {name}")
            a.ok("COMMIT")
        b.ok(f"NOTIFY {name}, '{i}'")
        assert told(a)[1:] == (name, str(i))
        a.ok(f"UNLISTEN {name}")
        b.ok(f"NOTIFY {name}, 'late'")
    a.ok("SELECT 1")
    assert not a.readable()


def test_ones_own_notifications_have_ones_own_pid(shared, db):
    """The pid of its BackendKeyData, with which libpq's be_pid is compared; others see the server's."""
    p = shared(default_pool_size=2)
    a, b = p.client(), p.client()
    mine = struct.unpack("!I", a.key[:4])[0]
    for c in (a, b):
        c.ok("LISTEN news")

    for how in (wire.query("NOTIFY news, 'x'"), wire.query("SELECT pg_notify('news', 'x')"), wire.group("NOTIFY news, 'x'"),
                wire.group("SELECT pg_notify($1, $2)", ("news", "x")), wire.group("SELECT pg_notify($1, 'x')", ("news",), name="n"),
                wire.query("BEGIN; NOTIFY news, 'x'; NOTIFY news, 'x'; COMMIT")):
        a.send(how)
        messages = []
        while not payloads(messages) or not [m for m in messages if m.type == "Z"]:
            messages.append(a.recv())
        note = next(m for m in messages if m.type == "A")
        assert struct.unpack("!I", note.body[:4])[0] == mine, how
        pid, _, payload = told(b)
        assert payload == "x" and pid != mine
    # another one's, on whatever server, is not taken for one's own; nor is one after a NOTIFY that was rolled back
    a.ok("BEGIN; NOTIFY news, 'y'; ROLLBACK")
    b.ok("NOTIFY news, 'y'")
    assert told(a)[0] != mine
    assert told(b)[0] == struct.unpack("!I", b.key[:4])[0]
    db.sql("NOTIFY news, 'x'")
    assert told(a)[0] not in (mine, None) and told(b)[2] == "x"


def test_psycopg(shared):
    """A driver's view: what comes while a query runs, what comes while it waits, and its own pid."""
    p = shared()
    with psycopg.connect(p.dsn(), autocommit=True) as a, psycopg.connect(p.dsn(), autocommit=True) as b:
        got = []
        a.add_notify_handler(lambda n: got.append((n.channel, n.payload, n.pid == a.info.backend_pid)))
        a.execute("LISTEN news")
        b.execute("NOTIFY news, 'from b'")
        a.execute("SELECT pg_notify('news', %s)", ("from a",))
        wait_until(lambda: a.execute("SELECT 1") and len(got) == 2)
        assert got == [("news", "from b", False), ("news", "from a", True)]
    with psycopg.connect(p.dsn()) as a, psycopg.connect(p.dsn(), autocommit=True) as b:
        a.execute("LISTEN news")  # in a transaction that the driver began
        a.commit()
        b.execute("NOTIFY news, 'x'")
        assert next(a.notifies()).payload == "x"


def test_asyncpg(shared):
    """add_listener sends LISTEN through a prepared statement that it keeps; remove_listener UNLISTENs, and it may listen again."""
    p = shared()

    async def run():
        a, b = [await asyncpg.connect(host="127.0.0.1", port=p.port, user="postgres", database="p0", ssl=False) for _ in range(2)]
        heard = asyncio.Queue()

        def callback(conn, pid, channel, payload):
            heard.put_nowait((conn is a, channel, payload))

        for turn in range(3):
            await a.add_listener("news", callback)
            await b.execute(f"NOTIFY news, '{turn}'")
            assert await asyncio.wait_for(heard.get(), 20) == (True, "news", str(turn))
            await a.remove_listener("news", callback)
        assert heard.empty()
        await a.close()
        await b.close()

    asyncio.run(run())
    assert sum(int(r["listen"]) for r in p.console().show("PINS")) == 0


def end_listener(pg, console):
    pid = int(listener(console)["remote_pid"])
    pg.sql(f"SELECT pg_terminate_backend({pid})")
    return pid


def test_the_connection_dies(either, pg, db):
    """It is made anew; whoever listened is told that notifications may be lost, and goes on."""
    p = either()
    console = p.console()
    a, b = p.client(), p.client()
    for c in (a, b):
        c.ok("LISTEN news")
        c.ok("LISTEN other")
    b.ok("BEGIN")
    for turn in range(2):
        old = end_listener(pg, console)
        wait_until(lambda old=old: listener(console)["state"] == "up" and int(listener(console)["remote_pid"]) not in (old, 0))
        while len(warnings(a)) < 2 * (turn + 1):
            a.recv()
        assert all("may be lost" in w and ("news" in w or "other" in w) for w in warnings(a))
        db.sql(f"NOTIFY news, '{turn}'")
        assert told(a)[2] == str(turn)
    assert b.query("SELECT 1").types == "TDCZ", "in its transaction it hears nothing"
    b.ok("COMMIT")
    while len(warnings(b)) < 4:
        b.recv()
    p.wait_log("the shared listening connection is lost")


def test_the_connection_is_refused(shared, db):
    """By the server: LISTEN fails with its words at once, those who listen keep their places and are told when it is back."""
    p = shared(server_login_retry=1)
    a, b = p.client(user="u_trust"), p.client(user="u_trust")
    a.ok("LISTEN news")
    console = p.console()
    try:
        db.sql("ALTER ROLE u_trust CONNECTION LIMIT 1")
        db.sql("SELECT pg_terminate_backend(%s)", int(listener(console)["remote_pid"]))
        p.wait_log("too many connections for role")
        error = b.query("LISTEN other").error
        assert error["C"] == "08006" and "too many connections" in error["M"]
    finally:
        db.sql("ALTER ROLE u_trust CONNECTION LIMIT -1")
    while not warnings(a):
        a.recv()
    assert not b.query("LISTEN other").errors
    for c, channel in ((a, "news"), (b, "other")):
        db.sql(f"NOTIFY {channel}, 'again'")
        assert told(c)[1:] == (channel, "again")


def test_the_network_dies_silently(shared, tap, db):
    """No end of file comes: it is asked, does not answer, and is made anew."""
    p = shared(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, server_check_delay=1, server_connect_timeout=1, server_login_retry=1)
    a = p.client()
    a.ok("LISTEN news")
    a.ok("SELECT 1")  # its own server has nothing more to do
    tap.stall()
    p.wait_log("the shared listening connection is lost: server check timeout")
    tap.go_on()
    while not warnings(a):
        a.recv()
    db.sql("NOTIFY news, 'x'")
    while told(a)[2] != "x":
        pass


@pytest.mark.parametrize("workers, extended", [(1, False), (2, True)])
def test_no_slot(make_pooler, workers, extended):
    """max_db_connections is full: an error, its transaction fails, and the client goes on."""
    p = make_pooler(listen_mode="shared", default_pool_size=1, worker_threads=workers, max_db_connections=1, server_connect_timeout=1)
    a, b = p.client(), p.client()

    def listen(name=""):
        a.send(wire.group("LISTEN news", name=name) if extended else wire.query("LISTEN news"))
        return a.until_ready()

    a.ok("BEGIN")
    result = listen()
    assert result.error["C"] == "53300" and "shared listening connection" in result.error["M"] and result.status == "E"
    assert a.query("SELECT 1").error["C"] == "25P02"
    a.ok("ROLLBACK")
    assert b.one("SELECT 1") == "1"
    p.console().do("SET max_db_connections = 2")
    assert not listen("again" if extended else "").errors


def test_idle_servers_make_room(shared):
    """Those that are idle give their slot, whichever worker has them."""
    p = shared(max_db_connections=3, default_pool_size=3)
    clients = [p.client() for _ in range(3)]
    for c in clients:
        c.ok("BEGIN")
        c.ok("SELECT 1")
    for c in clients:
        c.ok("COMMIT")
    assert clients[0].query("LISTEN news").tags == ["LISTEN"]
    assert len(p.console().servers()) <= 3


def test_cancel_while_it_waits(shared):
    p = shared(max_db_connections=1, server_connect_timeout=60)
    a = p.client()
    a.send(wire.query("LISTEN news"))
    console = p.console()
    wait_until(lambda: any(r["wait_reason"] == "listen" for r in console.clients()))
    with p.raw() as other:
        other.send(struct.pack("!iI", 8 + len(a.key), 80877102) + a.key)
        other.until_closed()
    result = a.until_ready()
    assert result.error["C"] == "57014" and result.status == "I"
    assert a.one("SELECT 1") == "1"


def test_pause_and_reconnect(shared, db):
    """PAUSE ends although somebody listens; then, as after RECONNECT, the connection comes back."""
    p = shared()
    console = p.console()
    a = p.client()
    a.ok("LISTEN news")
    console.do("PAUSE p0")
    assert console.servers() == []
    assert listener(console)["state"] == "paused"
    console.do("RESUME p0")
    wait_until(lambda: listener(console)["state"] == "up")
    console.do("RECONNECT p0")
    wait_until(lambda: listener(console)["connects"] == "3" and listener(console)["state"] == "up")
    while len(warnings(a)) < 2:
        a.recv()
    db.sql("NOTIFY news, 'x'")
    assert told(a)[2] == "x"
    p.reload(listen_mode="pin")
    db.sql("NOTIFY news, 'y'")
    assert told(a)[2] == "y"
    a.ok("LISTEN more")
    wait_until(lambda: reason(console, a) == "listen")
    a.ok("UNLISTEN *")
    wait_until(lambda: reason(console, a) == "")
    wait_until(lambda: listener(console)["channels"] == "0")


def test_too_many_wait(shared, db):
    """More than listen_queue_size: all that waits is lost, and the client is told so."""
    p = shared(listen_queue_size=16384, default_pool_size=2)
    a = p.client()
    a.ok("LISTEN news")
    a.ok("BEGIN")
    for i in range(5):
        db.sql("SELECT pg_notify('news', %s)", (str(i) * 7000,))
    wait_until(lambda: int(listener(p.console())["notifications"]) == 5)
    a.ok("COMMIT")
    before = []
    while not warnings(a):
        before.append(a.recv())
    assert payloads(before) == [] and "are lost" in warnings(a)[0]
    db.sql("NOTIFY news, 'after'")
    rest = [told(a)[2]]
    while rest[-1] != "after":
        rest.append(told(a)[2])
    assert len(rest) <= 3


NAMES = ["News", "a b", 'quo"te', "semi;colon", "apo'strophe", "ümlaut", "x" * 63, "$1", "--", '""', "E\\n", "/* */"]
PAYLOADS = ["", "x" * 7999, "ä" * 3999, "it's \\ \"quoted\"", "line\nbreak"]


def test_names_and_payloads(either, db):
    """Every name in quotes is itself and no other; the longest payload arrives whole; LISTEN twice is listening once."""
    p = either(default_pool_size=2)
    a, b = p.client(), p.client()
    for name in NAMES:
        quoted = name.replace('"', '""')
        a.ok(f'LISTEN "{quoted}"; LISTEN "{quoted}"')
        a.ok(f'LISTEN "{quoted}"')
        b.ok(f'BEGIN; LISTEN "{quoted}"; ROLLBACK')
    b.ok("LISTEN news")
    assert reason(p.console(), a) == "" and int(listener(p.console())["channels"]) == len(NAMES) + 1
    for name in NAMES:
        for payload in PAYLOADS:
            db.sql("SELECT pg_notify(%s, %s)", name, payload)
            assert told(a)[1:] == (name, payload)
    nothing_waits(db, b)
    for name in NAMES[1:]:
        quoted = name.replace('"', '""')
        a.ok(f'BEGIN; UNLISTEN "{quoted}"; ROLLBACK')
        a.ok(f'UNLISTEN "{quoted}"')
        db.sql("SELECT pg_notify(%s, 'x')", name)
    nothing_waits(db, a, '"News"')


PINNED = ["DO 'BEGIN LISTEN news; END'", "LISTEN " + "x" * 70, 'LISTEN U&"news"', "LISTEN /* " + "x" * 100000 + " */ news"]


@pytest.mark.parametrize("sql", PINNED, ids=["DO", "long name", "U&", "long text"])
def test_what_cannot_be_followed_pins(shared, db, sql):
    p = shared(default_pool_size=2)
    console = p.console()
    a = p.client()
    a.ok("LISTEN other")
    a.ok(sql)
    wait_until(lambda: reason(console, a) == "listen")
    name = "x" * 63 if "xxx" in sql and "news" not in sql else "news"
    for channel in (name, "other"):
        db.sql(f"NOTIFY {channel}, 'x'")
        assert told(a)[1:] == (channel, "x")
    nothing_waits(db, a, "other")
    a.ok("UNLISTEN *")
    wait_until(lambda: reason(console, a) == "")


def test_a_named_portal_pins(shared, db):
    """What runs in it when is not followed: the client's own server goes on listening."""
    p = shared()
    a = p.client()
    a.send(wire.parse("LISTEN news"), wire.bind("p"), wire.execute("p"), wire.sync())
    assert a.until_ready().tags == ["LISTEN"]
    wait_until(lambda: reason(p.console(), a) == "listen")
    db.sql("NOTIFY news, 'x'")
    assert told(a)[2] == "x"
    nothing_waits(db, a)
    a.ok("UNLISTEN *")
    wait_until(lambda: reason(p.console(), a) == "")


def test_more_channels_than_are_followed(shared, db):
    """More than 64 KiB of names: those beyond keep the server."""
    p = shared(default_pool_size=2)
    a = p.client()
    names = [f"c{i:059}" for i in range(1200)]
    for i in range(0, 1200, 400):
        a.ok(";".join(f"LISTEN {n}" for n in names[i:i + 400]))
    wait_until(lambda: reason(p.console(), a) == "listen")
    for name in (names[0], names[-1], names[600], names[1100]):
        db.sql(f"NOTIFY {name}, 'x'")
        assert told(a)[1:] == (name, "x")
    nothing_waits(db, a, names[0])
    a.ok("UNLISTEN *")
    wait_until(lambda: reason(p.console(), a) == "")
    wait_until(lambda: listener(p.console())["channels"] == "0")


def test_nobody_is_left(shared, pg, db):
    """The connection and the pool go with their clients: one that left, KILL, a database that is no longer configured."""
    p = shared(pool_idle_timeout=1, server_idle_timeout=1)
    console = p.console()

    def gone():
        return listener(console) is None and not console.servers()

    a = p.client()
    a.ok("LISTEN news")
    a.close()
    wait_until(lambda: gone() and not [r for r in console.show("POOLS") if r["database"] == "p0"])
    a = p.client()
    a.ok("LISTEN news")
    console.do("KILL p0")
    a.until_closed()
    wait_until(gone)
    console.do("RESUME p0")
    a = p.client()
    a.ok("LISTEN news")
    del p.databases["p0"]
    p.reload(console)
    assert "database removed" in a.fatal()["M"]
    wait_until(gone)


def test_client_encoding(shared, db):
    """Notifications come in the connection's encoding: another one pins; one who changes it later hears what can be told."""
    p = shared(default_pool_size=3)
    console = p.console()
    a, b = p.client(), p.client(client_encoding="LATIN1")
    a.ok("LISTEN news")
    b.ok("LISTEN news")
    wait_until(lambda: reason(console, b) == "listen")
    db.sql("NOTIFY news, 'ä'")
    assert told(a)[2] == "ä"
    assert b.expect("A")[0].body.endswith(b"news\0\xe4\0")
    a.ok("SET client_encoding = 'LATIN1'")
    db.sql("NOTIFY news, 'ä'")
    while not warnings(a):
        a.recv()
    assert "client_encoding" in warnings(a)[0]
    db.sql("NOTIFY news, 'a'")
    assert told(a)[2] == "a"


def test_what_a_client_leaves_is_washed_off(shared, db):
    """Death in every moment of a LISTEN: the next client of the server hears nothing."""
    p = shared()
    for text in (("LISTEN news",), ("BEGIN", "LISTEN news"), ("BEGIN", "LISTEN news", "COMMIT")):
        a = p.client()
        for t in text[:-1]:
            a.ok(t)
        a.send(wire.query(text[-1]))
        a.reset()
        b = p.client()
        assert b.one("SELECT count(*) FROM pg_listening_channels()") == "0"
        db.sql("NOTIFY news, 'x'")
        b.ok("SELECT 1")
        assert not b.readable()
        b.close()
    wait_until(lambda: listener(p.console()) is None or listener(p.console())["channels"] == "0")


class Checker(threading.Thread):
    """Listens, unlistens, rolls back and dies at random; every marker sent while it surely listens must come once. With `gaps` the shared
    connection is killed meanwhile: a marker may be lost then, but only if a warning says so."""

    def __init__(self, pooler, pg, seed, gaps):
        super().__init__()
        self.p, self.pg, self.seed, self.gaps = pooler, pg, seed, gaps
        self.random = random.Random(seed)
        self.name, self.problems, self.markers = f"c{seed % 4}", [], 0
        self.end = time.monotonic() + SECONDS

    def listen(self, c):
        """True: it does."""
        if self.random.random() < 0.5:
            c.ok(f"LISTEN {self.name}")
            return True
        c.ok("BEGIN")
        c.ok(f"LISTEN {self.name}")
        end = "ROLLBACK" if self.random.random() < 0.3 else "COMMIT"
        c.ok(end)
        return end == "COMMIT"

    def until(self, c, marker):
        """Its own markers up to this one; None: a warning came instead."""
        got, before = [], len(warnings(c))
        while marker not in got:
            if len(warnings(c)) > before and self.gaps:
                return None
            msg = c.recv()
            if msg.type == "A":
                got += [p for p in payloads([msg]) if p.startswith(f"m{self.seed} ")]
        return got

    def turn(self, c, sender):
        if not self.listen(c):
            return
        while True:
            sent = []
            for _ in range(self.random.randrange(1, 4)):
                self.markers += 1
                sent.append(f"m{self.seed} {self.markers}")
                sender.ok(f"NOTIFY {self.name}, '{sent[-1]}'")
            got = self.until(c, sent[-1])
            if got is not None:
                break
        if got.count(sent[-1]) != 1 if self.gaps else got != sent:
            self.problems.append(f"{self.name}: sent {sent}, got {got}")
        if self.random.random() < 0.7:
            c.ok(f"UNLISTEN {self.random.choice([self.name, '*'])}")

    def run(self):
        try:
            sender = wire.Conn(self.pg.port).login("postgres", "p0")
            while time.monotonic() < self.end:
                c = self.p.client()
                for _ in range(self.random.randrange(1, 6)):
                    self.turn(c, sender)
                c.reset() if self.random.random() < 0.5 else c.close()
            sender.close()
        except Exception as e:  # pylint: disable=broad-except
            self.problems.append(repr(e))


@pytest.mark.parametrize("gaps", [False, True], ids=["undisturbed", "the connection is killed"])
def test_at_random(either, pg, gaps):
    """Many clients on four channels; the same statements of everybody race each other. LISTEN_SECONDS: how long (docs/testing.md)."""
    p = either(default_pool_size=3, server_idle_timeout=1)
    console = p.console()
    checkers = [Checker(p, pg, seed, gaps) for seed in range(8)]
    for c in checkers:
        c.start()
    while gaps and any(c.is_alive() for c in checkers):
        row = listener(console)
        if row and row["state"] == "up":
            pg.sql("SELECT pg_terminate_backend(%s)", int(row["remote_pid"]))
        checkers[0].join(0.15)
    for c in checkers:
        c.join()
    assert not [problem for c in checkers for problem in c.problems]
    assert sum(c.markers for c in checkers) > 20
    wait_until(lambda: listener(console) is None or listener(console)["channels"] == "0")
