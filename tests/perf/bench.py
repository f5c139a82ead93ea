# SPDX-License-Identifier: ISC
"""What the measurements share: start a server that does no work, a contestant in front of it, and load.

Everything binds to 127.0.0.1 on free ports and lives in one temporary folder; whatever was started is ended."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

CPUS = os.cpu_count() or 1
INI = """[databases]
bench = host=127.0.0.1 port={backend} {to}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {dir}/users.txt
admin_users = bench
pool_mode = transaction
max_client_conn = 20000
logfile = {dir}/log
pidfile = {dir}/pid
log_connections = 0
log_disconnections = 0
log_stats = 0
"""


TOOLS = ("nullpg", "relay", "pgload", "pgbulk", "heapcount.so")
PGBOUNCER = "/usr/sbin/pgbouncer"
OWN_FDS = 600  # of a process, beside its clients


class Failed(Exception):
    """Something did not start or did not answer; the text says what."""


class Timeout(Failed):
    pass


def can_pin():
    return CPUS > 1 and shutil.which("taskset") is not None


def pinned(cpus, command):
    """cpus: None for all of them, or taskset's list."""
    return command if cpus is None or not can_pin() else ["taskset", "-c", str(cpus), *command]


def as_nobody(command):
    """Poolers refuse to run as root; what they write lies in a folder that all may write."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command] if os.geteuid() == 0 else command


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        if process.poll() is not None:
            raise Failed(f"{process.args} ended with status {process.returncode}")
        time.sleep(0.02)
    raise Timeout(f"nothing listens on port {port}")


def most_clients(wanted):
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - OWN_FDS)


def cpu_seconds(pid):
    """User and system time of all threads of a process."""
    ns = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has ended
            ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return ns / 1e9


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


class Bench:
    """A context: the tools of `build` (meson's build folder) and a temporary folder."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.tools = self.build / "tests" / "perf"
        self.pooler = self.build / "pooler" / "pooler"
        missing = [str(p) for p in (self.pooler, *(self.tools / t for t in TOOLS)) if not p.exists()]
        if missing:
            raise Failed(f"not built: {', '.join(missing)} (hint: ninja -C {build})")
        self.processes = []
        self.warm_up = 0.3

    def __enter__(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.soft_limit = soft
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="poolwise-perf-"))
        self.dir.chmod(0o777)
        (self.dir / "users.txt").write_text('"bench" "bench"\n', encoding="ascii")
        return self

    def __exit__(self, *_):
        for p in self.processes:
            self.stop(p, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.soft_limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    # ---- processes ----

    def spawn(self, command):
        with open(self.dir / "output", "ab") as log:
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(p)
        return p

    def stop(self, process, how=signal.SIGTERM, seconds=60):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    @contextlib.contextmanager
    def running(self, command, port):
        p = self.spawn(command)
        try:
            wait_for_port(port, p)
            yield p
        finally:
            self.stop(p, signal.SIGKILL)

    @contextlib.contextmanager
    def nullpg(self, cpus=None):
        port = free_port()
        with self.running(pinned(cpus, [str(self.tools / "nullpg"), str(port)]), port):
            yield port

    @contextlib.contextmanager
    def postgres(self, cpus=None, **settings):
        """A real PostgreSQL with these settings, as an unprivileged user: support.postgres.Postgres."""
        try:
            from support.postgres import Postgres
            from support.util import server_user
        except ImportError as why:
            raise Failed(f"{why} (hint: apt-get install -y python3-psycopg)") from why
        directory = self.dir / "postgres"
        directory.mkdir()
        if os.geteuid() == 0:
            os.chown(directory, server_user().pw_uid, server_user().pw_gid)
        server = Postgres(str(directory))
        try:
            server.create(settings=settings)
            if cpus is not None and can_pin():
                postmaster = (directory / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0]
                subprocess.run(["taskset", "-acp", str(cpus), postmaster], stdout=subprocess.DEVNULL, check=True)
            yield server
        finally:
            server.destroy()

    def relay_command(self, port, backend):
        return [str(self.tools / "relay"), str(port), str(backend)]

    def pooler_command(self, port, backend, binary=None, to="dbname=bench user=bench", **settings):
        """`settings` are lines of the ini file; the binary is our own or a PgBouncer-compatible one. Database bench is
        `to` on port `backend`."""
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        path = self.dir / f"pooler-{port}.ini"
        path.write_text(INI.format(backend=backend, to=to, port=port, dir=self.dir) + lines, encoding="ascii")
        for name in ("log", "pid"):
            (self.dir / name).unlink(missing_ok=True)
        return [str(binary or self.pooler), str(path)]

    @contextlib.contextmanager
    def contestant(self, name, backend, cpus=None, binary=None, wrap=(), **settings):
        """What stands between the clients and port `backend`: (process, port). `relay`, or a pooler: our own or `binary`."""
        port = free_port()
        if name == "relay":
            command = [*wrap, *self.relay_command(port, backend)]
        else:
            command = as_nobody([*wrap, *self.pooler_command(port, backend, binary, **settings)])
        with self.running(pinned(cpus, command), port) as process:
            yield process, port

    @contextlib.contextmanager
    def our_pooler(self, cpus=None, backend_cpus=None, wrap=(), **settings):
        """Our pooler before a nullpg: (process, port). `wrap` is a command in front of it, such as valgrind; it is
        asked to end, so that the wrapper can write what it knows."""
        port = free_port()
        with self.nullpg(backend_cpus) as backend:
            command = as_nobody([*wrap, *self.pooler_command(port, backend, **settings)])
            p = self.spawn(pinned(cpus, command))
            try:
                wait_for_port(port, p)
                yield p, port
            finally:
                self.stop(p)

    # ---- load ----

    def bulk(self, port, query, size=0, message=0, target=None, cpus=None, user="bench", database="bench"):
        """One query whose result is thrown away, or COPY FROM STDIN of `size` bytes in messages of `message` bytes."""
        command = [str(self.tools / "pgbulk"), "-p", str(port), "-q", query, "-U", user, "-d", database]
        command += ["-b", str(size), "-m", str(message)] if size else []
        command += ["-P", str(target)] if target else []
        r = subprocess.run(pinned(cpus, command), capture_output=True, text=True, check=False)
        if r.returncode:
            raise Failed(f"{' '.join(command)}: {r.stderr.strip()}")
        return json.loads(r.stdout)

    def load(self, port, mode="simple", clients=64, seconds=None, count=None, target=None, cpus=None, check=True, password=None):
        command = [str(self.tools / "pgload"), "-p", str(port), "-M", mode, "-c", str(clients)]
        command += ["-W", password] if password else []
        command += ["-T", str(seconds), "-w", str(self.warm_up)] if seconds else ["-n", str(count)]
        if target:
            command += ["-P", str(target)]
        r = subprocess.run(pinned(cpus, command), capture_output=True, text=True, check=False)
        if not r.stdout:
            raise Failed(f"{' '.join(command)}: {r.stderr.strip()}")
        result = json.loads(r.stdout)
        if check and result["errors"]:
            log = self.dir / "log"
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
            raise Failed(f"{' '.join(command)}: {result['errors']} errors, the first: {r.stderr.strip()}\n{said}")
        return result


# ---- TLS ----


def key_and_certificate(bench):
    """Settings with which a pooler demands TLS from its clients."""
    key, cert = bench.dir / "key.pem", bench.dir / "cert.pem"
    if not key.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out", str(cert),
                        "-subj", "/CN=bench", "-days", "2"], stderr=subprocess.DEVNULL, check=True)
    with contextlib.suppress(PermissionError):
        shutil.chown(key, "nobody")
    key.chmod(0o600)
    return {"client_tls_sslmode": "require", "client_tls_key_file": key, "client_tls_cert_file": cert}


# ---- the admin console: a simple query over a raw socket, so that no driver is needed ----


def _messages(sock):
    data = b""
    while True:
        while len(data) < 5 or len(data) < 1 + int.from_bytes(data[1:5], "big"):
            more = sock.recv(65536)
            if not more:
                raise Failed("the console closed the connection")
            data += more
        size = 1 + int.from_bytes(data[1:5], "big")
        yield data[:1], data[5:size]
        data = data[size:]


def console(port, command):
    """Rows of a SHOW command as dictionaries."""
    packet = b"\0\3\0\0user\0bench\0database\0pgbouncer\0\0"
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall((len(packet) + 4).to_bytes(4, "big") + packet)
        messages = _messages(sock)
        for kind, body in messages:
            if kind == b"E":
                raise Failed(f"console: {body!r}")
            if kind == b"Z":
                break
        query = command.encode() + b"\0"
        sock.sendall(b"Q" + (len(query) + 4).to_bytes(4, "big") + query)
        names, rows = [], []
        for kind, body in messages:
            if kind == b"E":
                raise Failed(f"{command}: {body!r}")
            if kind == b"T":
                at = 2
                for _ in range(int.from_bytes(body[:2], "big")):
                    end = body.index(b"\0", at)
                    names.append(body[at:end].decode())
                    at = end + 19
            elif kind == b"D":
                row, at = [], 2
                for _ in names:
                    size = int.from_bytes(body[at:at + 4], "big", signed=True)
                    row.append(None if size < 0 else body[at + 4:at + 4 + size].decode())
                    at += 4 + max(size, 0)
                rows.append(dict(zip(names, row)))
            elif kind == b"Z":
                return rows
    raise Failed(f"{command}: no answer")


# ---- output ----


def table(columns, rows):
    """A Markdown table; numbers to the right."""
    def line(cells):
        return "| " + " | ".join(str(c) for c in cells) + " |"
    numeric = [all(re.fullmatch(r"[-\d.,%x]*", str(r[i])) for r in rows) for i in range(len(columns))]
    return "\n".join([line(columns), line("---:" if n else "---" for n in numeric), *(line(r) for r in rows)])
