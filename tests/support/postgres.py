# SPDX-License-Identifier: ISC
"""A private PostgreSQL server in a temporary directory."""
import glob
import os
import shutil
import subprocess

import psycopg

from .util import free_port, have_ipv6, run_as, server_user, wait_until
from .wire import md5_secret, scram_secret

USERS = {
    # name: (password, secret stored in the server, pg_hba method)
    "u_trust": (None, None, "trust"),
    "u_plain": ("plain pass", scram_secret("plain pass"), "password"),
    "u_md5": ("md5 pass", md5_secret("u_md5", "md5 pass"), "md5"),
    "u_scram": ("scram pass", scram_secret("scram pass"), "scram-sha-256"),
}
DATABASES = ["p0", "p1", "p2"]


def bindir():
    """The newest PostgreSQL of Debian's packages, 15 first."""
    for pattern in ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/*/bin"):
        found = sorted(glob.glob(pattern))
        if found:
            return found[-1]
    raise RuntimeError("no PostgreSQL server under /usr/lib/postgresql: apt-get install postgresql-15")


class Postgres:
    def __init__(self, directory, programs=None):
        """`programs`: folder of initdb and pg_ctl, of another version than Debian's."""
        self.programs = programs or bindir()
        self.user = server_user()
        self.dir = directory
        self.data = os.path.join(directory, "data")
        self.port = free_port()
        self.log = os.path.join(directory, "postgres.log")
        self.conn = None

    def _run(self, *cmd):
        subprocess.run(cmd, check=True, cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": self.dir}, **run_as(self.user))

    def create(self, tls=None, settings=None):
        """`tls`: settings that make it speak TLS, and the databases that ask for it; `settings`: others."""
        self._run(f"{self.programs}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale=C.UTF-8")
        listen = "127.0.0.1,::1" if have_ipv6() else "127.0.0.1"
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write(f"listen_addresses = '{listen}'\nport = {self.port}\nunix_socket_directories = '{self.dir}'\n"
                    "max_connections = 200\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
                    "shared_buffers = 64MB\nlog_connections = off\ntimezone = 'UTC'\nautovacuum = off\n")
            f.write("".join(f"{k} = '{v}'\n" for k, v in {**(tls or {}), **(settings or {})}.items()))
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as f:
            if tls:
                f.write("hostnossl p1 all 0.0.0.0/0 reject\nhostssl p2 all 0.0.0.0/0 reject\nhostssl all u_cert 0.0.0.0/0 cert\n")
            for name, (_, _, method) in USERS.items():
                f.write(f"local all {name} {method}\nhost all {name} 127.0.0.1/32 {method}\nhost all {name} ::1/128 {method}\n")
            f.write("local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n")
        self.start()
        for name, (_, secret, _) in USERS.items():
            self.sql(f"CREATE ROLE {name} LOGIN" + (f" PASSWORD '{secret}'" if secret else ""))
        if tls:
            self.sql("CREATE ROLE u_cert LOGIN")
        for name in DATABASES:
            self.sql(f"CREATE DATABASE {name}")
        return self

    def start(self):
        self._run(f"{self.programs}/pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "60", "start")
        self.conn = psycopg.connect(self.dsn("postgres"), autocommit=True, prepare_threshold=None)

    def stop(self, mode="fast"):
        if self.conn:
            self.conn.close()
            self.conn = None
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            self._run(f"{self.programs}/pg_ctl", "-D", self.data, "-w", "-t", "60", "-m", mode, "stop")

    def destroy(self):
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def dsn(self, database="p0", user="postgres"):
        return f"host={self.dir} port={self.port} dbname={database} user={user}"

    def line(self, database="p0", **more):
        """A [databases] value that leads to `database` over TCP."""
        values = {"host": "127.0.0.1", "port": self.port, "dbname": database, **more}
        return " ".join(f"{k}={v}" for k, v in values.items())

    def sql(self, text, *args):
        """Runs a statement on the direct connection; its rows, if any."""
        cur = self.conn.execute(text, args or None)
        return cur.fetchall() if cur.description else None

    def one(self, text, *args):
        return self.sql(text, *args)[0][0]

    def connect(self, database="p0", user="postgres"):
        return psycopg.connect(self.dsn(database, user), autocommit=True, prepare_threshold=None)

    def backends(self, database="p0", user=None):
        """Process ids of the clients of a database, oldest first."""
        rows = self.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
                        " AND (%s::text IS NULL OR usename = %s) ORDER BY backend_start", database, user, user)
        return [r[0] for r in rows]

    def no_backends(self):
        """Waits until no test database has a client: the next test starts from nothing."""
        def gone():
            return not self.sql("SELECT 1 FROM pg_stat_activity WHERE datname = ANY(%s)"
                                " AND backend_type = 'client backend'", DATABASES)
        try:
            wait_until(gone, 5)
        except AssertionError:
            self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", DATABASES)
            wait_until(gone, 20)
