# SPDX-License-Identifier: ISC
"""TLS on both sides."""
import contextlib
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from support import wire
from support.tap import Tap, fake_line
from support.util import DEADLINE, wait_until

TLS13 = "TLSv1.3/TLS_AES_256_GCM_SHA384"


def context(certs=None, cert=None, key=None, verify=False, low=None, high=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if verify:
        c.load_verify_locations(certs.ca)
        c.check_hostname = True
        c.verify_mode = ssl.CERT_REQUIRED
    if cert:
        c.load_cert_chain(cert, key)
    if low:
        c.minimum_version = low
    if high:
        c.maximum_version = high
    return c


# ---- toward clients


def test_client_by_sslrequest(make_pooler, certs):
    p = make_pooler(**certs.client_settings())
    c = p.raw().tls(context(certs, verify=True), server_hostname="localhost").login("postgres", "p0")
    assert c.one("SELECT 1") == "1"
    assert p.console_tls().clients()[0]["tls"] == TLS13
    p.wait_log(rf"login attempt: db=p0 user=postgres tls={TLS13} replication=no")


def test_sslmode_disable_says_no(make_pooler, certs):
    p = make_pooler(**certs.client_settings(mode="disable"))
    c = p.raw()
    c.send(wire.SSL_REQUEST)
    assert c.recv_byte() == b"N"
    c.login("postgres", "p0")
    assert c.one("SELECT 1") == "1"
    assert p.console().clients()[0]["tls"] == ""


@pytest.mark.parametrize("mode", ["allow", "prefer"])
def test_clients_may_choose(make_pooler, certs, mode):
    p = make_pooler(**certs.client_settings(mode=mode))
    assert p.client().one("SELECT 1") == "1"
    assert p.tls_client().one("SELECT 2") == "2"
    assert sorted(r["tls"] for r in p.console().clients()) == ["", TLS13]


def test_require_refuses_clear_text(make_pooler, certs):
    p = make_pooler(**certs.client_settings())
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["M"] == "SSL required"
    unix = p.client(unix=True)  # nobody listens on a unix socket
    assert unix.one("SELECT 1") == "1"
    c = p.raw(unix=True)
    c.send(wire.SSL_REQUEST)
    assert c.recv_byte() == b"N"


def test_bytes_ahead_of_the_answer_are_refused(make_pooler, certs):
    p = make_pooler(**certs.client_settings(mode="prefer"))
    for request in (wire.SSL_REQUEST, wire.GSSENC_REQUEST):
        c = p.raw()
        c.send(request + wire.startup_packet({"user": "postgres", "database": "p0"}))
        assert "received unencrypted data after" in c.fatal()["M"]


def test_each_request_once(make_pooler, certs):
    p = make_pooler(**certs.client_settings(mode="prefer"))
    c = p.raw()
    c.send(wire.GSSENC_REQUEST)
    assert c.recv_byte() == b"N"
    c.tls()  # SSL after GSS is how libpq asks
    c.send(wire.SSL_REQUEST)
    assert c.fatal()["M"] == "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.0"
    c = p.raw()
    for _ in range(2):
        c.send(wire.GSSENC_REQUEST)
        got = c.recv_byte()
    assert got == b"E"


def test_direct_tls(make_pooler, certs):
    p = make_pooler(**certs.client_settings())
    c = p.raw().tls(direct=True).login("postgres", "p0")
    assert c.sock.selected_alpn_protocol() == "postgresql"
    assert c.one("SELECT 1") == "1"
    c = p.raw().tls(direct="no alpn")
    c.startup(user="postgres", database="p0")
    assert not c.until_closed().messages
    p.wait_log("closing because: received direct SSL connection request without ALPN")
    wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrong.check_hostname, wrong.verify_mode = False, ssl.CERT_NONE
    wrong.set_alpn_protocols(["http/1.1"])
    with pytest.raises(ssl.SSLError):
        p.raw().tls(wrong)


def test_direct_tls_without_tls(make_pooler):
    p = make_pooler()
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        p.raw().tls(direct=True)
    p.wait_log("closing because: received direct SSL connection request without SSL support")


def test_client_that_vanishes_in_the_handshake(make_pooler, certs):
    p = make_pooler(client_login_timeout=1, **certs.client_settings())
    c = p.raw()
    c.send(wire.SSL_REQUEST)
    assert c.recv_byte() == b"S"
    c.send(b"\x16\x03\x01\x00\xc8\x01")  # the beginning of a ClientHello
    half = p.raw()
    half.send(wire.SSL_REQUEST)
    assert half.recv_byte() == b"S"
    c.close()
    p.wait_log("closing because: client unexpected eof")
    wait_until(half.readable)  # client_login_timeout
    p.wait_log("closing because: client_login_timeout")
    t = p.tls_client()
    assert t.one("SELECT 1") == "1"
    t.sock.unwrap = None
    t.reset()
    wait_until(lambda: not p.console_tls().clients())
    assert "unexpected eof while" not in p.log() and "handshake error" not in p.log()


def test_garbage_inside_tls(make_pooler, certs):
    """A record that cannot be decrypted ends the connection, with the library's word in the log."""
    p = make_pooler(**certs.client_settings())
    c = p.tls_client()
    plain = c.sock.detach()
    raw = socket.socket(fileno=plain)
    raw.sendall(b"\x17\x03\x03\x00\x40" + b"x" * 64)
    raw.settimeout(c.deadline)
    while raw.recv(1000):
        pass
    raw.close()
    p.wait_log("closing because: decryption failed or bad record mac")


def test_no_tls_in_the_handshake(make_pooler, certs):
    p = make_pooler(**certs.client_settings())
    c = p.raw()
    c.send(wire.SSL_REQUEST)
    assert c.recv_byte() == b"S"
    c.send(b"GET / HTTP/1.1\r\n\r\n")
    c.sock.settimeout(c.deadline)
    with contextlib.suppress(ConnectionResetError):  # OpenSSL 3.5 leaves the rest of it unread
        while c.sock.recv(100):  # an alert, then the end
            pass
    p.wait_log("TLS handshake error: ")


# ---- client certificates


def cert_client(p, certs, name, user, **site):
    crt, key = certs.site(name, **site)
    return p.raw().tls(context(cert=crt, key=key)).login(user, "p0")


def test_auth_type_cert(make_pooler, certs, pg):
    p = make_pooler(auth_type="cert", **certs.client_settings(mode="verify-full"), auth_file={"alice": "", "bob": ""},
                    databases={"p0": pg.line("p0", user="postgres")})
    assert cert_client(p, certs, "c_alice", "alice", cn="alice").one("SELECT 1") == "1"
    assert cert_client(p, certs, "c_alt", "bob", cn="somebody", san="DNS:else,DNS:bob").one("SELECT 1") == "1"
    for name, user, site in (("c_alice", "bob", {"cn": "alice"}), ("c_upper", "alice", {"cn": "ALICE"}),
                             ("c_wild", "alice", {"cn": "*", "san": "DNS:*"}), ("c_eve", "eve", {"cn": "eve"})):
        with pytest.raises(wire.ServerError, match="certificate authentication failed"):
            cert_client(p, certs, name, user, **site)
    p.wait_log("TLS certificate name mismatch")


def test_verify_modes_want_a_certificate(make_pooler, certs):
    p = make_pooler(**certs.client_settings(mode="verify-ca"))
    with pytest.raises((ssl.SSLError, wire.Closed, OSError)):
        p.raw().tls().login("postgres", "p0")
    with pytest.raises((ssl.SSLError, wire.Closed, OSError)):
        cert_client(p, certs, "c_other", "postgres", cn="postgres", ca="other")
    p.wait_log("TLS handshake error: .*certificate", count=2)
    assert cert_client(p, certs, "c_alice", "postgres", cn="alice").one("SELECT 1") == "1"  # any name: the method is trust


def test_certificate_of_another_authority_is_refused_where_none_is_needed(make_pooler, certs):
    p = make_pooler(**certs.client_settings(mode="prefer"))
    assert p.tls_client().one("SELECT 1") == "1"
    with pytest.raises((ssl.SSLError, wire.Closed, OSError)):
        cert_client(p, certs, "c_other", "postgres", cn="postgres", ca="other")


@pytest.mark.parametrize("settings", [
    {"client_tls_sslmode": "require"}, {"client_tls_sslmode": "verify-full", "client_tls_ca_file": ""}])
def test_auth_type_cert_needs_verify_full(make_pooler, certs, settings):
    p = make_pooler(start=False, **{**certs.client_settings(), "auth_type": "cert", **settings})
    p.write()
    p.spawn(p.ini_path)
    assert p.wait_exit() == 1
    p.expect_exit = (1,)
    assert "auth_type=cert requires client_tls_" in p.stderr()


def test_rules_know_tls_and_certificates(make_pooler, certs, pg):
    """hostssl, hostnossl, and cert with a map of names."""
    p = make_pooler(start=False, auth_type="hba", **certs.client_settings(mode="prefer"), auth_file={"alice": "", "bob": "", "postgres": ""},
                    databases={"p0": pg.line("p0", user="postgres")})
    p.settings.update(auth_hba_file=f"{p.dir}/hba", auth_ident_file=f"{p.dir}/ident")
    p._put(p.settings["auth_hba_file"], "hostssl all alice 0.0.0.0/0 cert map=people\nhostssl all bob 0.0.0.0/0 reject\n"
           "hostnossl all bob 0.0.0.0/0 trust\nhost all postgres 0.0.0.0/0 trust\n")
    p._put(p.settings["auth_ident_file"], "people alice.example alice\n")
    p.start()
    assert cert_client(p, certs, "c_mapped", "alice", cn="alice.example").one("SELECT 1") == "1"
    with pytest.raises(wire.ServerError, match="certificate authentication failed"):
        cert_client(p, certs, "c_alice", "alice", cn="alice")
    p.wait_log("ident map: people does not have a match")
    with pytest.raises(wire.ServerError, match="certificate authentication failed"):
        p.tls_client(user="alice")
    p.wait_log("TLS client certificate required")
    with pytest.raises(wire.ServerError, match="no authentication method is found"):
        p.client(user="alice")
    assert p.client(user="bob").one("SELECT 1") == "1"
    with pytest.raises(wire.ServerError, match="login rejected"):
        p.tls_client(user="bob")


# ---- toward servers


@pytest.mark.parametrize("mode, tls", [("disable", False), ("allow", True), ("prefer", True), ("require", True),
                                       ("verify-ca", True), ("verify-full", True)])
def test_server_modes(make_pooler, certs, tls_pg, mode, tls):
    p = make_pooler(postgres=tls_pg, server_tls_sslmode=mode, server_tls_ca_file=certs.ca,
                    databases={"p0": tls_pg.line("p0")})
    c = p.client()
    assert c.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == ("t" if tls else "f")
    assert p.console().servers()[0]["tls"] == (TLS13 if tls else "")
    if tls:
        p.wait_log("SSL established: " + TLS13)
    else:
        assert "SSL established" not in p.log()


def test_server_without_tls(make_pooler, certs):
    p = make_pooler(server_tls_sslmode="prefer")
    assert p.client().one("SELECT 1") == "1"
    p = make_pooler(server_tls_sslmode="require", query_wait_timeout=1)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["M"] == "query_wait_timeout"
    assert "connect failed: server refused SSL" in p.log()


def test_unix_socket_to_server_is_plain(make_pooler, certs, tls_pg):
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require",
                    databases={"p0": f"host={tls_pg.dir} port={tls_pg.port}"})
    assert p.client().one("SELECT 1") == "1"
    assert p.console().servers()[0]["tls"] == ""


def verify_fails(p, pattern):
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["M"] == "query_wait_timeout"
    p.wait_log(pattern)


def test_server_certificate_is_verified(make_pooler, certs, tls_pg):
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="verify-ca", server_tls_ca_file=certs.other_ca, query_wait_timeout=1)
    verify_fails(p, "TLS handshake error: certificate verify failed: ")


def test_the_authorities_of_the_system(make_pooler, certs, tls_pg, monkeypatch):
    """Without server_tls_ca_file."""
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", certs.ca)
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="verify-ca")
    assert p.client().one("SELECT 1") == "1" and p.console().servers()[0]["tls"]
    monkeypatch.setenv("SSL_CERT_FILE", certs.other_ca)
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="verify-ca", query_wait_timeout=1)
    verify_fails(p, "TLS handshake error: certificate verify failed: ")


def test_server_name_is_verified(make_pooler, certs, own_pg_factory):
    """The host of the database line must be in the certificate: as a name, or as an address."""
    crt, key = certs.site("named", "db.example", "DNS:localhost")
    addr, addr_key = certs.site("addressed", "elsewhere", "IP:127.0.0.1")
    bare, bare_key = certs.site("bare", "127.0.0.1")
    pg = own_pg_factory(tls={"ssl": "on", "ssl_cert_file": crt, "ssl_key_file": key})

    def line(host):
        return {"p0": f"host={host} port={pg.port} dbname=p0"}

    settings = {"postgres": pg, "server_tls_ca_file": certs.ca, "query_wait_timeout": 1}
    assert make_pooler(server_tls_sslmode="verify-full", databases=line("localhost"), **settings).client().one("SELECT 1") == "1"
    p = make_pooler(server_tls_sslmode="verify-full", databases=line("127.0.0.1"), **settings)
    verify_fails(p, 'certificate verify failed: the server.s certificate does not name host "127.0.0.1"')
    assert make_pooler(server_tls_sslmode="verify-ca", databases=line("127.0.0.1"), **settings).client().one("SELECT 1") == "1"
    for crt, key in ((addr, addr_key), (bare, bare_key)):
        pg.sql(f"ALTER SYSTEM SET ssl_cert_file = '{crt}'")
        pg.sql(f"ALTER SYSTEM SET ssl_key_file = '{key}'")
        pg.sql("SELECT pg_reload_conf()")
        p = make_pooler(server_tls_sslmode="verify-full", databases=line("127.0.0.1"), **settings)
        assert p.client().one("SELECT 1") == "1"


def test_certificate_toward_the_server(make_pooler, certs, tls_pg):
    crt, key = certs.site("u_cert", "u_cert")
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", server_tls_cert_file=crt, server_tls_key_file=key,
                    auth_file={"u_cert": ""})
    assert p.client(user="u_cert").one("SELECT current_user") == "u_cert"


def test_pool_and_server_lines_by_sslmode(make_pooler, tls_pg):
    """p1 takes TLS only, p2 none."""
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="prefer", query_wait_timeout=2)
    assert p.client("p1").one("SELECT 1") == "1"
    with pytest.raises(wire.ServerError, match="pg_hba.conf rejects connection"):
        p.client("p2")


# ---- bad servers


def test_server_that_hangs_in_the_handshake(make_pooler, fake):
    p = make_pooler(server_tls_sslmode="prefer", server_connect_timeout=1, query_wait_timeout=2,
                    databases={"p0": fake_line(fake)})
    c = p.raw()
    c.startup(user="postgres", database="p0")
    fake.listener.settimeout(20)
    sock, _ = fake.listener.accept()
    assert sock.recv(8) == wire.SSL_REQUEST
    sock.sendall(b"S")
    p.wait_log("closing because: connect timeout")
    sock.close()
    assert c.fatal()["M"] == "query_wait_timeout"


def test_bytes_behind_the_servers_answer_are_never_believed(make_pooler, fake):
    """What somebody in the middle puts behind the S reaches the TLS library, not the login."""
    p = make_pooler(server_tls_sslmode="require", query_wait_timeout=1, databases={"p0": fake_line(fake)})
    c = p.raw()
    c.startup(user="postgres", database="p0")
    fake.listener.settimeout(20)
    sock, _ = fake.listener.accept()
    assert sock.recv(8) == wire.SSL_REQUEST
    sock.sendall(b"S" + wire.message("R", struct.pack("!i", 0)) + wire.message("Z", b"I"))
    p.wait_log("connect failed: TLS handshake error: wrong version number")
    sock.close()
    assert c.fatal()["M"] == "query_wait_timeout"


def test_nothing_in_clear(make_pooler, certs, tls_pg):
    """On the wire to the server: the SSLRequest, then nothing that can be read, cancel requests included."""
    tap = Tap(tls_pg.port)
    try:
        p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", databases={"p0": f"host=127.0.0.1 port={tap.port}"})
        c = p.client()
        c.send(wire.query("SELECT pg_sleep(60)"))
        wait_until(lambda: tls_pg.sql("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"))
        c.cancel(p.port)
        assert c.until_ready().error["C"] == "57014"
        assert len(tap.to_server) == 2
        for sent in tap.to_server:
            assert sent.startswith(wire.SSL_REQUEST)
            assert b"postgres" not in sent and b"pg_sleep" not in sent and struct.pack("!i", 80877102) not in sent
    finally:
        tap.close()


def stop(p):
    """Every thread stands still."""
    p.signal(signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{p.proc.pid}/task")
    wait_until(lambda: all((t / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for t in tasks.iterdir()))


@pytest.mark.poolwise
def test_server_with_more_to_say_is_not_handed_over(make_pooler, certs, fake):
    """A ReadyForQuery that ends a full read, and behind it a notice that the TLS library already holds: no socket
    event will announce it. The server goes to the other worker's client only after it was read."""
    crt, key = certs.site("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    fake.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    fake.tls.load_cert_chain(crt, key)
    p = make_pooler(server_tls_sslmode="require", worker_threads=2, default_pool_size=1, databases={"p0": fake_line(fake)},
                    query_wait_notify=0)
    head = wire.message("T", struct.pack("!h", 1) + wire.cstr("v") + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0))
    tail = wire.message("C", wire.cstr("SELECT 1")) + wire.message("Z", b"I")
    size = 65536 - len(head) - len(tail) - 5 - 6
    reply = head + wire.message("D", struct.pack("!hi", 1, size) + b"x" * size) + tail
    assert len(reply) == 65536  # RECV_MOST of pooler/net/stream_tls.c: eight TLS records, as PostgreSQL sends them
    a, session = fake.login(p)
    b = p.client()
    for _ in range(3):
        for c, other in ((a, b), (b, a)):
            c.send(wire.query("SELECT big"))
            session.expect("Q")
            other.send(wire.query("SELECT small"))
            wait_until(lambda: [r for r in p.console().clients() if r["state"] == "waiting"])
            stop(p)
            for i in range(0, len(reply), 8192):
                session.send(reply[i:i + 8192])
            session.send(wire.message("N", b"SNOTICE\0C00000\0Mlate\0\0"))
            p.signal(signal.SIGCONT)
            assert len(c.until_ready().rows[0][0]) == size
            session.expect("Q")  # of the waiting client, on the same connection
            session.answer("small")
            assert other.until_ready().rows == [["small"]]
    assert len(fake.sessions) == 1


# ---- the data path


def test_large_results_and_requests(make_pooler, certs, tls_pg, workers):
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", tcp_socket_buffer=16384, **certs.client_settings(), **workers)
    c = p.tls_client()
    assert len(c.one("SELECT repeat('x', 5000000)")) == 5000000
    text = "y" * 3000000
    assert c.one(f"SELECT length('{text}')") == "3000000"
    rows = c.ok("SELECT i, repeat('z', 200) FROM generate_series(1, 20000) i")
    assert len(rows) == 20000 and rows[-1][0] == "20000"


def test_slow_reader_gets_everything(make_pooler, certs, tls_pg):
    """Back-pressure with bytes inside the TLS library: no byte waits for a socket event that never comes."""
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", **certs.client_settings())
    c = p.tls_client()
    c.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
    wait_until(lambda: p.console_tls().servers()[0]["state"] == "active")
    other = p.tls_client()
    assert other.one("SELECT 1") == "1"  # the loop is free
    assert len(c.until_ready().rows) == 20000


def test_load_with_hand_overs(make_pooler, certs, tls_pg):
    """Eight clients on two workers share two servers; every reply belongs to its client."""
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", worker_threads=2, default_pool_size=2, **certs.client_settings())
    problems = []

    def run(number):
        try:
            c = p.tls_client()
            for i in range(150):
                want = f"{number}-{i}-" + "p" * ((i * 977) % 40000)
                if c.one(f"SELECT '{want}'") != want:
                    problems.append((number, i))
        except Exception as e:  # reported below: a thread cannot fail a test
            problems.append((number, repr(e)))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems
    assert sum(int(r["handovers_in"]) for r in p.console_tls().show("WORKERS")) > 0
    assert len(tls_pg.backends("p0")) <= 2


def test_renegotiation_is_refused(make_pooler, certs):
    """TLS 1.2 with openssl s_client: 'R' asks for a renegotiation."""
    p = make_pooler(**certs.client_settings())
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{p.port}", "-starttls", "postgres", "-tls1_2"],
                         input=b"R\n", capture_output=True, timeout=DEADLINE, check=False)
    assert b"no renegotiation" in run.stderr + run.stdout


# ---- cancel


def test_cancel_both_sides_in_tls(make_pooler, certs, tls_pg):
    p = make_pooler(postgres=tls_pg, server_tls_sslmode="require", **certs.client_settings())
    c = p.tls_client("p1")
    c.send(wire.query("SELECT pg_sleep(60)"))
    wait_until(lambda: tls_pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
    with p.raw().tls() as k:
        k.send(struct.pack("!ii", 8 + len(c.key), 80877102) + c.key)
        assert not k.until_closed().messages
    assert c.until_ready().error["C"] == "57014"
    assert c.one("SELECT 1") == "1"
    # in clear, as libpq's PQcancel before 17 sends it
    c.send(wire.query("SELECT pg_sleep(60)"))
    wait_until(lambda: tls_pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"


# ---- settings, RELOAD, SET


def test_missing_file_at_start(make_pooler, certs):
    p = make_pooler(start=False, **{**certs.client_settings(), "client_tls_key_file": "/nowhere/server.key"})
    p.write()
    p.spawn(p.ini_path)
    assert p.wait_exit() == 1
    p.expect_exit = (1,)
    assert 'TLS setup failed: cannot read client_tls_key_file "/nowhere/server.key": No such file or directory' in p.stderr()


@pytest.mark.parametrize("settings, text", [
    ({"client_tls_sslmode": "require"}, "client_tls_sslmode needs client_tls_key_file and client_tls_cert_file"),
    ({"server_tls_sslmode": "require", "server_tls_protocols": "sslv2"}, "invalid server_tls_protocols: sslv2"),
    ({"server_tls_sslmode": "require", "server_tls_ciphers": "nonsense"}, "invalid server_tls_ciphers: nonsense"),
    ({"server_tls_sslmode": "require", "server_tls13_ciphers": "nonsense"}, "failed to set the TLSv1.3 cipher suites"),
    ({"server_tls_sslmode": "require", "server_tls_cert_file": "x"}, "server_tls_cert_file and server_tls_key_file must both be set"),
])
def test_bad_settings(make_pooler, settings, text):
    p = make_pooler(start=False, **settings)
    p.write()
    p.spawn(p.ini_path)
    assert p.wait_exit() == 1
    p.expect_exit = (1,)
    assert text in p.stderr()


def shown(p):
    """The common name of the certificate that the pooler shows."""
    with p.raw() as c:
        c.send(wire.SSL_REQUEST)
        assert c.recv_byte() == b"S"
        t = context().wrap_socket(c.sock)
        return t.getpeercert(binary_form=True)


def test_reload_changes_the_certificate_and_keeps_connections(make_pooler, certs):
    crt, key = certs.site("changing", "localhost")
    new, new_key = certs.site("changed", "localhost", ca="other")
    copies = {}
    p = make_pooler(start=False)
    for name, source in (("crt", crt), ("key", key)):
        copies[name] = f"{p.dir}/site.{name}"
        shutil.copy(source, copies[name])
        shutil.chown(copies[name], p.user.pw_uid, p.user.pw_gid)
    p.settings.update(client_tls_sslmode="require", client_tls_cert_file=copies["crt"], client_tls_key_file=copies["key"])
    p.start()
    c, before = p.tls_client(), shown(p)
    console = p.console_tls()
    shutil.copy(new, copies["crt"])  # the new certificate with the old key: refused, the old pair stays
    result = console.run("RELOAD")
    assert result.errors[0]["M"] == "RELOAD failed, see logs for additional details"
    p.wait_log("TLS setup failed: client_tls_key_file .*: key values mismatch")
    assert shown(p) == before
    shutil.copy(new_key, copies["key"])
    console.do("RELOAD")
    assert shown(p) != before
    assert c.one("SELECT 1") == "1"
    assert console.run("SHOW VERSION").rows


def test_reload_replaces_servers_only_when_their_tls_changed(make_pooler, certs, tls_pg):
    p = make_pooler(start=False, postgres=tls_pg, server_tls_sslmode="verify-ca")
    ca = f"{p.dir}/ca.crt"
    shutil.copy(certs.ca, ca)
    p.settings["server_tls_ca_file"] = ca
    p.start()
    console = p.console()
    c = p.client()
    pid = c.one("SELECT pg_backend_pid()")
    console.do("RELOAD")
    assert c.one("SELECT pg_backend_pid()") == pid
    with open(ca, "a", encoding="utf-8") as f:  # another authority: only the contents of the file change
        f.write(open(certs.other_ca, encoding="utf-8").read())
    console.do("RELOAD")
    p.wait_log("closing because: database configuration changed")
    pid2 = c.one("SELECT pg_backend_pid()")
    assert pid2 != pid
    p.reload(console, server_tls_protocols="tlsv1.2")
    assert c.one("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "TLSv1.2"


@pytest.mark.parametrize("setting, version, cipher", [
    (None, "TLSv1.3", None),
    ("server_tls_protocols=tlsv1.2", "TLSv1.2", None),
    ("server_tls13_ciphers=TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
    ("server_tls_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
])
def test_ciphers_toward_servers(make_pooler, tls_pg, setting, version, cipher):
    key, _, value = (setting or "server_tls_sslmode=require").partition("=")
    p = make_pooler(postgres=tls_pg, **{"server_tls_sslmode": "require", key: value},
                    **({"server_tls_protocols": "tlsv1.2"} if key == "server_tls_ciphers" else {}))
    seen = p.client().query("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()").rows[0]
    assert seen[0] == version
    assert seen[1] == cipher if cipher else "CHACHA20" not in seen[1] and "AES128" not in seen[1]


def test_set_that_cannot_be_followed_says_so(make_pooler, certs):
    crt, key = certs.site("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    p = make_pooler()
    console = p.console()
    result = console.run("SET client_tls_sslmode = 'require'")
    assert not result.errors
    assert result.notices[0]["M"] == "TLS settings could not be applied, still using old configuration"
    assert "client_tls_sslmode needs client_tls_key_file" in result.notices[0]["D"]
    assert p.client().one("SELECT 1") == "1"  # the settings from before
    assert console.config("client_tls_sslmode") == "require"
    assert console.run(f"SET client_tls_key_file = '{key}'").notices
    assert not console.run(f"SET client_tls_cert_file = '{crt}'").notices
    assert p.tls_client().one("SELECT 1") == "1"
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["M"] == "SSL required"


def test_protocols(make_pooler, certs):
    p = make_pooler(**certs.client_settings())
    console = p.console_tls()
    for words, version in (("tlsv1.2", "TLSv1.2"), ("tlsv1.3", "TLSv1.3"), ("secure", "TLSv1.3"), ("all:!tlsv1.3", "TLSv1.2"),
                           ("tlsv1.2,tlsv1.3", "TLSv1.3")):
        assert not console.run(f"SET client_tls_protocols = '{words}'").notices
        assert p.raw().tls().sock.version() == version, words
    console.do("SET client_tls_protocols = 'tlsv1.3'")
    with pytest.raises(ssl.SSLError):
        p.raw().tls(context(high=ssl.TLSVersion.TLSv1_2))


def test_ciphers_and_groups(make_pooler, certs):
    rsa, rsa_key = certs.site("rsa", "localhost", key="rsa")
    p = make_pooler(**{**certs.client_settings(), "client_tls_cert_file": rsa, "client_tls_key_file": rsa_key,
                       "client_tls_protocols": "tlsv1.2"})
    console = p.console_tls()

    def cipher(**settings):
        for key, value in settings.items():
            assert not console.run(f"SET {key} = '{value}'").notices
        return p.raw().tls().sock.cipher()[0]

    assert cipher() == "ECDHE-RSA-AES256-GCM-SHA384"
    assert cipher(client_tls_ciphers="fast") == "ECDHE-RSA-AES128-GCM-SHA256"
    assert cipher(client_tls_ciphers="normal") == "ECDHE-RSA-AES256-GCM-SHA384"
    assert cipher(client_tls_ciphers="AES128-SHA256") == "AES128-SHA256"
    assert cipher(client_tls_ciphers="default", client_tls_ecdhcurve="none") == "DHE-RSA-AES256-GCM-SHA384"
    with pytest.raises(ssl.SSLError):  # neither ECDHE nor DHE
        cipher(client_tls_dheparams="none")
    assert cipher(client_tls_ecdhcurve="auto", client_tls_protocols="tlsv1.3",
                  client_tls13_ciphers="TLS_CHACHA20_POLY1305_SHA256") == "TLS_CHACHA20_POLY1305_SHA256"
    assert "invalid client_tls_ecdhcurve: nonsense" in console.run("SET client_tls_ecdhcurve = 'nonsense'").notices[0]["D"]
    assert "invalid client_tls_dheparams: 1" in console.run("SET client_tls_dheparams = '1'").notices[0]["D"]


# ---- channel binding (test_login_matrix.py has the logins)


def test_downgrade_is_noticed(make_pooler, certs):
    """A client that says "I could, but you did not offer it" although we did: somebody took the offer off the wire."""
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_trust": "pw"}, **certs.client_settings(mode="prefer"))
    with pytest.raises(wire.ServerError, match="SASL authentication failed"):
        p.raw().tls().login("u_trust", "p0", "pw", gs2="y")
    assert p.raw().login("u_trust", "p0", "pw", gs2="y").one("SELECT 1") == "1"  # without TLS it is true
    for wrong in ("p=tls-unique", "p=tls-exporter"):
        with pytest.raises(wire.ServerError, match="SASL authentication failed"):
            p.raw().tls().login("u_trust", "p0", "pw", gs2=wrong)


def test_bound_to_another_certificate(make_pooler, certs):
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_trust": "pw"}, **certs.client_settings(mode="prefer"))
    c = p.raw().tls()
    c.endpoint_hash = lambda: b"h" * 32
    with pytest.raises(wire.ServerError, match="SASL authentication failed"):
        c.login("u_trust", "p0", "pw", gs2=wire.BOUND)


def test_client_channel_binding_modes(make_pooler, certs):
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_trust": "pw", "admin": "pw"}, client_channel_binding="disable",
                    **certs.client_settings(mode="prefer"))
    c = p.raw().tls().login("u_trust", "p0", "pw", gs2="y")
    assert c.sasl_mechanisms == ["SCRAM-SHA-256"]
    p.raw().login("admin", "pgbouncer", "pw").ok("SET client_channel_binding = 'require'")
    c = p.raw().tls().login("u_trust", "p0", "pw", gs2=wire.BOUND)
    assert c.sasl_mechanisms == ["SCRAM-SHA-256-PLUS"]
    for conn in (p.raw().tls(), p.raw()):
        with pytest.raises(wire.ServerError, match="authentication"):
            conn.login("u_trust", "p0", "pw")


def test_server_channel_binding_modes(make_pooler, certs, tls_pg):
    databases = {u: tls_pg.line("p0", user=u, password=f"'{u[2:]} pass'") for u in ("u_scram", "u_md5")}
    settings = {"postgres": tls_pg, "databases": databases, "server_channel_binding": "require"}
    p = make_pooler(server_tls_sslmode="require", **settings)
    assert p.client("u_scram").one("SELECT current_user") == "u_scram"
    required = "server login failed: channel binding is required, but the server does not offer it"
    with pytest.raises(wire.ServerError, match=required):
        p.client("u_md5")
    p = make_pooler(server_tls_sslmode="disable", **settings)
    with pytest.raises(wire.ServerError, match=required):
        p.client("u_scram")
    p = make_pooler(server_tls_sslmode="require", **{**settings, "server_channel_binding": "disable"})
    assert p.client("u_scram").one("SELECT current_user") == "u_scram"  # says "n": at a "y" PostgreSQL would refuse


@pytest.mark.poolwise
def test_a_certificate_that_has_expired_is_told(make_pooler, certs, binary):
    """Clients only say that a handshake failed."""
    crt, key = certs.site("expired", "localhost", days=0)  # at once: newer openssl programs refuse less
    p = make_pooler(start=False, client_tls_sslmode="require", client_tls_cert_file=crt, client_tls_key_file=key)
    p.write()
    told = r'warning: client_tls_cert_file: the certificate in ".*expired.crt" expired on \d{4}-\d\d-\d\d at .* UTC \(hint: RELOAD'
    out = subprocess.run([binary, "--check", p.ini_path], capture_output=True, text=True, check=True)
    assert re.search(told, out.stdout) and "ok, with warnings" in out.stdout
    p.start()
    assert re.search(told, p.stderr())
    p.console_tls().do("RELOAD")
    p.wait_log(told)
