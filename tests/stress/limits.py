# SPDX-License-Identifier: ISC
"""Limits under stress: pools of several users and databases fight over max_db_connections, max_user_connections and the reserve, while a gate
between pooler and PostgreSQL counts the connections, refuses logins and cuts connections at random. Clients count themselves."""
import contextlib
import random
import selectors
import socket
import struct
import threading
import time

from support import wire
from support.util import DEADLINE

USERS = ["u_one", "u_two", "u_three"]
DATABASES = ["p0", "p1"]


class Link:
    """One connection through the gate."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.who = None # (user, database) once the start-up packet is here
        self.head = b""


class Gate:
    """`with Gate(pg_port, limits, seed)`: a thread that passes bytes. `limits`: function of the list of (user, database) that are open -> problem or None."""

    def __init__(self, target, check, seed):
        self.target, self.check = target, check
        self.rng = random.Random(seed)
        self.refuse = self.cut = 0.0 # chances: of a login; of a connection, each time something passes
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.sel = selectors.DefaultSelector()
        self.links, self.problems = set(), []
        self.seen = self.refused = self.cuts = self.most = 0
        self.over = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.listener.setblocking(False)
        self.sel.register(self.listener, selectors.EVENT_READ, None)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        self.thread.join(10)
        for link in list(self.links):
            self.drop(link)
        self.listener.close()

    def run(self):
        while not self.over:
            for key, _ in self.sel.select(0.05):
                if key.data is None:
                    self.accept()
                elif key.data[0] in self.links:
                    self.passes(*key.data)

    def accept(self):
        try:
            near, _ = self.listener.accept()
        except BlockingIOError:
            return
        link = Link(near, None)
        self.links.add(link)
        self.sel.register(near, selectors.EVENT_READ, (link, True))

    def drop(self, link, reset=False):
        self.links.discard(link)
        for s in (link.near, link.far):
            if not s:
                continue
            try:
                self.sel.unregister(s)
            except (KeyError, ValueError):
                pass
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    def begin(self, link):
        """Its start-up packet is here: this counts as a connection."""
        fields = link.head[8:].split(b"\0")
        names = dict(zip(fields[0::2], fields[1::2]))
        link.who = names[b"user"].decode(), names[b"database"].decode()
        self.seen += 1
        there = [x.who for x in self.links if x.who and is_open(x.near)]
        self.most = max(self.most, len(there))
        problem = self.check(there)
        if problem:
            self.problems.append(f"{time.strftime('%H:%M:%S')} {problem}: {sorted(there)}")

    def passes(self, link, from_near):
        source = link.near if from_near else link.far
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.drop(link)
            return
        if not link.who:
            link.head += data
            if len(link.head) < 8 or len(link.head) < struct.unpack_from("!i", link.head)[0]:
                return
            cancels = struct.unpack_from("!i", link.head, 4)[0] == 80877102
            if not cancels:
                self.begin(link)
            if self.rng.random() < self.refuse:
                self.refused += 1
                if self.rng.random() < 0.5 and not cancels:
                    link.near.sendall(wire.message("E", b"SFATAL\0VFATAL\0C53300\0Mnot now\0\0"))
                self.drop(link)
                return
            link.far = socket.create_connection(("127.0.0.1", self.target))
            self.sel.register(link.far, selectors.EVENT_READ, (link, False))
            data, link.head = link.head, b""
            link.who = link.who or ("", "")
        elif self.rng.random() < self.cut:
            self.cuts += 1
            self.drop(link, self.rng.random() < 0.5)
            return
        try:
            (link.far if from_near else link.near).sendall(data)
        except OSError:
            self.drop(link)


def check_of(pool, reserve, per_db, per_user):
    """What the gate holds against the open connections."""
    def check(there):
        for d in DATABASES:
            n = sum(1 for w in there if w[1] == d)
            if n > per_db:
                return f"{n} connections to {d}, {per_db} allowed"
        for u in USERS:
            n = sum(1 for w in there if w[0] == u)
            if n > per_user:
                return f"{n} connections of {u}, {per_user} allowed"
        for w in set(there):
            if w[0] in USERS and there.count(w) > pool + reserve:
                return f"{there.count(w)} connections in {w}, {pool} + {reserve} allowed"
        return None
    return check


def is_open(sock):
    """The other end has not closed it, whether or not its last bytes were read here."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1 # ESTABLISHED
    except OSError:
        return False


class Crowd:
    """The clients that are logged in."""

    def __init__(self, most, most_user, most_db):
        self.most = {"all": most}
        self.most.update({u: most_user for u in USERS})
        self.most.update({d: most_db for d in DATABASES})
        self.present = {}
        self.lock = threading.Lock()
        self.problems, self.refused, self.peak = [], 0, 0

    def enter(self, sock, user, database):
        with self.lock:
            self.present[sock] = ("all", user, database)
            there = [who for s, who in self.present.items() if is_open(s)]
            for what in ("all", user, database):
                n = sum(1 for who in there if what in who)
                if n > self.most[what]:
                    self.problems.append(f"{n} clients of {what}, {self.most[what]} allowed")
            self.peak = max(self.peak, len(there))

    def leave(self, sock):
        with self.lock:
            del self.present[sock]


class Visitor:
    """Logs in as somebody, asks a little, goes; again and again."""

    def __init__(self, pooler, crowd, seed, until):
        self.pooler, self.crowd, self.until = pooler, crowd, until
        self.rng = random.Random(seed)
        self.served = self.failures = 0
        self.problem = None
        self.thread = threading.Thread(target=self.live, daemon=True)

    def live(self):
        while not self.until():
            try:
                self.visit(self.rng.choice(USERS), self.rng.choice(DATABASES))
            except (wire.Closed, wire.ServerError, ConnectionError):
                self.failures += 1
            except Exception as e:  # pylint: disable=broad-except
                self.problem = f"{type(e).__name__}: {e}"
                return

    def visit(self, user, database):
        conn = wire.Conn(self.pooler.port)
        try:
            conn.login(user, database)
        except wire.ServerError:
            self.crowd.refused += 1
            conn.close()
            return
        self.crowd.enter(conn.sock, user, database)
        try:
            for _ in range(self.rng.randint(1, 6)):
                tag = f"{user}.{database}.{self.rng.random()}"
                how = self.rng.random()
                sql = f"SELECT '{tag}', current_user, current_database(), pg_sleep({self.rng.random() / 50 if how < 0.3 else 0})"
                if how > 0.8:
                    conn.ok("BEGIN")
                row = conn.ok(sql)[0]
                assert row[:3] == [tag, user, database], f"not mine: {row} to {sql}"
                if how > 0.8:
                    conn.ok("COMMIT")
                self.served += 1
        finally:
            self.crowd.leave(conn.sock)
            if self.rng.random() < 0.3:
                conn.reset()
            else:
                conn.close()


class Contest:
    """Random limits, those who fight over them, and who counts."""

    def __init__(self, target, seed):
        rng = self.rng = random.Random(seed)
        self.seed = seed
        self.pool, self.reserve = rng.choice([1, 2, 3]), rng.choice([0, 1, 2])
        self.per_db, self.per_user = rng.choice([2, 3, 5]), rng.choice([2, 3, 4])
        self.clients = rng.choice([12, 20, 1000]), rng.choice([5, 8, 1000]), rng.choice([8, 12, 1000])
        self.workers = rng.choice([1, 2, 4])
        self.gate = Gate(target, check_of(self.pool, self.reserve, self.per_db, self.per_user), seed)
        self.crowd = Crowd(*self.clients)
        self.settings = {
            "databases": {d: f"host=127.0.0.1 port={self.gate.port} dbname={d}" for d in DATABASES}, "auth_file": {u: "" for u in USERS + ["admin"]},
            "default_pool_size": self.pool, "reserve_pool_size": self.reserve, "reserve_pool_timeout": rng.choice(["0.01", "1"]),
            "max_db_connections": self.per_db, "max_user_connections": self.per_user, "max_client_conn": self.clients[0],
            "max_user_client_connections": self.clients[1], "max_db_client_connections": self.clients[2], "worker_threads": self.workers,
            "server_login_retry": "0.1", "query_wait_timeout": 30, "server_check_delay": rng.choice([0, 30]), "io_engine": rng.choice(["auto", "epoll"])}

    def __str__(self):
        return (f"{self.workers} workers, pool {self.pool} + {self.reserve}, database {self.per_db}, user {self.per_user}, clients "
                + "/".join(str(n) for n in self.clients))

    def fight(self, pooler, seconds, visitors=24):
        """(who came, what was done, problems); in the last quarter nothing is broken."""
        end = time.monotonic() + seconds
        people = [Visitor(pooler, self.crowd, self.seed * 1000 + i, lambda: time.monotonic() > end) for i in range(visitors)]
        console = pooler.console()
        for p in people:
            p.thread.start()
        while time.monotonic() < end:
            time.sleep(self.rng.random() / 5)
            self.disturb(pooler, console, end - time.monotonic() < seconds / 4)
        self.gate.refuse = self.gate.cut = 0
        problems = []
        for p in people:
            p.thread.join(DEADLINE)
            if p.thread.is_alive():
                problems.append("a client hangs")
            if p.problem:
                problems.append(p.problem)
        done = {"connections": self.gate.seen, "refused": self.gate.refused, "cut": self.gate.cuts, "open at most": self.gate.most,
                "clients refused": self.crowd.refused, "clients at most": self.crowd.peak}
        return people, done, problems + self.gate.problems[:5] + self.crowd.problems[:5]

    def disturb(self, pooler, console, quiet):
        rng = self.rng
        self.gate.refuse, self.gate.cut = (0, 0) if quiet else (rng.choice([0, 0.1, 0.5]), rng.choice([0, 0.001, 0.02]))
        act = rng.randrange(8)
        if act == 0:
            console.do("RECONNECT")
        elif act == 1:
            pooler.reload(console, server_lifetime=rng.choice([0, 1, 3600]), server_idle_timeout=rng.choice([1, 600]), server_round_robin=rng.choice([0, 1]))
        elif act == 2 and not quiet:
            self.gate.cut = 0.3
        elif act == 3 and not quiet:
            console.do(f"KILL {rng.choice(DATABASES)}")
            for d in DATABASES:
                console.run(f"RESUME {d}")


@contextlib.contextmanager
def contest(pg, seed):
    for u in USERS:
        if not pg.one("SELECT count(*) FROM pg_roles WHERE rolname = %s", u):
            pg.sql(f"CREATE ROLE {u} LOGIN")
    c = Contest(pg.port, seed)
    with c.gate:
        yield c
