# SPDX-License-Identifier: ISC
"""One pooler process with an ini made from keyword arguments."""
import os
import re
import shutil
import signal
import subprocess

import psycopg
import pytest

from . import wire
from .util import DEADLINE, free_port, run_as, server_user, wait_until

SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion .* failed")


def refused(pooler, user, password=None, database="p0", **how):
    """What a client is told whose login must be refused."""
    with pytest.raises(wire.ServerError) as e:
        pooler.client(database, user, password, **how)
    assert (e.value.severity, e.value.code) == ("FATAL", "08P01")
    return e.value.message


class Console:
    """The admin console over the simple protocol."""

    def __init__(self, conn):
        self.conn = conn

    def run(self, command, deadline=None):
        """The whole Result of a command; errors are in it."""
        return self.conn.query(command, deadline)

    def do(self, command, deadline=None):
        """A command that must succeed; its tag."""
        result = self.run(command, deadline)
        if result.errors:
            raise wire.ServerError(result.errors[0])
        return result.tags[0]

    def show(self, what, deadline=None):
        """The rows of SHOW `what`, each a dict of texts."""
        result = self.run(f"SHOW {what}", deadline)
        if result.errors:
            raise wire.ServerError(result.errors[0])
        return result.dicts()

    def columns(self, what):
        return self.run(f"SHOW {what}").columns

    def config(self, key):
        return {r["key"]: r["value"] for r in self.show("CONFIG")}[key]

    def pool(self, database="p0", user=None):
        """The row of SHOW POOLS with its numbers as int; None when there is no such pool."""
        for row in self.show("POOLS"):
            if row["database"] == database and user in (None, row["user"]):
                return {k: int(v) if v is not None and re.fullmatch(r"-?\d+", v) else v for k, v in row.items()}
        return None

    def stats(self, database="p0"):
        for row in self.show("STATS"):
            if row["database"] == database:
                return {k: v if k == "database" else int(v) for k, v in row.items()}
        return None

    def servers(self, database="p0"):
        return [r for r in self.show("SERVERS") if r["database"] == database]

    def clients(self, database="p0"):
        return [r for r in self.show("CLIENTS") if r["database"] == database]

    def close(self):
        self.conn.close()


class Pooler:
    """`databases`, `users` map names to lines; every other keyword is a setting."""

    def __init__(self, binary, directory, postgres, databases=None, users=None, auth_file=None, extra="", **settings):
        self.binary = binary
        self.dir = directory
        self.pg = postgres
        self.user = server_user()
        self.port = settings.pop("listen_port", None) or free_port()
        self.logfile = os.path.join(directory, "pooler.log")
        self.stderr_path = os.path.join(directory, "stderr")
        self.ini_path = os.path.join(directory, "pooler.ini")
        self.auth_path = os.path.join(directory, "userlist.txt")
        if databases is None:
            databases = {d: postgres.line(d) for d in ("p0", "p1", "p2")}
        self.databases = databases
        self.users = users or {}
        self.extra = extra
        self.auth = auth_file if auth_file is not None else {
            n: "" for n in ("postgres", "admin", "stats", "u_trust", "u_plain", "u_md5", "u_scram")}
        self.settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": directory,
            "auth_type": "trust", "auth_file": self.auth_path, "admin_users": "admin", "stats_users": "stats",
            "logfile": self.logfile, "pool_mode": "transaction", "log_stats": "0",
            "server_tls_sslmode": "disable", "max_client_conn": "300",
        }
        self.settings.update({k: v for k, v in settings.items() if v is not None})
        self.proc = None
        self.conns = []
        self.expect_exit = (0,)

    # --- files

    def write(self):
        lines = ["[databases]"] + [f"{k} = {v}" for k, v in self.databases.items()]
        if self.users:
            lines += ["", "[users]"] + [f"{k} = {v}" for k, v in self.users.items()]
        lines += ["", "[pgbouncer]"] + [f"{k} = {v}" for k, v in self.settings.items()]
        self._put(self.ini_path, "\n".join(lines) + "\n" + self.extra)
        self.write_auth()

    def write_auth(self):
        text = self.auth if isinstance(self.auth, str) else "".join(
            '"%s" "%s"\n' % (k.replace('"', '""'), v.replace('"', '""')) for k, v in self.auth.items())
        self._put(self.auth_path, text)

    def _put(self, path, text):
        tmp = path + ".new"
        with open(tmp, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(tmp, 0o644)
        os.replace(tmp, path)

    def log(self):
        try:
            with open(self.logfile, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stderr(self):
        try:
            with open(self.stderr_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, deadline=None, count=1):
        """Waits until the log holds `count` matches of a regular expression; all matches."""
        return wait_until(lambda: (lambda m: m if len(m) >= count else None)(re.findall(pattern, self.log())),
                          deadline, f"log line {pattern!r} in\n{self.log()[-2000:]}", every=0.02)

    # --- the process

    def env(self):
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        env.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=66")
        return env

    def spawn(self, *args, as_root=False):
        """Starts the binary with these arguments; does not wait."""
        who = {} if as_root else run_as(self.user)
        with open(self.stderr_path, "ab") as err:
            self.proc = subprocess.Popen([self.binary, *args], stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                         cwd=self.dir, env=self.env(), **who)
        return self.proc

    def start(self, *args):
        self.write()
        self.spawn("-q", *args, self.ini_path)
        self.wait_up()
        return self

    def wait_up(self):
        def up():
            if self.proc.poll() is not None:
                raise AssertionError(f"pooler exited with {self.proc.returncode}:\n{self.stderr()}\n{self.log()}")
            return self.try_connect() and (not self.settings.get("logfile") or "process up" in self.log())
        wait_until(up, what="pooler listens")

    def try_connect(self):
        try:
            if self.settings.get("listen_addr"):
                host = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(self.settings["listen_addr"],
                                                                     self.settings["listen_addr"].split(",")[0].strip())
                wire.Conn(self.port, host, deadline=2).close()
            else:
                wire.Conn(unix=self.socket_path(), deadline=2).close()
            return True
        except OSError:
            return False

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def signal(self, signum):
        self.proc.send_signal(signum)

    def wait_exit(self, deadline=None):
        try:
            return self.proc.wait(DEADLINE if deadline is None else deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"pooler did not exit; log:\n{self.log()[-3000:]}") from None

    def stop(self):
        """Orderly end of a test: clients away, SIGTERM, and SIGTERM again if somebody still hangs on."""
        for c in self.conns:
            try:
                c.close()
            except Exception:  # a connection that the test broke on purpose
                pass
        self.conns = []
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self.proc.wait(1)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
            self.wait_exit()

    def kill(self):
        if self.running():
            self.proc.kill()
            self.proc.wait()

    def sanitizer_report(self):
        text = self.stderr()
        return text if SANITIZER.search(text) else None

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- connections (all are closed at the end of the test)

    def socket_path(self):
        return os.path.join(self.settings.get("unix_socket_dir") or "/tmp", f".s.PGSQL.{self.port}")

    def keep(self, conn):
        self.conns.append(conn)
        return conn

    def raw(self, host="127.0.0.1", unix=False, deadline=None):
        """A socket that has said nothing yet."""
        if unix:
            return self.keep(wire.Conn(unix=self.socket_path(), deadline=deadline))
        return self.keep(wire.Conn(self.port, host, deadline=deadline))

    def client(self, database="p0", user="postgres", password=None, host="127.0.0.1", unix=False, **params):
        """A logged-in raw client."""
        return self.raw(host, unix).login(user, database, password, **params)

    def tls_client(self, database="p0", user="postgres", password=None, host="127.0.0.1", context=None, **params):
        """A logged-in raw client inside TLS."""
        return self.raw(host).tls(context).login(user, database, password, **params)

    def psycopg(self, database="p0", user="postgres", autocommit=True, **more):
        more.setdefault("prepare_threshold", None)
        return self.keep(psycopg.connect(host=more.pop("host", "127.0.0.1"), port=self.port, dbname=database, user=user,
                                         autocommit=autocommit, connect_timeout=int(DEADLINE), **more))

    def dsn(self, database="p0", user="postgres"):
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user}"

    def console(self, user="admin", database="pgbouncer"):
        return Console(self.client(database, user))

    def console_tls(self, user="admin", database="pgbouncer"):
        return Console(self.tls_client(database, user))

    def reload(self, console=None, **settings):
        """Changes settings in the file and RELOADs."""
        self.settings.update(settings)
        self.write()
        (console or self.console()).do("RELOAD")
