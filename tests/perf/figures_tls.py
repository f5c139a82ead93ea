# SPDX-License-Identifier: ISC
"""Figures about TLS: the CPU of a login with a full handshake, without and with a session ticket, and with a resumed one."""
import contextlib
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess

from bench import CPUS, Failed, table

STARTUP = b"\0\3\0\0user\0bench\0database\0bench\0\0"
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
KEYS = {"ECDSA P-256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "RSA 2048": ("rsa:2048",)}
VERSIONS = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}
LOGINS, ROUNDS_FOR_ONE = 40, 4


def certificate(bench, options):
    files = {"client_tls_key_file": bench.dir / "tls.key", "client_tls_cert_file": bench.dir / "tls.crt"}
    key, crt = files.values()
    subprocess.run(["openssl", "req", "-x509", "-newkey", *options, "-nodes", "-keyout", str(key), "-out", str(crt), "-subj", "/CN=bench", "-days", "2"],
                   stderr=subprocess.DEVNULL, check=True)
    with contextlib.suppress(PermissionError):
        shutil.chown(key, "nobody")
    return {"client_tls_sslmode": "require", **files}


def log_in(port, context, session):
    """The session as it is after the login, by when a ticket has come."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(SSL_REQUEST)
        if s.recv(1) != b"S":
            raise Failed("TLS was refused")
        with context.wrap_socket(s, session=session) as t:
            t.sendall((len(STARTUP) + 4).to_bytes(4, "big") + STARTUP)
            got = b""
            while not got.endswith(b"Z\0\0\0\5I"):
                piece = t.recv(4096)
                if not piece:
                    raise Failed(f"the login failed: {got!r}")
                got += piece
            if t.session_reused != (session is not None):
                raise Failed("a session was not resumed" if session else "a session was resumed that nobody gave")
            return t.session


def cpu_us(pid):
    return sum(int(f.read_text(encoding="ascii").split()[0]) for f in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1000


def logins(p, port, context, resume):
    """CPU of the pooler for each login, in microseconds."""
    session = log_in(port, context, None) if resume else None
    before = cpu_us(p.pid)
    for _ in range(LOGINS):
        session = log_in(port, context, session if resume else None)
    return (cpu_us(p.pid) - before) / LOGINS


def figure_resume(bench, args):
    """Medians; the second and third column as ratios to the first of the same round."""
    own, rows = ("0", str(CPUS - 1)) if CPUS > 1 else (None, None), []
    for key, options in KEYS.items():
        files = certificate(bench, options)
        for name, version in VERSIONS.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            with bench.our_pooler(*own, worker_threads=1, client_tls_session_tickets=0, **files) as without, \
                    bench.our_pooler(*own, worker_threads=1, client_tls_session_tickets=1, **files) as with_tickets:
                ways = ((without, False), (with_tickets, False), (with_tickets, True))
                measure = [[logins(*pooler, context, resume) for pooler, resume in ways] for _ in range(args.rounds * ROUNDS_FOR_ONE)]
            ratios = [statistics.median(m[i] / m[0] for m in measure) for i in (1, 2)]
            rows.append([f"{key}, TLS {name}", f"{statistics.median(m[0] for m in measure):.0f}", *(f"{r:.2f}" for r in ratios)])
    return table(["key", "full, no ticket: CPU us a login", "full, with a ticket", "resumed"], rows)


FIGURES = {"resume": ("TLS handshakes, full and resumed", figure_resume)}
