# SPDX-License-Identifier: ISC
"""Options that no other file is about: with one value the pooler does this, with another that."""
import os
import select
import socket
import subprocess
import sys

import pytest

from support import wire
from support.util import free_port, run_as, server_user, wait_until

PID = "SELECT pg_backend_pid()"


# ---- the console and the file

@pytest.mark.poolwise
@pytest.mark.parametrize("key, default", [("pkt_buf", "4096"), ("sbuf_loopcnt", "5"), ("job_name", "pgbouncer")])
def test_what_has_no_effect_says_so(make_pooler, key, default):
    """--check and a RELOAD warn, but not about the default."""
    def check():
        p.write()
        out = subprocess.run([p.binary, "--check", p.ini_path], capture_output=True, text=True, check=True, env=p.env(), **run_as(server_user()))
        return f"warning: {key} has no effect" in out.stdout + out.stderr
    p = make_pooler(start=False, **{key: default})
    assert not check()
    p.settings[key] = "77"
    assert check()
    p.start()
    p.console().do("RELOAD")
    p.wait_log(f"WARNING .*{key} has no effect")
    assert p.console().config(key) == "77"


@pytest.mark.poolwise
def test_set_of_what_has_no_effect(make_pooler):
    con = make_pooler().console()
    result = con.run("SET sbuf_loopcnt = 3")
    assert [n["M"] for n in result.notices] == ["it is kept and has no effect"] and not result.errors
    assert con.config("sbuf_loopcnt") == "3"


def test_conffile(make_pooler):
    """Which file the next RELOAD reads."""
    p = make_pooler()
    con = p.console()
    assert con.config("conffile") == p.ini_path
    other = os.path.join(p.dir, "other.ini")
    with open(p.ini_path, encoding="utf-8") as f, open(other, "w", encoding="utf-8") as g:
        g.write(f.read() + "default_pool_size = 7\n")
    con.do("RELOAD")
    assert con.config("default_pool_size") == "20"
    con.do(f"SET conffile = '{other}'")
    con.do("RELOAD")
    assert con.config("default_pool_size") == "7" and con.config("conffile") == other


@pytest.mark.parametrize("refuse", [0, 1])
def test_disable_pqexec(make_pooler, refuse):
    p = make_pooler(disable_pqexec=refuse)
    c = p.client()
    c.send(wire.group("SELECT 1"))
    assert c.until_ready().rows == [["1"]]
    c.send(wire.query("SELECT 2"))
    if refuse:
        assert c.fatal()["M"] == "PQexec disallowed"
    else:
        assert c.until_ready().rows == [["2"]]


@pytest.mark.newer
@pytest.mark.parametrize("text", ["", "be nice"])
def test_login_notify_message(make_pooler, text):
    p = make_pooler(login_notify_message=text)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    result = c.until_ready()
    assert [n["M"] for n in result.notices] == ([text] if text else [])
    types = result.types
    assert not text or types.index("K") < types.index("N") < types.index("Z")
    p.console().do("SET login_notify_message = 'other words'")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert [n["M"] for n in c.until_ready().notices] == ["other words"]


@pytest.mark.parametrize("size", [1000, 100000])
def test_max_packet_size(make_pooler, size):
    p = make_pooler(max_packet_size=size)
    c = p.client()
    c.ok("SELECT 1")
    c.send(wire.query("SELECT '" + "x" * 5000 + "'"))
    if size < 5000:
        assert "bad packet header" in c.fatal()["M"]
    else:
        assert c.until_ready().rows == [["x" * 5000]]


@pytest.mark.newer
@pytest.mark.parametrize("idle", [0, 1])
def test_pool_idle_timeout(make_pooler, idle):
    p = make_pooler(pool_idle_timeout=idle, server_idle_timeout=1)
    c = p.client()
    c.ok("SELECT 1")
    c.close()
    con = p.console()
    if idle:
        wait_until(lambda: con.pool() is None, 15)
        p.wait_log("cleaning up idle pool for user postgres on db p0 because: pool idle timeout")
        assert con.stats()["total_query_count"] == 1, "what it counted stays"
    else:
        wait_until(lambda: con.servers() == [], 15)
        assert con.pool() is not None
    assert p.client().one("SELECT 2") == "2"


@pytest.mark.parametrize("iterations", [4096, 5000])
def test_scram_iterations(make_pooler, iterations):
    """How a plain password is dressed up for SCRAM."""
    p = make_pooler(auth_type="scram-sha-256", auth_file={"postgres": "secret"}, scram_iterations=iterations)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    scram = wire.Scram("secret")
    c.recv()
    first = scram.first().encode()
    c.send(wire.message("p", wire.cstr("SCRAM-SHA-256") + len(first).to_bytes(4, "big") + first))
    assert c.recv().body.endswith(f",i={iterations}".encode())


@pytest.mark.parametrize("robin", [0, 1])
def test_server_round_robin(make_pooler, robin):
    """The last used server again, or all in turn."""
    p = make_pooler(server_round_robin=robin, worker_threads=1) if p_is_ours() else make_pooler(server_round_robin=robin)
    clients = [p.client() for _ in range(3)]
    for c in clients:
        c.ok("BEGIN")
    for c in clients:
        c.ok("COMMIT")
    pids = [clients[0].one(PID) for _ in range(6)]
    assert len(set(pids)) == (3 if robin else 1), pids


def p_is_ours():
    return "pgbouncer" not in os.path.basename(os.environ.get("POOLER_BIN", ""))


@pytest.mark.parametrize("on", [0, 1])
def test_so_reuseport(make_pooler, on):
    """Two processes on one port."""
    first = make_pooler(so_reuseport=on)
    second = make_pooler(start=False, so_reuseport=on, listen_port=first.port)
    second.write()
    second.spawn("-q", second.ini_path)
    if not on:
        second.expect_exit = (1,)
        assert second.wait_exit() == 1
        return
    wait_until(lambda: "process up" in second.log() or second.proc.poll() is not None)
    seen = set()

    def both_serve():
        for _ in range(5):
            c = first.client()
            c.ok("SELECT 1")
            seen.add("first" if first.log().count(f":{c.sock.getsockname()[1]} login") else "second")
            c.close()
        return seen == {"first", "second"}
    wait_until(both_serve)


@pytest.mark.parametrize("limit", [0, 1])
def test_suspend_timeout(make_pooler, limit):
    """A client that does not read: closed when the time is over, or waited for without an end."""
    p = make_pooler(suspend_timeout=limit)
    deaf = p.client()
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send(wire.query("SELECT repeat('x', 1000000) FROM generate_series(1, 30)"))
    con, other = p.console(), p.console()
    wait_until(lambda: any(int(r["send_avail"]) > 0 for r in con.show("SOCKETS")))
    con.conn.send(wire.query("SUSPEND"))
    if limit:
        assert con.conn.until_ready().tags == ["SUSPEND"]
        p.wait_log("closing because: suspend_timeout")
        con.do("RESUME")
    else:
        assert not select.select([con.conn.sock], [], [], 1.5)[0]
        assert other.show("STATE")[2]["value"] == "yes"
        other.do("RESUME")
        assert con.conn.until_ready().errors
    assert p.client().one("SELECT 1") == "1"


# ---- sockets

# Copies of the pooler's sockets, as its own user gets them: prints "task option=value ..." for each.
ASK = r"""
import array, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
body = struct.pack(">I", 196608) + b"user\0pgbouncer\0database\0pgbouncer\0\0"
s.sendall(struct.pack(">I", len(body) + 4) + body)
fds, data = [], b""
def until_ready():
    global data
    data = b""
    while not data.endswith(b"Z\0\0\0\5I"):
        got, anc, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(4 * 64))
        for _, _, raw in anc:
            a = array.array("i"); a.frombytes(raw); fds.extend(a)
        data += got
until_ready()
s.sendall(b"Q" + struct.pack(">I", 13) + b"SHOW FDS\0")
until_ready()
for fd in fds:
    sock = socket.socket(fileno=fd)
    if sock.family != socket.AF_INET:
        continue
    o, T = sock.getsockopt, socket.IPPROTO_TCP
    listening = o(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    mine = sock.getsockname()[1] == int(sys.argv[2])
    print("pooler" if listening else "client" if mine else "server", o(socket.SOL_SOCKET, socket.SO_KEEPALIVE), o(T, socket.TCP_KEEPIDLE),
          o(T, socket.TCP_KEEPINTVL), o(T, socket.TCP_KEEPCNT), o(T, socket.TCP_USER_TIMEOUT), o(socket.SOL_SOCKET, socket.SO_SNDBUF),
          o(T, socket.TCP_DEFER_ACCEPT))
"""
SOCKET_OPTIONS = ["tcp_keepalive", "tcp_keepidle", "tcp_keepintvl", "tcp_keepcnt", "tcp_user_timeout", "tcp_socket_buffer",
                  "tcp_defer_accept"]


def socket_options(p):
    """Task -> option -> value, of the newest socket of each task."""
    out = subprocess.run([sys.executable, "-c", ASK, p.socket_path(), str(p.port)], capture_output=True, text=True, check=False, timeout=60,
                         **run_as(server_user()))
    assert out.returncode == 0, out.stderr
    rows = [line.split() for line in out.stdout.splitlines()]
    return {r[0]: dict(zip(SOCKET_OPTIONS, map(int, r[1:]))) for r in rows}


@pytest.mark.newer
@pytest.mark.parametrize("option, value", [("tcp_keepidle", 77), ("tcp_keepintvl", 33), ("tcp_keepcnt", 4), ("tcp_user_timeout", 12000),
                                           ("tcp_socket_buffer", 65536)])
def test_tcp_options(make_pooler, option, value):
    """On both sides; another value counts for connections that come later."""
    p = make_pooler(**{option: value})
    c = p.client()
    c.ok("SELECT 1")
    factor = 2 if option == "tcp_socket_buffer" else 1  # the kernel shows what it takes with its bookkeeping
    got = socket_options(p)
    assert got["client"][option] == got["server"][option] == factor * value
    con = p.console()
    con.do(f"SET {option} = {2 * value}")
    c.close()
    wait_until(lambda: con.clients() == [])
    con.do("RECONNECT")
    p.client().ok("SELECT 1")
    got = socket_options(p)
    assert got["client"][option] == got["server"][option] == 2 * factor * value


@pytest.mark.newer
@pytest.mark.parametrize("on", [0, 1])
def test_tcp_keepalive(make_pooler, on):
    p = make_pooler(tcp_keepalive=on)
    p.client().ok("SELECT 1")
    got = socket_options(p)
    assert got["client"]["tcp_keepalive"] == got["server"]["tcp_keepalive"] == on


@pytest.mark.newer
@pytest.mark.parametrize("on", [0, 1])
def test_tcp_defer_accept(make_pooler, on):
    """A connection that says nothing is not seen yet."""
    p = make_pooler(tcp_defer_accept=on)
    con = p.console()
    before = len(con.show("SOCKETS"))
    silent = socket.create_connection(("127.0.0.1", p.port))
    p.keep(silent)
    if on:
        assert p.client().one("SELECT 1") == "1"
        assert [r for r in con.show("SOCKETS") if r["state"] == "cl_login"] == []
    else:
        wait_until(lambda: [r for r in con.show("SOCKETS") if r["state"] == "cl_login"])
    assert bool(socket_options(p)["pooler"]["tcp_defer_accept"]) == bool(on)
    con.do(f"SET tcp_defer_accept = {1 - on}")
    assert bool(socket_options(p)["pooler"]["tcp_defer_accept"]) != bool(on)
    assert before >= 1


def established(port, n):
    """How many of n connections are made while nobody accepts."""
    socks = []
    for _ in range(n):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        socks.append(s)
    seen = []

    def settled():
        """Twice the same: those without a place in the queue are tried again by the kernel after a second only."""
        now = sum(1 for s in select.select([], socks, [], 0)[1] if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0)
        seen.append(now)
        return len(seen) > 10 and seen[-1] == seen[-8]
    wait_until(settled)
    for s in socks:
        s.close()
    return seen[-1]


@pytest.mark.parametrize("backlog", [2, 50])
def test_listen_backlog(make_pooler, backlog):
    p = make_pooler(listen_backlog=backlog, tcp_defer_accept=0)
    con = p.console()
    con.do("SUSPEND")
    n = established(p.port, 20)
    con.do("RESUME")
    assert (n == 20) == (backlog == 50) and n >= 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_unix_socket_group(make_pooler):
    user = server_user()
    groups = [g for g in os.getgrouplist(user.pw_name, user.pw_gid) if g != user.pw_gid]
    if not groups:
        pytest.skip("the account has one group only")
    plain = make_pooler()
    assert os.stat(plain.socket_path()).st_gid != groups[0]
    p = make_pooler(start=False, unix_socket_group=str(groups[0]))
    p.settings["user"] = user.pw_name
    p.write()
    p.spawn("-q", p.ini_path, as_root=True)
    p.wait_up()
    assert os.stat(p.socket_path()).st_gid == groups[0]


# ---- log

@pytest.mark.parametrize("name", ["one.log", "two.log"])
def test_logfile(make_pooler, name):
    p = make_pooler(start=False)
    p.settings["logfile"] = p.logfile = os.path.join(p.dir, name)
    p.start()
    p.client().ok("SELECT 1")
    assert [f for f in os.listdir(p.dir) if f.endswith(".log")] == [name]
    other = os.path.join(p.dir, "later.log")
    p.reload(logfile=other)
    p.client().ok("SELECT 2")
    wait_until(lambda: "login attempt" in open(other, encoding="utf-8").read())


# A /dev of its own, with a log socket in it that nobody else has.
SYSLOG_STAGE = r"""
import os, pwd, socket, subprocess, sys, tempfile
folder = tempfile.mkdtemp()
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
for name in ("null", "zero", "random", "urandom"):
    open(f"{folder}/{name}", "w").close()
    subprocess.run(["mount", "--bind", f"/dev/{name}", f"{folder}/{name}"], check=True)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(f"{folder}/log")
os.chmod(f"{folder}/log", 0o777)
os.chmod(folder, 0o755)
subprocess.run(["mount", "--bind", folder, "/dev"], check=True)
user = pwd.getpwnam(sys.argv[1])
p = subprocess.Popen([*sys.argv[2:]], user=user.pw_uid, group=user.pw_gid, extra_groups=[])
log.settimeout(20)
try:
    while True:
        line = log.recv(4096).decode()
        print(line, flush=True)
        if "process up" in line:
            break
except TimeoutError:
    print("nothing", flush=True)
p.terminate()
sys.exit(p.wait())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("facility, number, ident", [("daemon", 3, "pgbouncer"), ("local5", 21, "mine")])
def test_syslog(make_pooler, facility, number, ident):
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no name spaces on this machine")
    p = make_pooler(start=False, syslog=1, syslog_facility=facility, syslog_ident=ident)
    p.write()
    out = subprocess.run(["unshare", "-m", sys.executable, "-c", SYSLOG_STAGE, server_user().pw_name, p.binary, "-q", p.ini_path],
                         capture_output=True, text=True, timeout=60, check=False, cwd=p.dir, env=p.env())
    assert out.returncode == 0, out.stderr
    lines = [line for line in out.stdout.splitlines() if "process up" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"<{number * 8 + 6}>") and f" {ident}[" in lines[0], lines[0]


def test_no_syslog_unless_asked(make_pooler):
    p = make_pooler(syslog=0)
    assert p.console().config("syslog") == "0"
    p.reload(syslog=1)
    assert p.console().config("syslog") == "1"
    assert p.client().one("SELECT 1") == "1"


# ---- of one user or database

@pytest.mark.newer
@pytest.mark.parametrize("user, limit", [("u_trust", 1), ("postgres", 3)])
def test_pool_size_of_a_user(make_pooler, user, limit):
    p = make_pooler(default_pool_size=3, users={"u_trust": "pool_size=1"}, query_wait_timeout=0)
    clients = [p.client(user=user) for _ in range(4)]
    for c in clients:
        c.send(wire.query("BEGIN"))
    con = p.console()
    wait_until(lambda: con.pool(user=user)["sv_active"] == limit and con.pool(user=user)["cl_waiting"] == 4 - limit)


@pytest.mark.newer
@pytest.mark.parametrize("user, more", [("u_trust", 2), ("postgres", 0)])
def test_reserve_pool_size_of_a_user(make_pooler, user, more):
    p = make_pooler(default_pool_size=1, reserve_pool_timeout=0.2, users={"u_trust": "reserve_pool_size=2"}, query_wait_timeout=0)
    clients = [p.client(user=user) for _ in range(4)]
    for c in clients:
        c.send(wire.query("BEGIN"))
    con = p.console()
    wait_until(lambda: con.pool(user=user)["sv_active"] == 1 + more)
    assert ("taking connection from reserve_pool" in p.log()) == bool(more)


@pytest.mark.newer
@pytest.mark.parametrize("key, where", [("max_user_client_connections", "user"), ("max_db_client_connections", "database")])
def test_client_caps_of_one_line(make_pooler, pg, key, where):
    users = {"u_trust": f"{key}=1"} if where == "user" else {}
    databases = {"p0": pg.line("p0", **({key: 1} if where == "database" else {})), "p1": pg.line("p1")}
    p = make_pooler(users=users, databases=databases)
    first = p.client("p0", "u_trust")
    with pytest.raises(wire.ServerError, match=key):
        p.client("p0", "u_trust")
    other = ("p0", "postgres") if where == "user" else ("p1", "u_trust")
    assert [p.client(*other).one("SELECT 1") for _ in range(2)] == ["1", "1"]
    first.close()
    wait_until(lambda: not [r for r in p.console().clients("p0") if r["user"] == "u_trust"])
    assert p.client("p0", "u_trust").one("SELECT 1") == "1"


# ---- observation

@pytest.mark.poolwise
@pytest.mark.parametrize("on", [0, 1])
def test_query_observation(make_pooler, on):
    p = make_pooler(query_observation=on)
    p.client().ok("SELECT 1")
    assert len(p.console().show("QUERIES")) == on


@pytest.mark.poolwise
@pytest.mark.parametrize("most", [2, 100])
def test_max_queries_observed(make_pooler, most):
    p = make_pooler(max_queries_observed=most, worker_threads=1)
    c = p.client()
    for sql in ("SELECT 1", "SELECT 1, 2", "SELECT 1 AS a, 2 AS b", "SELECT now()", "SHOW work_mem"):
        c.ok(sql)
    rows = p.console().show("QUERIES")
    named = [r for r in rows if r["query"] is not None]
    assert sum(int(r["calls"]) for r in rows) == 5
    assert len(named) == (5 if most == 100 else 2)


def test_free_port_is_used(make_pooler):
    """listen_port: the socket's name and the TCP port."""
    port = free_port()
    p = make_pooler(listen_port=port)
    assert os.path.exists(os.path.join(p.dir, f".s.PGSQL.{port}"))
    assert p.client().one("SELECT 1") == "1" and p.client(unix=True).one("SELECT 1") == "1"
