# SPDX-License-Identifier: ISC
"""Session tickets toward clients: TLS handshakes that go on with an earlier session.

Without an authority for client certificates (client_tls_ca_file), but where they are the matter: there no ticket is given."""
import re
import shutil
import ssl
import struct
import subprocess

import pytest

from support import wire
from support.util import DEADLINE, wait_until

pytestmark = pytest.mark.poolwise

each_version = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


def settings(certs, **more):
    return {**certs.client_settings(client_tls_ca_file=""), "client_tls_session_tickets": 1, **more}


def context(version=None, cert=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    if cert:
        c.load_cert_chain(*cert)
    return c


def login(p, c, session=None, direct=False):
    """Logs in and runs a query, by which time a ticket has arrived."""
    conn = p.raw().tls(c, direct=direct, session=session).login("postgres", "p0")
    assert conn.one("SELECT 1") == "1"
    return conn


def resumes(p, c, session, **how):
    with login(p, c, session, **how) as conn:
        return conn.sock.session_reused


def counted(p, console):
    return {k: sum(int(r[k]) for r in console.show("WORKERS")) for k in ("tls_full", "tls_resumed")}


@each_version
def test_resumes_on_every_worker(make_pooler, certs, version):
    p = make_pooler(worker_threads=4, verbose=1, **settings(certs))
    console, c = p.console_tls(), context(version)
    before = counted(p, console)
    clients = [login(p, c)]
    assert not clients[0].sock.session_reused
    for _ in range(8):
        assert clients[-1].sock.session.has_ticket
        clients.append(login(p, c, clients[-1].sock.session))
        assert clients[-1].sock.session_reused
    rows = console.show("WORKERS")
    assert sum(int(r["tls_resumed"]) > 0 for r in rows) == 4, rows  # sealed on one, opened on another
    after = counted(p, console)
    assert (after["tls_full"] - before["tls_full"], after["tls_resumed"] - before["tls_resumed"]) == (1, 8)
    p.wait_log(rf"SSL established: {clients[0].sock.version()}/\S+, resumed")
    assert {conn.one("SELECT 2") for conn in clients} == {"2"}
    assert resumes(p, c, clients[0].sock.session)  # a ticket may be used again


@each_version
def test_off(make_pooler, certs, version):
    p = make_pooler(**settings(certs, client_tls_session_tickets=0))
    c = context(version)
    session = login(p, c).sock.session
    assert not session.has_ticket
    assert not resumes(p, c, session)


@each_version
def test_only_an_unchanged_reload_keeps_tickets(make_pooler, certs, version):
    p = make_pooler(start=False)
    copies = {}
    for name, source in zip(("crt", "key"), certs.site("tickets", "localhost")):
        copies[name] = f"{p.dir}/site.{name}"
        shutil.copy(source, copies[name])
        shutil.chown(copies[name], p.user.pw_uid, p.user.pw_gid)
    p.settings.update(settings(certs, client_tls_cert_file=copies["crt"], client_tls_key_file=copies["key"]))
    p.start()
    console, c = p.console_tls(), context(version)

    def outlives(change):
        session = login(p, c).sock.session
        assert session.has_ticket
        change()
        return resumes(p, c, session)

    assert outlives(lambda: p.reload(console))
    assert outlives(lambda: p.reload(console, max_client_conn=77, server_tls_sslmode="disable"))
    assert outlives(lambda: console.do("SET log_stats = 0"))
    assert not outlives(lambda: p.reload(console, client_tls_sslmode="prefer"))
    assert not outlives(lambda: p.reload(console, client_tls_ciphers="normal"))
    assert not outlives(lambda: p.reload(console, client_tls13_ciphers="TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"))
    assert not outlives(lambda: p.reload(console, client_tls_protocols="all"))
    assert not outlives(lambda: console.do("SET client_tls_ecdhcurve = 'P-256'"))

    def off_and_on():
        console.do("SET client_tls_session_tickets = 0")
        console.do("SET client_tls_session_tickets = 1")

    assert not outlives(off_and_on)

    def new_certificate():
        for name, source in zip(("crt", "key"), certs.site("tickets_new", "localhost")):
            shutil.copy(source, copies[name])
        console.do("RELOAD")

    assert not outlives(new_certificate)
    assert outlives(lambda: p.reload(console))
    refused = {"client_tls_key_file": certs.site("server", "localhost")[1]}  # does not fit: the old settings stay, and the tickets

    def refused_reload():
        p.settings.update(refused)
        p.write()
        assert console.run("RELOAD").errors

    assert outlives(refused_reload)


def test_another_process_does_not_know_the_ticket(make_pooler, certs):
    p, c = make_pooler(**settings(certs)), context()
    session = login(p, c).sock.session
    p.stop()
    p.start()
    assert not resumes(p, c, session)
    assert "TLS handshake error" not in p.log()


# ---- client certificates


@each_version
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_no_tickets_where_certificates_are_asked_for(make_pooler, certs, version, mode):
    p = make_pooler(**settings(certs, client_tls_sslmode=mode, client_tls_ca_file=certs.ca))
    for cert in [certs.site("client", "postgres"), *([None] if mode == "require" else [])]:
        c = context(version, cert)
        session = login(p, c).sock.session
        assert not session.has_ticket
        assert not resumes(p, c, session)


@each_version
def test_a_ticket_does_not_stand_in_for_a_certificate(make_pooler, certs, version):
    p = make_pooler(**settings(certs))
    console, c = p.console_tls(), context(version)
    session = login(p, c).sock.session
    p.reload(console, client_tls_sslmode="verify-ca", client_tls_ca_file=certs.ca)
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        login(p, c, session)
    p.wait_log("TLS handshake error: peer did not return a certificate")


# ---- direct TLS, channel binding, cancel


@each_version
def test_direct_tls(make_pooler, certs, version):
    p, c = make_pooler(**settings(certs)), context(version)
    session = login(p, c).sock.session
    conn = login(p, c, session, direct=True)  # sets ALPN for this context
    assert conn.sock.session_reused
    assert conn.sock.selected_alpn_protocol() == "postgresql"
    again = login(p, c, conn.sock.session, direct=True)
    assert again.sock.session_reused
    assert resumes(p, c, again.sock.session)
    no_alpn = context(version)
    session = login(p, no_alpn).sock.session
    conn = p.raw().tls(no_alpn, direct="no alpn", session=session)  # a ticket does not stand in for ALPN either
    conn.startup(user="postgres", database="p0")
    assert not conn.until_closed().messages
    p.wait_log("closing because: received direct SSL connection request without ALPN")


@each_version
def test_channel_binding_of_a_resumed_session(make_pooler, certs, version):
    p = make_pooler(auth_type="scram-sha-256", auth_file={"u_trust": "pw"}, client_channel_binding="require", **settings(certs))
    c = context(version)
    conn = p.raw().tls(c).login("u_trust", "p0", "pw", gs2=wire.BOUND)
    for _ in range(2):
        conn = p.raw().tls(c, session=conn.sock.session).login("u_trust", "p0", "pw", gs2=wire.BOUND)
        assert conn.sock.session_reused
        assert conn.sasl_mechanisms == ["SCRAM-SHA-256-PLUS"]
    conn = p.raw().tls(c, session=conn.sock.session)
    conn.endpoint_hash = lambda: b"h" * 32
    with pytest.raises(wire.ServerError, match="SASL authentication failed"):
        conn.login("u_trust", "p0", "pw", gs2=wire.BOUND)


def test_cancel_from_a_client_that_reads_nothing(make_pooler, certs, pg):
    """The ticket arrives at a socket that is closed: the cancel request in front of the end counts all the same."""
    p, c = make_pooler(**settings(certs)), context()
    conn = login(p, c)
    for _ in range(3):
        conn.send(wire.query("SELECT pg_sleep(60)"))
        wait_until(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
        canceller = p.raw().tls(c, session=conn.sock.session)
        canceller.send(struct.pack("!ii", 8 + len(conn.key), 80877102) + conn.key)
        canceller.sock.close()
        assert conn.until_ready().error["C"] == "57014"


def test_libpq_is_served_as_before(make_pooler, certs):
    p = make_pooler(**settings(certs))
    for mode in ("TLSv1.2", "TLSv1.3"):
        with p.psycopg(sslmode="require", ssl_max_protocol_version=mode) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
    out = subprocess.run(["psql", "-XAtc", "SELECT 1", f"host=127.0.0.1 port={p.port} user=postgres dbname=p0 sslmode=require"],
                         capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert out.stdout == "1\n"


# ---- what strangers send


class Sclient:
    """openssl s_client: the one client that keeps its session in a file, where it can be spoilt."""

    def __init__(self, p, version):
        self.p, self.version, self.path = p, version, f"{p.dir}/session-{version}.pem"

    def run(self, *args):
        """Logs in; what s_client says of its session."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.p.port}", "-starttls", "postgres", f"-{self.version}", *args]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as s:
            s.stdin.write(wire.startup_packet({"user": "postgres", "database": "p0"}))
            s.stdin.flush()
            seen = b""
            while b"Z\x00\x00\x00\x05I" not in seen:
                piece = s.stdout.read1()
                assert piece, seen
                seen += piece
            s.stdin.close()
        return re.search(rb"(New|Reused), TLSv1\.\d, Cipher is \S+", seen)[1].decode()

    def fetch(self):
        assert self.run("-sess_out", self.path) == "New"

    def ticket(self):
        """DER of the session, and where in it the ticket is."""
        der = subprocess.run(["openssl", "sess_id", "-in", self.path, "-outform", "DER"], check=True, capture_output=True).stdout
        tag = re.search(rb"\xaa(\x81.|\x82..)\x04(\x81.|\x82..)", der, re.S)  # [10] OCTET STRING, long form
        n = int.from_bytes(tag[2][1:], "big")
        return der, tag.end(), n

    def resume(self, der):
        subprocess.run(["openssl", "sess_id", "-inform", "DER", "-out", self.path + ".spoilt"], input=der, check=True,
                       capture_output=True)
        return self.run("-sess_in", self.path + ".spoilt")


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_spoilt_tickets(make_pooler, certs, version):
    p = make_pooler(**settings(certs))
    client = Sclient(p, version)
    client.fetch()
    der, at, n = client.ticket()
    assert 150 < n < 400
    assert client.resume(der) == "Reused"
    places = {"name": 0, "iv": 16, "first block": 32, "in the middle": n // 2, "mac": n - 1}
    for place, i in places.items():
        spoilt = bytearray(der)
        spoilt[at + i] ^= 1
        assert client.resume(bytes(spoilt)) == "New", place
    assert client.resume(der[:at] + bytes(n) + der[at + n:]) == "New"
    assert client.resume(der) == "Reused"
    assert "TLS handshake error" not in p.log()


def test_no_early_data(make_pooler, certs):
    p = make_pooler(**settings(certs))
    client = Sclient(p, "tls1_3")
    client.fetch()
    text = subprocess.run(["openssl", "sess_id", "-in", client.path, "-noout", "-text"], check=True, capture_output=True, text=True).stdout
    assert "Max Early Data: 0" in text
    assert "TLS session ticket lifetime hint: 3600 (seconds)" in text
