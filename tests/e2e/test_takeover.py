# SPDX-License-Identifier: ISC
"""-R: a new process takes the place of the running one. SHOW FDS."""
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest

from support import wire
from support.postgres import USERS
from support.util import run_as, server_user, wait_until

PID = "SELECT pg_backend_pid()"


class Pair:
    """The running process and its successor, over the same files."""

    def __init__(self, p):
        self.p, self.old = p, p.proc

    def take_over(self, *args):
        before = self.p.log().count("process up")
        self.p.spawn("-q", "-R", *args, self.p.ini_path)
        wait_until(lambda: self.p.log().count("process up") > before or self.p.proc.poll() is not None, what="new process is up")
        assert self.p.running(), self.p.log() + self.p.stderr()

    def console(self):
        """One of the new process: for a moment the old one accepts connections, too."""
        def connect():
            con = self.p.console()
            lines = [line for line in self.p.log().splitlines() if "login attempt: db=pgbouncer" in line]
            if lines and f"[{self.p.proc.pid}]" in lines[-1]:
                return con
            con.close()
            return None
        return wait_until(connect, what="the new process accepts")

    def old_ends(self):
        try:
            assert self.old.wait(30) == 0
        except subprocess.TimeoutExpired:
            raise AssertionError(self.p.log()) from None


@pytest.fixture
def pair(make_pooler):
    def make(**settings):
        p = make_pooler(**settings)
        made.append(Pair(p))
        return made[-1], p
    made = []
    yield make
    for one in made:
        if one.old.poll() is None and one.old is not one.p.proc:
            one.old.send_signal(signal.SIGTERM)
            one.old.send_signal(signal.SIGTERM)
            one.old_ends()


@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
def test_idle_clients_move(pair, workers, mode):
    both, p = pair(pool_mode=mode, **workers)
    clients = [p.client(application_name=f"c{i}") for i in range(8)]
    silent = p.client(unix=True)
    if mode != "session":  # there a client keeps its server, which stays with the old process
        for c in clients:
            c.ok("SELECT 1")
    both.take_over()
    both.old_ends()
    for i, c in enumerate(clients):
        assert c.one("SHOW application_name") == f"c{i}"
    assert silent.one("SELECT 1") == "1"
    rows = p.console().clients()
    assert len(rows) == 9
    assert sorted(r["application_name"] for r in rows if r["application_name"]) == [f"c{i}" for i in range(8)]
    assert p.client().one("SELECT 1") == "1"


def test_clients_move_when_their_transaction_is_over(pair, workers):
    both, p = pair(**workers)
    busy, cursor = p.client(), p.client()
    busy.ok("BEGIN")
    pid = busy.one(PID)
    cursor.ok("BEGIN")
    p.client()
    both.take_over()
    wait_until(lambda: len(p.console().clients()) == 1, what="the idle client has moved")
    for _ in range(3):
        assert busy.one(PID) == pid, "the transaction goes on where it is"
    assert both.old.poll() is None
    busy.ok("COMMIT")
    assert cursor.query("ROLLBACK").status == "I"
    both.old_ends()
    assert busy.one("SELECT 1") == "1"
    assert cursor.one("SELECT 2") == "2"


@pytest.mark.poolwise  # PgBouncer refuses to be replaced while something is paused, and forgets what was disabled
@pytest.mark.parametrize("command, resume", [("PAUSE p0", "RESUME p0"), ("KILL p0", "RESUME"), ("PAUSE", "SIGUSR2")])
def test_paused_databases_stay_paused(pair, command, resume):
    """Nobody gets a server of a database that the operator has stopped, here or there, before he says so."""
    both, p = pair(worker_threads=2)
    con = p.console()
    idle = p.client()
    con.do(command)
    waits = p.client() if command != "KILL p0" else None
    if waits:
        waits.send(wire.query("SELECT 'waited'"))
        wait_until(lambda: con.pool()["cl_waiting"] == 1)
    else:
        idle = p.raw()
        idle.startup(user="postgres", database="p0")
    both.take_over()
    new = both.console()
    assert {r["name"]: r["paused"] for r in new.show("DATABASES")}["p0"] == "1"
    assert ("paused", "yes" if command == "PAUSE" else "no") in [(r["key"], r["value"]) for r in new.show("STATE")]
    if waits:
        wait_until(lambda: len(new.clients()) == 1, what="who was at rest has moved")
        with pytest.raises(wire.ServerError, match="pooler is shutting down"):
            con.do("RESUME")  # at the wrong door: who has moved would go on waiting
        idle.send(wire.query("SELECT 'came later'"))
        wait_until(lambda: new.pool()["cl_waiting"] == 1)
        assert not idle.readable() and not waits.readable()
    if resume == "SIGUSR2":
        p.proc.send_signal(signal.SIGUSR2)
    else:
        new.do(resume)
    if waits:
        assert waits.until_ready().rows == [["waited"]]
        assert idle.until_ready().rows == [["came later"]]
    assert {r["name"]: r["paused"] for r in new.show("DATABASES")}["p0"] == "0"
    assert p.client().one("SELECT 1") == "1"
    if not waits:
        idle.close()
    con.close()
    both.old_ends()


@pytest.mark.poolwise
def test_disabled_databases_stay_disabled(pair, pg):
    both, p = pair(databases={"p0": pg.line(), "p1": pg.line("p1"), "gone": pg.line("p2")})
    stays = p.client("p1")
    con = p.console()
    for name in ("p1", "gone"):
        con.do(f"DISABLE {name}")
    p.databases.pop("gone")
    p.write()
    con.close()
    both.take_over()
    both.old_ends()
    p.wait_log('takeover: database "p1" is disabled, as it was')
    p.wait_log('takeover: database "gone" was paused or disabled, and is not configured any more')
    with pytest.raises(wire.ServerError, match='database "p1" is disabled'):
        p.client("p1")
    assert stays.one("SELECT 1") == "1" and p.client().one("SELECT 1") == "1"
    both.console().do("ENABLE p1")
    assert p.client("p1").one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_session_clients_stay_until_they_go(pair):
    both, p = pair(pool_mode="session")
    stays = p.client()
    stays.ok("SET work_mem = '7MB'")
    both.take_over()
    assert stays.one("SHOW work_mem") == "7MB"
    assert p.client().one("SHOW work_mem") != "7MB"
    assert both.old.poll() is None
    stays.close()
    both.old_ends()


@pytest.mark.poolwise
def test_clients_that_listen_stay_until_they_go(pair, pg):
    """By the shared connection of the old process, which goes on listening for them."""
    both, p = pair(listen_mode="shared")
    stays, moves = p.client(), p.client()
    stays.ok("LISTEN news")
    moves.ok("SELECT 1")
    both.take_over()
    with pg.connect("p0") as direct:
        direct.execute("NOTIFY news, 'x'")
    assert stays.expect("A")[0].body.endswith(b"news\0x\0")
    assert moves.one("SELECT 1") == "1" and stays.one("SELECT 1") == "1"
    stays.close()
    both.old_ends()
    assert moves.one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_clients_with_tls_stay_until_they_go(pair, certs):
    """Keys of a TLS session cannot move; PgBouncer drops such clients."""
    both, p = pair(**{**certs.client_settings(), "client_tls_sslmode": "allow"})
    c = p.raw().tls().login("postgres", "p0")
    c.ok("SELECT 1")
    plain = p.client()
    both.take_over()
    wait_until(lambda: len(p.console().clients()) == 1)
    assert plain.one("SELECT 1") == "1" and c.one("SELECT 2") == "2"
    assert both.old.poll() is None
    newcomer = p.raw().tls().login("postgres", "p0")
    assert newcomer.one("SELECT 3") == "3"
    c.close()
    both.old_ends()


def test_what_a_client_set_moves_along(pair):
    both, p = pair(default_pool_size=2)
    c = p.client()
    c.ok("SET DateStyle = 'German'; SET work_mem = '7MB'; SELECT set_config('app.x', 'it''s', false)")
    c.send(wire.parse("SELECT $1::int + 40", "s", (23,)), wire.sync())
    c.until_ready()
    unnamed = p.client()
    unnamed.send(wire.parse("SELECT $1::int + 50", "", (23,)), wire.sync())
    unnamed.until_ready()
    both.take_over()
    both.old_ends()
    unnamed.send(wire.bind("", "", ("3",)), wire.execute(), wire.sync())
    assert unnamed.until_ready().rows == [["53"]]
    unnamed.close()
    assert c.one("SHOW DateStyle") == "German, DMY"
    assert c.one("SELECT current_setting('work_mem') || current_setting('app.x')") == "7MBit's"
    c.send(wire.bind("", "s", ("2",)), wire.execute(), wire.sync())
    assert c.until_ready().rows == [["42"]]
    con = p.console()
    wait_until(lambda: len(con.clients()) == 1)
    assert con.clients()[0]["prepared_statements"] == "1"


@pytest.mark.parametrize("after", ["*", "IntervalStyle"])
def test_start_up_parameters_move_along(pair, after):
    """RESET still goes back to them, also where the new process would not take them at a login."""
    both, p = pair(default_pool_size=1, track_extra_parameters="*")
    c, b = p.client(options="-c statement_timeout=7s", default_transaction_read_only="on", **{"app.x": "mine"}), p.client()
    c.ok("SET statement_timeout = '9s'; SET app.x = 'other'")
    p.settings["track_extra_parameters"] = after
    p.write()
    both.take_over()
    both.old_ends()
    ask = "SELECT current_setting('statement_timeout') || ' ' || current_setting('app.x', true) || ' ' || current_setting('default_transaction_read_only')"
    for text, want in (("SELECT 1", "9s other on"), ("RESET statement_timeout", "7s other on"), ("RESET ALL", "7s mine on")):
        c.ok(text)
        for _ in range(2):
            assert c.one(ask) == want
            assert b.one("SELECT current_setting('statement_timeout') || coalesce(current_setting('app.x', true), '') || current_setting('default_transaction_read_only')") == "0off"


def test_what_a_client_was_told_of_its_statements_moves_along(pair):
    """After DDL it must not get rows of another shape, nor lose the types that its values have (docs/protocol.md, "Stale plans")."""
    both, p = pair(default_pool_size=2)
    named, typed, unnamed = p.client(), p.client(), p.client()
    named.ok("DROP TABLE IF EXISTS moved_t; CREATE TABLE moved_t AS SELECT 1 AS x")
    for c, sql, name in ((named, "SELECT * FROM moved_t", "s"), (typed, "SELECT x::text FROM moved_t WHERE x = $1", "t"),
                         (unnamed, "SELECT * FROM moved_t", "")):
        c.send(wire.parse(sql, name), wire.describe("S", name), wire.sync())
        assert not c.until_ready().errors
    named.ok("ALTER TABLE moved_t ALTER x TYPE bigint")
    both.take_over()
    both.old_ends()
    for c, name in ((named, "s"), (unnamed, "")):
        c.send(wire.bind("", name), wire.execute(), wire.sync())
        assert c.until_ready().error["C"] == "0A000"
    binary = wire.message("B", wire.cstr("") + wire.cstr("t") + struct.pack("!hhhii", 1, 1, 1, 4, 1) + struct.pack("!h", 0))
    typed.send(binary, wire.execute(), wire.sync())
    assert typed.until_ready().rows == [["1"]]


def test_a_statement_that_failed_moves_along(pair):
    """Its name is still free."""
    both, p = pair(error_behaviour="postgres")
    c = p.client()
    c.send(wire.parse("SELECT nothing", "s"), wire.sync())
    assert c.until_ready().error["C"] == "42703"
    both.take_over()
    both.old_ends()
    c.send(wire.bind("", "s"), wire.execute(), wire.sync())
    assert c.until_ready().error["C"] == "26000"
    c.send(wire.parse("SELECT 'good'", "s"), wire.bind("", "s"), wire.execute(), wire.sync())
    assert c.until_ready().rows == [["good"]]


def test_the_cancel_key_stays(pair, pg):
    both, p = pair(worker_threads=2)
    c = p.client()
    both.take_over()
    both.old_ends()
    c.send(wire.query("SELECT pg_sleep(60), 'kept'"))
    # begun there: a request that is faster than the query cancels nothing
    wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60), ''kept''%' AND state = 'active'") == 1)
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"


@pytest.mark.newer
def test_a_cancel_finds_its_client_in_the_old_process(pair, workers, pg):
    both, p = pair(**workers)
    clients = [p.client() for _ in range(4)]
    for i, c in enumerate(clients):
        c.send(wire.query(f"SELECT pg_sleep(60), {i}"))
    wait_until(lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'") == 4)
    both.take_over()
    clients[2].cancel(p.port)
    assert clients[2].until_ready().error["C"] == "57014"
    assert not [c for c in clients if c is not clients[2] and c.readable()]
    stranger = p.client()
    stranger.cancel(p.port)
    for c in (clients[0], clients[1], clients[3]):
        c.cancel(p.port)
        assert c.until_ready().error["C"] == "57014"
    both.old_ends()
    assert [c.one("SELECT 1") for c in clients] == ["1"] * 4


def test_secrets_move_along(pair, pg):
    """A SCRAM secret lets nobody log in to servers; the key of the client's own login does."""
    secret = pg.one("SELECT rolpassword FROM pg_authid WHERE rolname = 'u_scram'")
    both, p = pair(auth_type="scram-sha-256", auth_file={"u_scram": secret, "admin": "x"})
    c = p.client(user="u_scram", password=USERS["u_scram"][0])
    first = c.one(PID)
    both.take_over()
    both.old_ends()
    assert c.one(PID) != first
    assert USERS["u_scram"][0] not in p.log() and "SCRAM-SHA-256$" not in p.log()


def test_nobody_is_refused_meanwhile(pair, workers):
    both, p = pair(**workers)
    errors, done, count = [], threading.Event(), [0] * 4

    def come_and_go(i):
        while not done.is_set():
            try:
                c = wire.Conn(p.port) if i % 2 else wire.Conn(unix=p.socket_path())
                c.login("postgres", "p0")
                assert c.one(f"SELECT {i}") == str(i)
                c.close()
                count[i] += 1
            except Exception as e:  # kept for the assertion
                errors.append(repr(e))
                return
    threads = [threading.Thread(target=come_and_go, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            before = list(count)
            both.take_over()
            both.old_ends()
            both.old = p.proc
            wait_until(lambda: errors or all(n > b + 2 for n, b in zip(count, before)))  # pylint: disable=cell-var-from-loop
    finally:
        done.set()
        for t in threads:
            t.join(30)
    assert not errors


def test_pidfile_names_the_new_process(pair):
    both, p = pair(pidfile="pooler.pid")
    path = os.path.join(p.dir, "pooler.pid")
    both.take_over()
    both.old_ends()
    assert int(open(path, encoding="utf-8").read()) == p.proc.pid
    p.stop()
    assert not os.path.exists(path) and not os.path.exists(p.socket_path())


@pytest.mark.poolwise
def test_a_successor_that_cannot_start_leaves_all_as_it_was(pair):
    """Also the pid file, by which the running process is stopped and found."""
    both, p = pair(pidfile="pooler.pid")
    idle = p.client()
    env = {**p.env(), "ASAN_OPTIONS": "detect_leaks=0"}  # which takes a thread
    failed = subprocess.run(["prlimit", "--nproc=1:1", p.binary, "-q", "-R", p.ini_path], cwd=p.dir, env=env, check=False,
                            capture_output=True, timeout=60, **run_as(p.user))
    assert failed.returncode == 1, "it could make threads"
    with open(os.path.join(p.dir, "pooler.pid"), encoding="ascii") as f:
        assert int(f.read()) == both.old.pid
    assert idle.one("SELECT 1") == p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_who_has_no_descriptors_for_clients_does_not_take_them(pair):
    """Started by hand, with the shell's limit: the kernel throws away what does not fit, and nobody hears of it."""
    both, p = pair()
    clients = [p.client() for _ in range(50)]
    limited = os.path.join(p.dir, "limited")
    with open(limited, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec prlimit --nofile=60:60 "{p.binary}" "$@"\n')
    os.chmod(limited, 0o755)
    p.binary = limited
    both.take_over()
    p.wait_log("WARNING takeover: clients stay with the old process: too few descriptors")
    assert [c.one(f"SELECT {i}") for i, c in enumerate(clients)] == [str(i) for i in range(50)]
    for c in clients:
        c.close()
    both.old_ends()


def pid_in(p):
    with open(os.path.join(p.dir, "pooler.pid"), encoding="ascii") as f:
        return int(f.read())


def busy_client(p):
    """Stays with its process until it COMMITs."""
    c = p.client()
    c.ok("BEGIN")
    return c


@pytest.mark.poolwise
def test_when_the_successor_dies_the_old_process_accepts_again(pair, workers):
    both, p = pair(pidfile="pooler.pid", **workers)
    idle, busy = p.client(), busy_client(p)
    both.take_over()
    wait_until(lambda: "handed over to the new process" in p.log(), what="the idle client has moved")
    p.proc.kill()
    p.proc.wait()
    p.wait_log("WARNING the new process has died, this one accepts connections again")
    p.proc = both.old
    assert p.client().one("SELECT 1") == p.client(unix=True).one("SELECT 1") == "1"
    assert busy.one("SELECT 1") == "1"
    busy.ok("COMMIT")
    with pytest.raises((wire.Closed, ConnectionError)):
        idle.one("SELECT 1")
    wait_until(lambda: pid_in(p) == both.old.pid, what="the pid file names the old process again")
    for c in p.conns:
        c.close()
    both.take_over()
    both.old_ends()
    assert p.client().one("SELECT 1") == "1" and pid_in(p) == p.proc.pid


@pytest.mark.poolwise
def test_a_successor_that_dies_before_it_serves(pair):
    both, p = pair(pidfile="pooler.pid")
    with subprocess.Popen([sys.executable, "-c", FICKLE_SUCCESSOR, p.socket_path()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          **run_as(server_user())) as successor:
        assert successor.stdout.readline() == "2\n"
        with open(os.path.join(p.dir, "pooler.pid"), "w", encoding="ascii") as f:
            f.write(f"{successor.pid}\n")
        successor.kill()
    wait_until(lambda: pid_in(p) == both.old.pid, what="the pid file names the old process again")
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_a_successor_that_is_stopped_is_not_replaced(pair):
    """Who stops the service means all of it; who is in may end what he does."""
    both, p = pair()
    busy = busy_client(p)
    both.take_over()
    p.wait_log("a new process has taken over")
    p.proc.terminate()
    assert p.wait_exit() == 0
    wait_until(lambda: not p.try_connect(), what="nobody listens")
    assert busy.one("SELECT 1") == "1"
    assert "accepts connections again" not in p.log()
    busy.close()
    both.old_ends()


@pytest.mark.poolwise
def test_an_old_process_that_is_told_to_end_leaves_the_sockets(pair):
    both, p = pair()
    busy_client(p)
    both.take_over()
    p.wait_log("a new process has taken over")
    both.old.terminate()
    both.old_ends()
    assert p.client().one("SELECT 1") == p.client(unix=True).one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_the_first_of_three_does_not_accept_again(pair):
    """The second one, which dies, has a successor of its own."""
    both, p = pair()
    first = busy_client(p)
    both.take_over()
    p.wait_log("a new process has taken over")
    middle, second = p.proc, both.console().conn
    second.close()
    second = wait_until(lambda: served_by(p, middle.pid), what="the second process has a client")
    both.take_over()
    p.wait_log("a new process has taken over", count=2)
    both.console().close()
    middle.kill()
    middle.wait()
    for _ in range(20):
        assert served_by(p, p.proc.pid)
    assert first.one("SELECT 1") == "1"
    first.ok("COMMIT")
    first.close()
    both.old_ends()


def served_by(p, pid):
    """A client with a transaction open, if that process is the one that took it; None: another did."""
    c = busy_client(p)
    port = c.sock.getsockname()[1]
    if f"[{pid}]" in [line for line in p.log().splitlines() if f":{port} login attempt" in line][-1]:
        return c
    c.close()
    return None


def test_nobody_to_take_over_from(make_pooler):
    p = make_pooler(start=False)
    p.write()
    p.spawn("-q", "-R", p.ini_path)
    p.wait_up()
    assert "old process not found" in p.log()
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
def test_a_process_of_another_user_is_not_taken_over(make_pooler):
    """What listens there gives its sockets to its own user only."""
    p = make_pooler(start=False)
    p.write()
    server = socket.socket(socket.AF_UNIX)
    server.bind(p.socket_path())
    os.chmod(p.socket_path(), 0o777)
    server.listen()

    def refuse():
        conn, _ = server.accept()
        conn.recv(1000)
        conn.sendall(wire.message("E", b"SFATAL\0C08P01\0Mnot allowed\0\0"))
        conn.close()
    t = threading.Thread(target=refuse)
    t.start()
    p.expect_exit = (1,)
    p.spawn("-R", p.ini_path)
    assert p.wait_exit() == 1
    assert "cannot take over: the running process says: not allowed" in p.stderr() + p.log()
    t.join()
    server.close()


@pytest.mark.poolwise
def test_handover_is_for_the_own_user_only(make_pooler):
    con = make_pooler().console()
    for what in ("SOCKETS", "CLIENTS_4", "DONE"):
        assert "only a process of the same user" in con.run(f"HANDOVER {what}").error["M"]
    assert con.show("CLIENTS")


# ---- SHOW FDS

FDS = ["fd", "task", "user", "database", "addr", "port", "cancel", "link", "client_encoding", "std_strings", "datestyle", "timezone",
       "password", "scram_client_key", "scram_server_key"]


def test_show_fds_to_an_admin(make_pooler):
    p = make_pooler(auth_type="md5", auth_file={"admin": "secret", "postgres": "topsecret"})
    idle, busy = p.client(password="topsecret"), p.client(password="topsecret")
    busy.ok("BEGIN")
    idle.ok("SELECT 1")
    con = wire.Conn(p.port).login("admin", "pgbouncer", "secret")
    result = con.query("SHOW FDS")
    assert [c[0] for c in result.columns] == FDS
    assert [c[1] for c in result.columns] == [23, 25, 25, 25, 25, 23, 20, 23, 25, 25, 25, 25, 25, 17, 17]
    rows = result.dicts()
    tasks = [r["task"] for r in rows]
    assert tasks.count("pooler") == 2 and tasks.count("client") == 2 and tasks.count("server") >= 1
    (linked,) = [r for r in rows if r["task"] == "client" and r["link"] != "0"]
    (server,) = [r for r in rows if r["task"] == "server" and r["link"] != "0"]
    assert (linked["link"], server["link"]) == (server["fd"], linked["fd"])
    assert (linked["user"], linked["database"], linked["client_encoding"], linked["datestyle"]) == ("postgres", "p0", "UTF8", "ISO, MDY")
    assert len({r["cancel"] for r in rows if r["task"] == "client"}) == 2
    assert all(r["password"] is None and r["scram_client_key"] is None for r in rows)
    assert "topsecret" not in str(result.rows)
    con.close()


def test_show_fds_is_for_admins(make_pooler):
    assert "admin access needed" in make_pooler().console("stats").run("SHOW FDS").error["M"]


# Run as the pooler's own user: what it gets there.
RECEIVER = r"""
import array, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
body = struct.pack(">I", 196608) + b"user\0pgbouncer\0database\0pgbouncer\0\0"
s.sendall(struct.pack(">I", len(body) + 4) + body)
data, fds = b"", []
def until_ready():
    global data
    data = b""
    while not data.endswith(b"Z\0\0\0\5I"):
        got, anc, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(4 * 64))
        for level, kind, raw in anc:
            a = array.array("i"); a.frombytes(raw); fds.extend(a)
        assert got
        data += got
until_ready()
q = b"SHOW FDS\0"
s.sendall(b"Q" + struct.pack(">I", len(q) + 4) + q)
until_ready()
rows = []
while data[:1] != b"Z":
    n = struct.unpack(">I", data[1:5])[0]
    if data[:1] == b"D":
        p, row = 7, []
        while p < n + 1:
            k = struct.unpack(">i", data[p:p + 4])[0]
            p += 4
            row.append(None if k < 0 else data[p:p + k].decode()); p += max(k, 0)
        rows.append(row)
    data = data[n + 1:]
assert len(rows) == len(fds), (len(rows), len(fds))
for row, fd in zip(rows, fds):
    sock = socket.socket(fileno=fd)
    listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    print(row[1], row[2], row[5], listening, sock.getpeername()[1] if not listening and sock.family == socket.AF_INET else "-", row[12])
"""


def test_show_fds_brings_the_sockets_to_the_own_user(make_pooler):
    p = make_pooler(auth_type="md5", auth_file={"postgres": "topsecret"})
    clients = [p.client(password="topsecret") for _ in range(150)]
    out = subprocess.run([sys.executable, "-c", RECEIVER, p.socket_path()], capture_output=True, text=True, check=False, timeout=60,
                         **run_as(server_user()))
    assert out.returncode == 0, out.stderr
    rows = [line.split(" ") for line in out.stdout.splitlines()]
    assert [r[3] for r in rows if r[0] == "pooler"] == ["1", "1"]
    got = {r[4]: r for r in rows if r[0] == "client"}
    assert len(got) == 150
    for c in clients:
        row = got[str(c.sock.getsockname()[1])]
        assert row[1:3] == ["postgres", row[4]] and row[5] == "topsecret"
    assert [r for r in rows if r[0] == "server"]
    assert clients[77].one("SELECT 1") == "1", "they were copies"


# A successor that goes step by step.
SUCCESSOR = r"""
import array, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def ask(text):
    s.sendall(b"Q" + struct.pack(">I", len(text) + 5) + text + b"\0")
def until_ready():
    data, fds = b"", []
    while not data.endswith(b"Z\0\0\0\5I"):
        got, anc, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(4 * 64))
        for level, kind, raw in anc:
            a = array.array("i"); a.frombytes(raw); fds.extend(a)
        assert got, "the process ended in the middle"
        data = data[-5:] + got
    return fds
body = struct.pack(">I", 196608) + b"user\0pgbouncer\0database\0pgbouncer\0\0"
s.sendall(struct.pack(">I", len(body) + 4) + body)
until_ready()
"""
# Asks for the clients, reads their rows when it is told to, and prints how many descriptors came with them.
SLOW_SUCCESSOR = SUCCESSOR + r"""
ask(b"HANDOVER DONE")
until_ready()
ask(b"HANDOVER CLIENTS_4")
sys.stdin.readline()
print(len(until_ready()))
"""
# Takes the listening sockets and changes its mind when it is told to.
FICKLE_SUCCESSOR = SUCCESSOR + r"""
ask(b"HANDOVER SOCKETS")
print(len(until_ready()), flush=True)
sys.stdin.readline()
"""


@pytest.mark.poolwise
def test_one_takeover_at_a_time(pair):
    """Of two that get the sockets both would stay, and the pid file would name one."""
    both, p = pair()
    first = subprocess.Popen([sys.executable, "-c", FICKLE_SUCCESSOR, p.socket_path()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True, **run_as(server_user()))
    try:
        assert first.stdout.readline() == "2\n"
        second = p.spawn("-q", "-R", p.ini_path)
        assert second.wait(20) != 0
        p.proc = both.old
        p.wait_log("cannot take over: the running process says: another process is taking over already")
    finally:
        first.communicate("\n", timeout=20)
    con = p.console()
    wait_until(lambda: "pgbouncer" not in {c["user"] for c in con.show("CLIENTS")})
    con.close()
    both.take_over()
    both.old_ends()


@pytest.mark.poolwise
def test_a_process_does_not_end_with_its_last_client_in_hand(make_pooler):
    p = make_pooler(log_stats=1, stats_period=1, max_prepared_statements=10)
    c = p.client()
    c.send(wire.parse("SELECT 1 -- " + "x" * 2**20, "s"), wire.sync())  # more than the successor's socket takes at once
    c.until_ready()
    with subprocess.Popen([sys.executable, "-c", SLOW_SUCCESSOR, p.socket_path()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          **run_as(server_user())) as successor:
        wait_until(lambda: "handed over to the new process" in p.log())
        turns = p.log().count("stats: ")
        wait_until(lambda: p.log().count("stats: ") >= turns + 2 or p.proc.poll() is not None, what="it had the time to end")
        assert p.proc.poll() is None
        assert successor.communicate("\n")[0] == "1\n"
    assert p.proc.wait(30) == 0
