# SPDX-License-Identifier: ISC
"""PAUSE, RESUME, DISABLE, ENABLE, KILL, SUSPEND, RECONNECT, WAIT_CLOSE, RELOAD: by console and by signal."""
import contextlib
import os
import select
import signal
import subprocess
import threading

import pytest

from support import wire
from support.postgres import bindir
from support.tap import fake_line
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def fatal(conn):
    err = conn.fatal()
    assert (err["S"], err["C"]) == ("FATAL", "08P01"), err
    return err["M"]


class Load:
    """Clients that run transactions all the time; any error is kept."""

    def __init__(self, p, n=8, database="p0"):
        self.errors, self.done, self.turns = [], threading.Event(), [0] * n
        self.threads = [threading.Thread(target=self._work, args=(p.port, i, database), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()
        wait_until(lambda: min(self.turns) > 0)

    def _work(self, port, i, database):
        try:
            c = wire.Conn(port).login("postgres", database)
            while not self.done.is_set():
                c.ok("BEGIN")
                assert c.ok(f"SELECT {i}") == [[str(i)]]
                assert c.query("COMMIT").status == "I"
                c.send(wire.group("SELECT 1"), wire.group("SELECT 2"))
                assert c.until_ready().rows + c.until_ready().rows == [["1"], ["2"]]
                self.turns[i] += 1
            c.close()
        except Exception as e:  # collected for the assertion
            self.errors.append(repr(e))

    def progress(self):
        """Waits until every client has gone on by two turns."""
        before = list(self.turns)
        wait_until(lambda: self.errors or all(now >= then + 2 for now, then in zip(self.turns, before)))

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join(20)
        assert not self.errors, self.errors[:3]


def ask_until_held(c, con, sql):
    """Asks until the query is held back: PAUSE reaches the client's worker a moment after it was sent."""
    while True:
        c.send(wire.query(sql))
        wait_until(lambda: c.readable() or con.pool()["cl_waiting"] == 1)
        if not c.readable():
            return
        c.until_ready()


def test_pause_waits_for_transactions_and_resume_goes_on(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=2, **workers)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    con = p.console()
    con.conn.send(wire.query("PAUSE"))
    other = p.console()
    ask_until_held(c, other, "SELECT 'held'")
    assert not con.conn.readable(), "PAUSE returned with a transaction open"
    assert holder.one("SELECT 'still works'") == "still works"
    assert holder.query("COMMIT").status == "I"
    assert con.conn.until_ready().tags == ["PAUSE"]
    wait_until(lambda: pg.backends() == [])
    assert not c.readable()
    assert {r["name"]: r["paused"] for r in other.show("DATABASES")}["p0"] in ("0", "1")
    other.do("RESUME")
    assert c.until_ready().rows == [["held"]]


def test_pause_of_one_database(make_pooler, pg):
    p = make_pooler()
    a, b = p.client("p0"), p.client("p1")
    a.ok("SELECT 1")
    con = p.console()
    con.do("PAUSE p0")
    wait_until(lambda: pg.backends("p0") == [])
    assert {r["name"]: r["paused"] for r in con.show("DATABASES")}["p0"] == "1"
    assert b.one("SELECT 1") == "1"
    a.send(wire.query("SELECT 'held'"))
    wait_until(lambda: con.pool("p0")["cl_waiting"] == 1)
    con.do("RESUME p0")
    assert a.until_ready().rows == [["held"]]


def test_pause_twice_and_resume_twice(make_pooler):
    con = make_pooler().console()
    con.do("PAUSE")
    assert "already suspended/paused" in con.run("PAUSE").error["M"]
    con.do("RESUME")
    assert "not paused/suspended" in con.run("RESUME").error["M"]


def test_pause_resume_under_load(make_pooler, workers):
    p = make_pooler(default_pool_size=3, **workers)
    load = Load(p)
    con = p.console()
    for _ in range(5):
        assert con.do("PAUSE") == "PAUSE"
        assert con.pool()["sv_active"] == 0 and con.servers() == []
        con.do("RESUME")
        load.progress()
    load.stop()


def test_pause_by_signal(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("SELECT 1")
    p.signal(signal.SIGUSR1)
    p.wait_log("got SIGUSR1, pausing all activity")
    con = p.console()
    ask_until_held(c, con, "SELECT 'held'")
    p.signal(signal.SIGUSR1)
    p.wait_log("got SIGUSR1, but already paused/suspended")
    p.signal(signal.SIGUSR2)
    assert c.until_ready().rows == [["held"]]
    p.wait_log("got SIGUSR2, continuing from PAUSE")
    p.signal(signal.SIGUSR2)
    p.wait_log("got SIGUSR2, but not paused/suspended")


def test_a_paused_client_still_times_out(make_pooler):
    p = make_pooler(query_wait_timeout=1)
    c = p.client()
    p.console().do("PAUSE")
    c.send(wire.query("SELECT 1"))
    assert fatal(c) == "query_wait_timeout"


def test_disable_and_enable(make_pooler):
    p = make_pooler()
    old = p.client()
    con = p.console()
    con.do("DISABLE p0")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert "disabled" in fatal(c)
    assert old.one("SELECT 1") == "1"
    assert {r["name"]: r["disabled"] for r in con.show("DATABASES")}["p0"] == "1"
    con.do("ENABLE p0")
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.newer
def test_disabled_text(make_pooler):
    p = make_pooler()
    p.console().do("DISABLE p0")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert fatal(c) == 'database "p0" is disabled'


@pytest.mark.poolwise
def test_kill_without_a_name_stops_databases_that_nobody_has_used(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(), "p1": pg.line("p1")})
    p.client().ok("SELECT 1")
    con = p.console()
    con.do("KILL")
    assert {r["name"]: r["paused"] for r in con.show("DATABASES")} == {"p0": "1", "p1": "1", "pgbouncer": "0"}
    c = p.raw()
    c.startup(user="postgres", database="p1")
    wait_until(lambda: con.pool("p1") and con.pool("p1")["cl_waiting"] == 1)
    con.do("RESUME")
    c.authenticate("postgres", None)
    assert c.one("SELECT 1") == "1"


def test_kill_closes_everything_and_leaves_it_paused(make_pooler, pg, workers):
    p = make_pooler(**workers)
    busy, idle, other = p.client(), p.client(), p.client("p1")
    busy.ok("BEGIN")
    con = p.console()
    con.do("KILL p0")
    assert fatal(busy) == fatal(idle) == "database removed"
    wait_until(lambda: pg.backends("p0") == [])
    assert other.one("SELECT 1") == "1"
    assert {r["name"]: r["paused"] for r in con.show("DATABASES")}["p0"] == "1"
    con.do("RESUME p0")
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.newer
def test_kill_client(make_pooler):
    p = make_pooler(default_pool_size=1)
    victim, other = p.client(application_name="victim"), p.client()
    victim.ok("BEGIN")
    con = p.console()
    (row,) = [r for r in con.clients() if r["application_name"] == "victim"]
    con.do(f"KILL_CLIENT {row['id']}")
    assert fatal(victim) == "admin forced disconnect"
    assert other.one("SELECT 1") == "1"
    assert con.run(f"KILL_CLIENT {row['id']}").error["M"] == "client not found"


def test_reconnect_replaces_servers_when_they_are_released(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=2, **workers)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    mine, idle_pid = holder.one(PID), c.one(PID)
    con = p.console()
    con.do("RECONNECT")
    assert c.one(PID) != idle_pid
    assert holder.one(PID) == mine, "a server in use was closed"
    other = p.console()
    other.conn.send(wire.query("WAIT_CLOSE"))
    assert con.show("STATS") is not None
    assert not other.conn.readable()
    holder.ok("COMMIT")
    assert other.conn.until_ready().tags == ["WAIT_CLOSE"]
    assert holder.one(PID) != mine
    wait_until(lambda: int(mine) not in pg.backends())


def test_reconnect_of_one_database(make_pooler):
    p = make_pooler()
    a, b = p.client("p0"), p.client("p1")
    pid_a, pid_b = a.one(PID), b.one(PID)
    p.console().do("RECONNECT p0")
    assert a.one(PID) != pid_a and b.one(PID) == pid_b


@pytest.mark.newer  # 1.18 drops a client now and then
def test_reconnect_under_load(make_pooler, workers):
    p = make_pooler(default_pool_size=3, **workers)
    load = Load(p)
    con = p.console()
    for _ in range(5):
        con.do("RECONNECT")
        con.do("WAIT_CLOSE")
        load.progress()
    load.stop()


def test_suspend_and_resume(make_pooler, workers):
    p = make_pooler(**workers)
    c = p.client()
    pid = c.one(PID)
    con = p.console()
    con.do("SUSPEND")
    c.send(wire.query(PID))
    readable, _, _ = select.select([c.sock], [], [], 0.5)
    assert not readable
    assert con.show("POOLS") is not None
    con.do("RESUME")
    assert c.until_ready().rows == [[pid]]


def test_suspend_ends_with_its_console(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("SELECT 1")
    con = p.console()
    con.do("SUSPEND")
    c.send(wire.query("SELECT 'again'"))
    con.close()
    assert c.until_ready().rows == [["again"]]


def test_pause_ends_with_its_console_when_it_had_not_finished(make_pooler):
    """^C of the console resumes."""
    p = make_pooler(default_pool_size=2)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    con = p.console()
    con.conn.send(wire.query("PAUSE"))
    other = p.console()
    ask_until_held(c, other, "SELECT 'again'")
    con.conn.cancel(p.port)
    assert c.until_ready().rows == [["again"]]


# --- RELOAD

def test_reload_under_load(make_pooler, pg, workers):
    """Nothing is lost; pools whose settings did not change keep their servers (rule 9)."""
    p = make_pooler(databases={"p0": pg.line(), "p1": pg.line("p1")}, default_pool_size=3, **workers)
    load = Load(p)
    steady = p.client("p1")
    pid = steady.one(PID)
    con = p.console()
    for turn in range(10):
        p.reload(con, query_wait_timeout=100 + turn, default_pool_size=3 + turn % 2)
        assert con.config("query_wait_timeout") == str(100 + turn)
        load.progress()
    assert steady.one(PID) == pid
    load.stop()


def test_reload_by_signal(make_pooler):
    p = make_pooler()
    p.settings["query_wait_timeout"] = 55
    p.write()
    p.signal(signal.SIGHUP)
    p.wait_log("got SIGHUP,? re-?reading config")
    con = p.console()
    wait_until(lambda: con.config("query_wait_timeout") == "55")


def test_reload_adds_and_removes_databases(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(), "p1": pg.line("p1")})
    c0, c1 = p.client("p0"), p.client("p1")
    c0.ok("SELECT 1")
    c1.ok("SELECT 1")
    p.databases = {"p0": pg.line(), "p2": pg.line("p2")}
    p.reload()
    assert p.client("p2").one("SELECT current_database()") == "p2"
    assert c0.one("SELECT 1") == "1"
    assert fatal(c1) == "database removed"
    wait_until(lambda: pg.backends("p1") == [])


@pytest.mark.parametrize("stage", ["SSLRequest", "login"])
def test_reload_removes_a_database_while_a_server_logs_in(make_pooler, pg, fake, stage):
    p = make_pooler(databases={"p0": fake_line(fake, password="secret"), "p1": pg.line("p1")}, server_tls_sslmode="prefer")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    if stage == "login":
        server = fake.accept_raw().sock
        answer = wire.message("R", b"\0\0\0\3")  # a password is asked for
    else:
        server, _ = fake.listener.accept()
        server.recv(8)
        answer = b"N"
    p.databases = {"p1": pg.line("p1")}
    p.reload()
    assert fatal(c) == "database removed"
    server.settimeout(20)
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        server.sendall(answer)
        assert server.recv(100) == b""
    server.close()
    assert p.client("p1").one("SELECT 1") == "1"


def test_reload_that_changes_where_a_database_is(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line("p0")})
    c = p.client()
    c.ok("BEGIN")
    assert c.one("SELECT current_database()") == "p0"
    p.databases = {"p0": pg.line("p1")}
    p.reload()
    assert c.one("SELECT current_database()") == "p0", "changed in the middle of a transaction"
    c.ok("COMMIT")
    assert c.one("SELECT current_database()") == "p1"


def test_reload_of_a_broken_file_keeps_everything(make_pooler):
    p = make_pooler(default_pool_size=4)
    c = p.client()
    con = p.console()
    p.extra = "nosuch_key = 1\n"
    p.write()
    con.run("RELOAD")
    assert c.one("SELECT 1") == "1"
    assert p.client().one("SELECT 1") == "1"
    assert con.config("default_pool_size") == "4"


@pytest.mark.newer
def test_reload_of_a_broken_file_is_told(make_pooler):
    p = make_pooler()
    con = p.console()
    p.extra = "nosuch_key = 1\n"
    p.write()
    err = con.run("RELOAD").error
    assert (err["C"], err["M"]) == ("F0000", "RELOAD failed, see logs for additional details")


@pytest.mark.poolwise
def test_the_answer_of_reload_names_the_problems(make_pooler):
    p = make_pooler()
    con = p.console()
    p.extra = "nosuch_key = 1\npool_mode = none\n" + "".join(f"wrong_{i} = {'x' * 100}\n" for i in range(200))
    p.write()
    first, *problems = con.run("RELOAD").error["D"].split("\n")
    assert first == "202 problems in the configuration; the old one stays in use"
    assert 'error: unknown option "nosuch_key"' in problems[0] and "error: pool_mode must be one of" in problems[1]
    assert 10 < len(problems) < 202, "as many as there is room for, each whole"
    p.signal(signal.SIGHUP)
    p.wait_log("RELOAD failed: 202 problems in the configuration; the old one stays in use\n")


@pytest.mark.newer
def test_reload_opens_the_log_again(make_pooler):
    p = make_pooler()
    p.client().ok("SELECT 1")
    os.rename(p.logfile, p.logfile + ".1")
    p.console().do("RELOAD")
    wait_until(lambda: os.path.exists(p.logfile))
    p.client(application_name="after")
    p.wait_log("login attempt")


@pytest.mark.poolwise
def test_reload_tells_that_the_log_cannot_be_opened(make_pooler):
    p = make_pooler()
    con, known = p.console(), p.logfile
    p.settings["logfile"] = os.path.join(p.dir, "nosuch", "pooler.log")
    p.write()
    result = con.run("RELOAD")
    assert result.tags == ["RELOAD"] and result.notices[0]["M"] == "the log goes on where it was"
    assert result.notices[0]["D"].endswith("No such file or directory")
    p.settings["logfile"] = known
    p.write()
    assert not con.run("RELOAD").notices
    p.wait_log("cannot open logfile")


# --- SHUTDOWN

def test_shutdown_at_once(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("BEGIN")
    con = p.console()
    con.conn.send(wire.query("SHUTDOWN"))
    assert p.wait_exit() in p.expect_exit
    assert not c.until_closed().rows


@pytest.mark.newer
def test_shutdown_wait_for_servers(make_pooler):
    p = make_pooler(default_pool_size=1)
    holder, waiting = p.client(), p.client()
    holder.ok("BEGIN")
    waiting.send(wire.query("SELECT 1"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    con.do("SHUTDOWN WAIT_FOR_SERVERS")
    assert fatal(waiting) == "server shutting down"
    wait_until(lambda: not p.try_connect())
    assert holder.one("SELECT 'finishes' FROM pg_sleep(0.5)") == "finishes"  # longer than the process takes to end
    holder.send(wire.query("COMMIT"))
    holder.until_ready()
    assert p.wait_exit() == 0


@pytest.mark.newer
@pytest.mark.parametrize("how", ["SHUTDOWN WAIT_FOR_CLIENTS", signal.SIGTERM])
def test_shutdown_wait_for_clients(make_pooler, how):
    p = make_pooler()
    c = p.client()
    c.ok("SELECT 1")
    if how == signal.SIGTERM:
        p.signal(how)
    else:
        con = p.console()
        con.do(how)
        con.close()
    wait_until(lambda: not p.try_connect())
    assert c.one("SELECT 'goes on' FROM pg_sleep(0.5)") == "goes on"  # longer than the process takes to end
    assert c.one("SELECT 'and on'") == "and on"
    late = p.raw(unix=True)
    late.startup(user="postgres", database="p0")
    assert fatal(late) == "pooler is shutting down"
    c.send(wire.terminate())
    assert p.wait_exit() == 0
    if how == signal.SIGTERM:
        assert "got SIGTERM, shutting down, waiting for all clients disconnect" in p.log()
    assert "client connections dropped, exiting" in p.log()


def test_sigint_waits_for_transactions(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("BEGIN")
    p.signal(signal.SIGINT)
    p.wait_log("got SIGINT, shutting down")
    assert c.one("SELECT 'finishes'") == "finishes"
    c.send(wire.query("COMMIT"))
    assert p.wait_exit() in p.expect_exit
    assert "server connections dropped, exiting" in p.log()


@pytest.mark.newer
@pytest.mark.parametrize("first, second", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT),
                                           (signal.SIGTERM, signal.SIGINT)])
def test_second_signal_exits_at_once(make_pooler, first, second):
    p = make_pooler()
    c = p.client()
    c.ok("BEGIN")
    p.signal(first)
    p.wait_log(f"got {signal.Signals(first).name}")
    p.signal(second)
    assert p.wait_exit() == 0


@pytest.mark.newer
def test_sigusr2_while_shutting_down(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("SELECT 1")
    p.signal(signal.SIGTERM)
    p.wait_log("got SIGTERM")
    p.signal(signal.SIGUSR2)
    p.wait_log("got SIGUSR2 while shutting down, ignoring")
    c.send(wire.terminate())
    assert p.wait_exit() == 0


@pytest.mark.newer
def test_sigquit_exits_at_once(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("BEGIN")
    p.signal(signal.SIGQUIT)
    assert p.wait_exit() == 0


def test_shutdown_under_load_leaves_no_server_behind(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=3, **workers)
    load = Load(p)
    p.signal(signal.SIGINT)
    assert p.wait_exit() in p.expect_exit
    load.done.set()
    wait_until(lambda: pg.backends() == [])


@pytest.mark.parametrize("fast", [0, 1])
def test_server_fast_close(make_pooler, fast):
    """RECONNECT in session mode: the client keeps its server until it goes, or both are closed when idle."""
    p = make_pooler(pool_mode="session", server_fast_close=fast)
    idle, busy = p.client(), p.client()
    idle.ok("SELECT 1")
    busy.ok("BEGIN")
    pid = busy.one(PID)
    p.console().do("RECONNECT")
    if not fast:
        assert busy.query("COMMIT").status == "I" and busy.one(PID) == pid and idle.one("SELECT 1") == "1"
        return
    assert fatal(idle) == "database configuration changed"
    assert busy.one("SELECT 2") == "2", "not within a transaction"
    busy.send(wire.query("COMMIT"))
    assert fatal(busy) == "database configuration changed"
    p.wait_log("closing because: database configuration changed", count=2)
    assert p.client().one(PID) != pid


def test_shutdown_answers_before_it_sends_waiting_clients_away(make_pooler):
    p = make_pooler(default_pool_size=1)
    holder, waiting = p.client(), p.client()
    holder.ok("BEGIN")
    waiting.send(wire.query("SELECT 1"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    con.do("SHUTDOWN WAIT_FOR_SERVERS")
    assert "closing because: server shutting down" not in p.log()
    assert fatal(waiting) == "server shutting down"
    holder.ok("COMMIT")
    assert p.wait_exit() == 0


@pytest.mark.parametrize("how", ["RECONNECT", "RELOAD"])
def test_idle_servers_are_closed_under_load(make_pooler, tmp_path, how):
    """Closing one makes the pool give away others, to a client or another worker: those are not idle any more, and nobody may lose them."""
    p = make_pooler(default_pool_size=6, worker_threads=4, max_client_conn=200)
    script = tmp_path / "one.sql"
    script.write_text("SELECT 1;\n", encoding="utf-8")
    os.chmod(tmp_path, 0o755)
    con = p.console()
    load = subprocess.Popen([f"{bindir()}/pgbench", "-n", "-f", script, "-c", "40", "-j", "2", "-T", "3", "-h", "127.0.0.1", "-p", str(p.port),
                             "-U", "postgres", "p0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    sizes, rounds = [3, 6], 0
    while load.poll() is None:
        if how == "RECONNECT":
            con.do("RECONNECT p0")
        else:
            p.reload(con, server_lifetime=rounds % 2, default_pool_size=sizes[rounds % 2])
        rounds += 1
    out = load.stdout.read()
    assert load.returncode == 0 and "number of failed transactions: 0 " in out, out
    assert rounds > 10
