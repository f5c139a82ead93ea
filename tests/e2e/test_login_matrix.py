# SPDX-License-Identifier: ISC
"""Every way in against every way out: client auth x client TLS x server auth x server TLS.

Two poolers in front of one PostgreSQL: one reaches it by TLS, one does not. Rules of auth_hba_file give each client user
its method, PostgreSQL's own give each server user its. Each database line leads to one server user, so a case is
a connection and a query."""
import itertools

import psycopg
import pytest

from support import wire
from support.npm_postgres import VERSIONS, NpmPostgres, Unavailable
from support.pooler import Pooler
from support.postgres import USERS

PASSWORD = "a pass word"
# name: secret in auth_file, method of the rule, the authentication codes that the client must see
CLIENTS = {
    "c_trust": ("", "trust", []),
    "c_plain": (PASSWORD, "password", [3]),
    "c_md5": (wire.md5_secret("c_md5", PASSWORD), "md5", [5]),
    "c_upgraded": (wire.scram_secret(PASSWORD), "md5", [10, 11, 12]),
    "c_scram": (wire.scram_secret(PASSWORD), "scram-sha-256", [10, 11, 12]),
    "c_derived": (PASSWORD, "scram-sha-256", [10, 11, 12]),
    "c_cert": ("", "cert", []),
}
SERVERS = ["u_trust", "u_plain", "u_md5", "u_scram", "u_cert"]
PASSWORDS = {**{u: p for u, (p, _, _) in USERS.items()}, "u_cert": None}


def client_variants():
    """(user, TLS, gs2 flag of SCRAM)"""
    for user, (_, method, codes) in CLIENTS.items():
        if method != "cert":
            yield user, False, "n"
        yield user, True, "n"
        if 10 in codes:
            yield user, True, wire.BOUND


def cases():
    for (user, tls, gs2), server, server_tls in itertools.product(client_variants(), SERVERS, (False, True)):
        if server != "u_cert" or server_tls:
            yield user, tls, gs2, server, server_tls


CASES = list(cases())
assert len(CASES) >= 100


def make_one(binary, directory, pg, certs, server_tls):
    crt, key = certs.site("u_cert", "u_cert")
    hba, rules = f"{directory}/hba", [f"host all {u} 0.0.0.0/0 {method}" for u, (_, method, _) in CLIENTS.items()]
    rules += ["host all u_scram 0.0.0.0/0 scram-sha-256", "host all u_md5 0.0.0.0/0 md5", "host all admin 0.0.0.0/0 trust"]
    databases = {f"to_{u}": pg.line("p0", user=u, **({"password": f"'{PASSWORDS[u]}'"} if PASSWORDS[u] else {})) for u in SERVERS}
    p = Pooler(binary, directory, pg, auth_type="hba", auth_hba_file=hba, databases={**databases, "through": pg.line("p0")},
               auth_file={**{u: secret for u, (secret, _, _) in CLIENTS.items()}, "admin": "", "u_cert": "",
                          "u_scram": USERS["u_scram"][1], "u_md5": USERS["u_md5"][1], "u_trust": "", "u_plain": ""},
               server_tls_cert_file=crt, server_tls_key_file=key, server_tls_ca_file=certs.ca,
               server_tls_sslmode="verify-full" if server_tls else "disable", **certs.client_settings(mode="prefer"))
    p._put(hba, "\n".join(rules) + "\n")
    return p.start()


@pytest.fixture(scope="module", params=["15", *sorted(VERSIONS)])
def server(request, certs, tmp_path_factory):
    """PostgreSQL with TLS, of Debian's version and of others."""
    if request.param not in VERSIONS:
        yield request.getfixturevalue("tls_pg")  # the newest of Debian's packages, 15 there
        return
    try:
        programs = NpmPostgres(request.param, tmp_path_factory.mktemp("npm-pg"))
    except Unavailable as e:
        pytest.skip(str(e))
    try:
        made = programs.postgres.create(tls=certs.server_settings())
        assert made.conn.info.server_version // 10000 == int(request.param)
        yield made
    finally:
        programs.remove()


@pytest.fixture(scope="module")
def poolers(binary, server, certs, new_dir):
    """{server TLS?: pooler}"""
    both = {tls: make_one(binary, new_dir("pw-e2e-"), server, certs, tls) for tls in (False, True)}
    yield both
    for p in both.values():
        p.stop()
        report = p.sanitizer_report()
        assert not report, report
        assert p.proc.returncode == 0
        p.remove()


def connect(p, certs, user, tls):
    c = p.raw()
    if not tls:
        return c
    context = wire.any_certificate()
    if user == "c_cert":
        context.load_cert_chain(*certs.site("c_cert", "c_cert"))
    return c.tls(context)


FACTS = "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.newer
@pytest.mark.poolwise  # channel binding
@pytest.mark.parametrize("user, tls, gs2, to, server_tls", CASES, ids=lambda v: str(v).replace(wire.BOUND, "bound"))
def test_login(poolers, certs, user, tls, gs2, to, server_tls):
    p = poolers[server_tls]
    with connect(p, certs, user, tls) as c:
        c.login(user, f"to_{to}", PASSWORD, gs2=gs2)
        assert c.auth_methods == CLIENTS[user][2]
        if 10 in c.auth_methods:
            assert c.sasl_mechanisms == (["SCRAM-SHA-256-PLUS"] if tls else []) + ["SCRAM-SHA-256"]
        assert c.ok(FACTS) == [[to, "t" if server_tls else "f"]]


@pytest.mark.newer
@pytest.mark.poolwise
@pytest.mark.parametrize("server_tls", [False, True])
@pytest.mark.parametrize("user, tls, gs2", [("u_scram", False, "n"), ("u_scram", True, "n"), ("u_scram", True, wire.BOUND),
                                            ("u_md5", False, "n"), ("u_md5", True, "n")])
def test_pass_through(poolers, certs, user, tls, gs2, server_tls):
    """No password anywhere in the pooler: the secret that the server has too, and for SCRAM what the client's login showed."""
    with connect(poolers[server_tls], certs, user, tls) as c:
        c.login(user, "through", USERS[user][0], gs2=gs2)
        assert c.ok(FACTS) == [[user, "t" if server_tls else "f"]]


@pytest.mark.newer
@pytest.mark.poolwise
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("user", [u for u in CLIENTS if u not in ("c_trust", "c_cert")])
def test_wrong_password(poolers, certs, user, tls):
    want = "SASL authentication failed" if 10 in CLIENTS[user][2] else "password authentication failed"
    for gs2 in ("n", wire.BOUND) if tls and 10 in CLIENTS[user][2] else ("n",):
        with connect(poolers[True], certs, user, tls) as c, pytest.raises(wire.ServerError, match=want):
            c.login(user, "to_u_trust", "another", gs2=gs2)


@pytest.mark.newer
@pytest.mark.poolwise
def test_certificate_needs_tls_and_its_user(poolers, certs):
    for tls, user in ((False, "c_cert"), (True, "c_trust")):
        with connect(poolers[True], certs, user, tls) as c, pytest.raises(wire.ServerError, match="certificate authentication failed"):
            c.login("c_cert", "to_u_trust")


@pytest.mark.newer
@pytest.mark.poolwise
def test_libpq_binds(poolers, certs):
    """libpq refuses a server that does not prove the channel."""
    more = {"sslmode": "verify-full", "sslrootcert": certs.ca, "host": "localhost", "channel_binding": "require"}
    for user in ("c_scram", "c_derived", "c_upgraded"):
        conn = poolers[True].psycopg("to_u_scram", user, password=PASSWORD, **more)
        assert conn.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        poolers[True].psycopg("to_u_scram", "c_md5", password=PASSWORD, **more)
