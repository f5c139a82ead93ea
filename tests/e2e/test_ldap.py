# SPDX-License-Identifier: ISC
"""Passwords that a directory knows: auth_type = ldap and ldap lines of auth_hba_file, against a real slapd."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from support import wire
from support.dns import NameServer
from support.pooler import refused
from support.util import free_port, wait_until

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/bin")
pytestmark = [pytest.mark.poolwise, pytest.mark.skipif(not SLAPD, reason="no slapd (apt-get install slapd)")]

CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example,dc=net"
rootdn "cn=admin,dc=example,dc=net"
rootpw adminpw
directory {dir}/data
TLSCertificateFile {crt}
TLSCertificateKeyFile {key}
TLSCACertificateFile {ca}
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""
PEOPLE = """dn: dc=example,dc=net
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: uid=u_trust,dc=example,dc=net
objectClass: inetOrgPerson
uid: u_trust
cn: trusted
sn: one
mail: u_trust@example.net
userPassword: dir secret

dn: uid=twin,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: twin
sn: one
userPassword: x

dn: cn=twin,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: twin
sn: two
userPassword: x

dn: uid=u_plain,dc=example,dc=net
objectClass: inetOrgPerson
uid: u_plain
cn: plain
sn: one
userPassword: plain pass
"""
SIMPLE = 'ldapprefix="uid=" ldapsuffix=",dc=example,dc=net"'


@pytest.fixture(scope="module")
def ports(certs):
    """A directory of this module's own; its ports for ldap and ldaps."""
    directory = tempfile.mkdtemp(prefix="pw-ldap-")
    os.mkdir(f"{directory}/data")
    with open(f"{directory}/slapd.conf", "w", encoding="utf-8") as f:
        crt, key = certs.site("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        f.write(CONF.format(dir=directory, crt=crt, key=key, ca=certs.ca))
    with open(f"{directory}/people.ldif", "w", encoding="utf-8") as f:
        f.write(PEOPLE)
    subprocess.run([SLAPD, "-T", "add", "-f", f"{directory}/slapd.conf", "-l", f"{directory}/people.ldif"], check=True,
                   capture_output=True)
    port, tls_port = free_port(), free_port()
    with open(f"{directory}/log", "wb") as log:
        proc = subprocess.Popen([SLAPD, "-d", "0", "-h", f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}", "-f", f"{directory}/slapd.conf"],
                                stdout=log, stderr=log)

    def up():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    try:
        wait_until(up, what="slapd listens")
        yield port, tls_port
    finally:
        proc.terminate()
        proc.wait()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def ldap(ports):
    return ports[0]


@pytest.fixture
def make(make_pooler):
    def start(options, **settings):
        return make_pooler(auth_type="ldap", auth_ldap_options=options, **{"auth_file": {}, **settings})
    return start


@pytest.mark.parametrize("options", [
    "ldapserver=127.0.0.1 ldapport={port} " + SIMPLE,
    'ldapserver="127.0.0.1" ldapport={port} ldapbasedn="dc=example,dc=net" ldapbinddn="cn=admin,dc=example,dc=net" ldapbindpasswd=adminpw',
    'ldapserver=127.0.0.1 ldapport={port} ldapbasedn=dc=example,dc=net ldapsearchattribute=uid',
    'ldapserver=127.0.0.1 ldapport={port} ldapbasedn=dc=example,dc=net ldapsearchfilter="(|(mail=$username@example.net)(sn=$username))"',
    "ldapurl=ldap://127.0.0.1:{port}/dc=example,dc=net?uid?sub",
    'ldapurl="ldap://127.0.0.1:{port}/dc=example,dc=net??one?(&(uid=$username)(objectClass=inetOrgPerson))"',
])
def test_ways_to_ask_a_directory(make, ldap, options):
    p = make(options.format(port=ldap))
    c = p.client("p0", "u_trust", "dir secret")
    assert c.auth_methods == [3]
    assert c.one("SELECT current_user") == "u_trust"
    assert refused(p, "u_trust", "wrong") == "LDAP authentication failed"
    assert refused(p, "nobody", "dir secret") == "LDAP authentication failed"
    assert refused(p, "u_trust", "") == "empty password returned by client"
    assert "dir secret" not in p.log() and "adminpw" not in p.log()


@pytest.mark.parametrize("options", ["ldapport={port} ldaptls=1", "ldapport={tls_port} ldapscheme=ldaps", None])
def test_tls_with_the_directory(make, ports, certs, monkeypatch, options):
    """Its certificate is checked, against the authorities that libldap is told of."""
    port, tls_port = ports
    options = f"ldapserver=127.0.0.1 {options.format(port=port, tls_port=tls_port)} {SIMPLE}" if options else \
        f"ldapurl=ldaps://127.0.0.1:{tls_port}/dc=example,dc=net?uid?sub"
    monkeypatch.setenv("LDAPTLS_CACERT", certs.ca)
    assert make(options).client("p0", "u_trust", "dir secret").one("SELECT current_user") == "u_trust"
    monkeypatch.setenv("LDAPTLS_CACERT", certs.other_ca)
    p = make(options)
    assert refused(p, "u_trust", "dir secret") == "LDAP authentication failed"
    p.wait_log("login refused: cannot ")
    assert "dir secret" not in p.log()


WRAPPER = """#!/bin/sh
exec unshare -m sh -c 'mount --bind {dir}/resolv.conf /etc/resolv.conf && exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups {binary} "$@"' -- "$@"
"""


def test_dns_names_the_directory(make_pooler, ldap):
    """Without ldapserver: SRV records of the domain that the search base spells."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("not root, or no name spaces")
    dns = NameServer({}, services={"_ldap._tcp.example.net": ("localhost", ldap)})
    try:
        p = make_pooler(start=False, auth_type="ldap", auth_ldap_options='ldapbasedn="dc=example,dc=net"', auth_file={})
        p.write()
        p._put(f"{p.dir}/resolv.conf", dns.resolv_conf())
        p._put(f"{p.dir}/pooler.sh", WRAPPER.format(dir=p.dir, user=p.user, binary=p.binary))
        os.chmod(f"{p.dir}/pooler.sh", 0o755)
        p.binary = f"{p.dir}/pooler.sh"
        p.spawn("-q", p.ini_path, as_root=True)
        p.wait_up()
        assert p.client("p0", "u_trust", "dir secret").one("SELECT current_user") == "u_trust"
        assert refused(p, "u_trust", "wrong") == "LDAP authentication failed"
        dns.services.clear()
        assert refused(p, "u_trust", "dir secret") == "LDAP authentication failed"
        p.wait_log("login refused: DNS names no directory servers for \"dc=example,dc=net\"")
    finally:
        dns.close()


def test_several_servers_are_tried_in_order(make, ldap):
    p = make(f'ldapserver="127.0.0.1:{free_port()} 127.0.0.1:{ldap}" {SIMPLE}')
    p.client("p0", "u_trust", "dir secret").ok("SELECT 1")


def test_a_name_must_be_one_entry_and_bends_nothing(make, ldap):
    p = make(f"ldapserver=127.0.0.1 ldapport={ldap} ldapbasedn=dc=example,dc=net")
    assert refused(p, "twin", "x") == "LDAP authentication failed"
    p.wait_log("more than one LDAP entry is the user")
    assert refused(p, "u_trus*", "dir secret") == "LDAP authentication failed"
    assert refused(p, "x)(uid=u_trust", "dir secret") == "LDAP authentication failed"
    p.wait_log("no LDAP entry is the user")
    p = make(f"ldapserver=127.0.0.1 ldapport={ldap} {SIMPLE}")
    assert refused(p, "u_trust,dc=example,dc=net", "dir secret") == "LDAP authentication failed"
    p.wait_log("characters that are special in LDAP names")


def test_the_password_serves_the_login_to_the_server(make, ldap):
    p = make(f"ldapserver=127.0.0.1 ldapport={ldap} {SIMPLE}")
    assert p.client("p0", "u_plain", "plain pass").one("SELECT current_user") == "u_plain"


def test_rules_can_name_a_directory(make_pooler, ldap, pg):
    p = make_pooler(start=False, auth_type="hba", auth_file={"someone": "local"}, databases={"p0": pg.line(), "p1": pg.line(user="u_trust")})
    p.settings["auth_hba_file"] = os.path.join(p.dir, "hba.conf")
    p._put(p.settings["auth_hba_file"],
           f'host p0 all 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={ldap} ldapbasedn="dc=example,dc=net" # comment\n'
           "host p1 all 127.0.0.1/32 ldap ldapserver=127.0.0.1\n"
           "host p1 all 127.0.0.1/32 password\n")
    p.start()
    assert "hba.conf:2: warning: could not parse hba config line 2: ldapprefix, ldapsuffix or ldapbasedn must be given" in p.stderr()
    p.client("p0", "u_trust", "dir secret").ok("SELECT 1")
    p.client("p1", "someone", "local").ok("SELECT 1")
    assert refused(p, "u_trust", "wrong") == "LDAP authentication failed"


def test_a_directory_that_is_silent_holds_up_nobody(make_pooler, pg):
    """A server that accepts and never answers: others are served, the client may time out or leave."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        p = make_pooler(start=False, auth_type="hba", auth_file={"someone": "x", "admin": "adm"}, worker_threads=1,
                        client_login_timeout=1, databases={"p0": pg.line(user="u_trust"), "p1": pg.line(user="u_trust")})
        p.settings["auth_hba_file"] = os.path.join(p.dir, "hba.conf")
        p._put(p.settings["auth_hba_file"],
               f"host p0 all all ldap ldapserver=127.0.0.1 ldapport={port} {SIMPLE}\nhost all all all password\n")
        p.start()
        c = p.raw()
        c.startup(user="someone", database="p0")
        c.expect("R")
        c.send(wire.message("p", b"secret\0"))
        before = time.monotonic()
        p.client("p1", "someone", "x").ok("SELECT 1")
        assert time.monotonic() - before < 5  # the directory's time limits are 5 and 10 seconds
        assert c.fatal()["M"] == "client_login_timeout"
        d = p.raw()
        d.startup(user="someone", database="p0")
        d.expect("R")
        d.send(wire.message("p", b"secret\0"))
        d.close()
        p.client("p1", "someone", "x").ok("SELECT 1")
        p.stop()  # does not wait for the directory


def test_a_directory_that_is_not_there_is_told_to_the_log(make):
    p = make(f"ldapserver=127.0.0.1 ldapport={free_port()} {SIMPLE}")
    assert refused(p, "u_trust", "dir secret") == "LDAP authentication failed"
    p.wait_log("login refused: cannot bind to the LDAP server as the user")


def test_auth_user_of_a_line_and_a_directory_do_not_go_together(make, ldap, pg):
    """The global auth_user may stay in the file: with a directory nobody asks it."""
    p = make(f"ldapserver=127.0.0.1 ldapport={ldap} {SIMPLE}", auth_user="u_md5",
             databases={"p0": pg.line(), "p1": pg.line(auth_user="u_md5")})
    p.client("p0", "u_trust", "dir secret").ok("SELECT 1")
    assert refused(p, "u_trust", "wrong") == "LDAP authentication failed"
    assert refused(p, "u_trust", "dir secret", "p1") == "bouncer config error"
    p.wait_log("LDAP can't be used together with database authentication")
