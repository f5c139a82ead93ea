# SPDX-License-Identifier: ISC
"""Replication connections: one server each, passed through, counted in the pool."""
import concurrent.futures
import os
import signal
import struct
import subprocess

import psycopg
import pytest

from support import wire
from support.postgres import bindir
from support.util import wait_until

pytestmark = pytest.mark.newer  # PgBouncer refuses them before 1.23


@pytest.fixture(scope="module")
def rpg(own_pg_factory):
    """A server that lets replication connections in."""
    pg = own_pg_factory()
    pg.sql("ALTER SYSTEM SET wal_level = logical")
    pg.sql("ALTER SYSTEM SET max_wal_senders = 20")
    pg.sql("CREATE ROLE r_plain LOGIN")
    pg.stop("fast")
    with open(os.path.join(pg.data, "pg_hba.conf"), "a", encoding="utf-8") as f:
        f.write("host replication postgres 127.0.0.1/32 trust\n")
    pg.start()
    return pg


@pytest.fixture
def make(make_pooler, rpg):
    def start(**settings):
        settings.setdefault("databases", {"p0": rpg.line("p0"), "replication": rpg.line("replication")})
        settings.setdefault("auth_file", {"postgres": "", "admin": "", "r_plain": ""})
        return make_pooler(postgres=rpg, **settings)
    return start


def connect(p, replication, database="p0", **params):
    return p.client(database=database, replication=replication, **params)


@pytest.mark.parametrize("word, kind", [("database", "logical"), ("yes", "physical"), ("true", "physical"), ("on", "physical"),
                                        ("1", "physical")])
def test_kinds(make, word, kind):
    p = make()
    c = connect(p, word, application_name="walker", options="-c enable_seqscan=off -c search_path=here")
    assert c.one("SHOW application_name") == "walker"
    assert c.one("SHOW enable_seqscan") == "off"
    assert c.one("SHOW search_path") == "here"
    assert c.query("IDENTIFY_SYSTEM").columns[0][0] == "systemid"
    con = p.console()
    assert [r["replication"] for r in con.clients()] == [kind]
    (server,) = con.servers()
    assert server["replication"] == kind and server["state"] == "active" and server["application_name"] == "walker"
    assert con.clients()[0]["link"] == server["ptr"]
    p.wait_log(r"login attempt: db=p0 user=postgres tls=no replication=" + ("database" if kind == "logical" else "yes"))


@pytest.mark.parametrize("word", ["no", "false", "off", "0"])
def test_no_replication(make, word):
    p = make()
    assert connect(p, word).one("SELECT 1") == "1"
    assert p.console().clients()[0]["replication"] == "none"


def test_nonsense(make):
    c = make().raw()
    c.startup(user="postgres", database="p0", replication="perhaps")
    assert c.fatal()["M"] == 'invalid value for parameter "replication": "perhaps"'


def test_welcome_is_the_servers_own(make):
    c = connect(make(), "database", TimeZone="Asia/Tokyo", DateStyle="German, DMY")
    assert c.params["TimeZone"] == "Asia/Tokyo" and c.params["DateStyle"] == "German, DMY"
    assert c.params["server_version"].startswith("15")


def test_session_mode_and_end(make, rpg):
    """In transaction mode too the server stays with its client, and is closed with it."""
    p = make(pool_mode="transaction")
    c = connect(p, "database")
    pid = c.one("SELECT pg_backend_pid()")
    assert c.one("SELECT pg_backend_pid()") == pid
    c.send(wire.terminate())
    wait_until(lambda: not p.console().servers())
    wait_until(lambda: not rpg.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", int(pid)))


def test_counts_in_the_pool(make, workers):
    """The pool's size holds for them; who has to wait is served when one ends."""
    p = make(default_pool_size=2, **workers)
    held = [connect(p, "database"), connect(p, "database")]
    third, normal = p.raw(), p.raw()
    third.startup(user="postgres", database="p0", replication="database")
    normal.startup(user="postgres", database="p0")
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 2)
    assert len(con.servers()) == 2
    held[0].close()
    third.authenticate("postgres", None)
    assert third.one("SELECT 1") == "1"
    held[1].close()
    normal.authenticate("postgres", None)
    assert normal.one("SELECT 1") == "1"


def test_evicts_an_idle_server(make, workers):
    p = make(default_pool_size=1, **workers)
    normal = p.client()
    normal.ok("SELECT 1")
    c = connect(p, "database")
    assert c.one("SELECT 1") == "1"
    p.wait_log(r"closing because: evicted \(age")
    normal.send(wire.query("SELECT 'later'"))
    c.send(wire.terminate())
    assert normal.until_ready().rows == [["later"]]


def test_many_at_once(make, workers):
    p = make(default_pool_size=3, **workers)

    def life(i):
        c = p.client(**({"replication": "database"} if i % 2 else {}))
        for _ in range(5):
            assert c.one("SELECT pg_sleep(0.01)") == ""
        c.send(wire.terminate())

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(life, range(32)))
    wait_until(lambda: p.console().pool()["cl_active"] == 0)
    assert all(s["replication"] == "none" for s in p.console().servers())


@pytest.mark.parametrize("word, log", [("database", "must be superuser or replication role"), ("yes", "no pg_hba.conf entry for replication")])
def test_refused_by_the_server(make, word, log):
    p = make()
    c = p.raw()
    c.startup(user="r_plain", database="p0", replication=word)
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", "login failed")
    p.wait_log(log)
    p.wait_log(r"closing because: login failed \(age", count=2)
    # and nobody else suffers
    assert p.client(user="r_plain").one("SELECT 1") == "1"


def test_client_that_gives_up(make, fake):
    """It leaves while its server is being connected: the server goes too, and the slot is free."""
    p = make(databases={"p0": f"host=127.0.0.1 port={fake.port} dbname=p0"}, default_pool_size=1)
    c = p.raw()
    c.startup(user="postgres", database="p0", replication="database")
    session = fake.accept_raw()
    assert session.startup_params["replication"] == "database"
    c.close()
    assert session.until_closed().types in ("", "X")
    d = p.raw()
    d.startup(user="postgres", database="p0")
    fake.accept()
    d.authenticate("postgres", None)


def test_reconnect_closes_it_at_once(make):
    p = make()
    c = connect(p, "database")
    p.console().do("RECONNECT p0")
    assert c.fatal()["M"] == "database configuration changed"


def test_hba_keyword(make):
    p = make(start=False, auth_type="hba")
    p.settings["auth_hba_file"] = os.path.join(p.dir, "hba.conf")
    p._put(p.settings["auth_hba_file"], "host replication postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n")
    p.start()
    connect(p, "yes").ok("IDENTIFY_SYSTEM")
    for word in (None, "database"):
        with pytest.raises(wire.ServerError, match="login rejected"):
            connect(p, word)


# --- streams in both directions


def test_copy_both(make, rpg):
    """Start of a stream, data from the server, standby status to it, the end told by the client."""
    p = make()
    rpg.sql("SELECT pg_create_physical_replication_slot('copy_both')")
    try:
        c = connect(p, "yes")
        (lsn,) = [r[2] for r in c.ok("IDENTIFY_SYSTEM")]
        c.send(wire.query(f"START_REPLICATION SLOT copy_both PHYSICAL {lsn}"))
        c.expect("W")
        rpg.sql("CREATE TABLE t_stream AS SELECT generate_series(1, 1000) i")
        kinds = set()
        while "w" not in kinds:
            (msg,) = c.expect("d")
            kinds.add(chr(msg.body[0]))
        c.send(wire.copy_data(b"r" + struct.pack("!QQQQB", 0, 0, 0, 0, 1)))
        wait_until(lambda: "k" == chr(c.expect("d")[0].body[0]))
        c.send(wire.copy_done())
        types = ""
        while not types.endswith("Z"):
            msg = c.recv()
            types += msg.type if msg.type != "d" else ""
        assert types == "cCCZ" or types == "cCZ", types
        assert c.query("IDENTIFY_SYSTEM").status == "I"
    finally:
        rpg.sql("DROP TABLE IF EXISTS t_stream")
        wait_until(lambda: not rpg.one("SELECT active FROM pg_replication_slots WHERE slot_name = 'copy_both'"))
        rpg.sql("SELECT pg_drop_replication_slot('copy_both')")


def tool(p, name, *args, database="p0"):
    return [f"{bindir()}/{name}", "-d", f"host=127.0.0.1 port={p.port} user=postgres dbname={database}", *args]


def test_pg_receivewal(make, rpg, tmp_path):
    p = make()
    rpg.sql("SELECT pg_create_physical_replication_slot('receivewal')")
    run = subprocess.Popen(tool(p, "pg_receivewal", "--slot=receivewal", "-D", str(tmp_path), "--no-loop"), stderr=subprocess.PIPE)
    try:
        def received():
            rpg.sql("SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000))")
            return [f for f in os.listdir(tmp_path) if len(f) >= 24]
        wait_until(received, every=0.1)
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 0, run.stderr.read()
    finally:
        run.kill()
        run.communicate()
        wait_until(lambda: not rpg.one("SELECT active FROM pg_replication_slots WHERE slot_name = 'receivewal'"))
        rpg.sql("SELECT pg_drop_replication_slot('receivewal')")


def test_pg_recvlogical(make, rpg):
    p = make()
    with psycopg.connect(rpg.dsn("p0"), autocommit=True) as direct:
        direct.execute("CREATE TABLE t_logical (a int)")
        direct.execute("SELECT pg_create_logical_replication_slot('recvlogical', 'test_decoding')")
        run = subprocess.Popen(tool(p, "pg_recvlogical", "--slot=recvlogical", "-f", "-", "--no-loop", "--start"), stdout=subprocess.PIPE)
        try:
            p.client().ok("INSERT INTO t_logical VALUES (1)")
            assert run.stdout.readline().startswith(b"BEGIN ")
            assert run.stdout.readline() == b"table public.t_logical: INSERT: a[integer]:1\n"
            assert run.stdout.readline().startswith(b"COMMIT ")
        finally:
            run.kill()
            run.communicate()
            wait_until(lambda: not rpg.one("SELECT active FROM pg_replication_slots WHERE slot_name = 'recvlogical'"))
            direct.execute("SELECT pg_drop_replication_slot('recvlogical')")
            direct.execute("DROP TABLE t_logical")


@pytest.mark.parametrize("more", [["-X", "stream"], ["-X", "fetch", "-F", "tar"]])
def test_pg_basebackup(make, tmp_path, more):
    p = make()
    subprocess.run(tool(p, "pg_basebackup", "-c", "fast", "-D", str(tmp_path / "copy"), *more), check=True, timeout=100)
    assert os.listdir(tmp_path / "copy")


def test_subscription(make, rpg):
    """PostgreSQL itself as the client: initial copy and later changes through the pooler."""
    p = make()
    with psycopg.connect(rpg.dsn("p0"), autocommit=True) as source, psycopg.connect(rpg.dsn("p1"), autocommit=True) as target:
        for c in (source, target):
            c.execute("CREATE TABLE t_sub (a int)")
        source.execute("INSERT INTO t_sub VALUES (1)")
        source.execute("CREATE PUBLICATION pub FOR TABLE t_sub")
        source.execute("SELECT pg_create_logical_replication_slot('sub', 'pgoutput')")
        target.execute(f"CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port={p.port} user=postgres dbname=p0'"
                       " PUBLICATION pub WITH (slot_name = sub, create_slot = false)")
        try:
            def rows():
                return target.execute("SELECT count(*) FROM t_sub").fetchone()[0]
            wait_until(lambda: rows() == 1)
            source.execute("INSERT INTO t_sub VALUES (2)")
            wait_until(lambda: rows() == 2)
        finally:
            target.execute("DROP SUBSCRIPTION sub")
            source.execute("DROP PUBLICATION pub")
            for c in (source, target):
                c.execute("DROP TABLE t_sub")


def test_cancel(make):
    p = make()
    c = connect(p, "database")
    c.send(wire.query("SELECT pg_sleep(600)"))
    con = p.console()
    wait_until(lambda: con.clients()[0]["state"] == "active")
    wait_until(lambda: (c.cancel(p.port), c.readable())[1], every=0.2)
    assert c.until_ready().error["C"] == "57014"
