# SPDX-License-Identifier: ISC
"""auth_type = hba: rules by connection, database, user and address; identity maps; peer."""
import os
import pwd
import subprocess

import pytest

from support.pooler import Console, refused
from support.util import have_ipv6, run_as, server_user
from support.wire import md5_secret, scram_secret

USERS = {"someone": "secret", "other": md5_secret("other", "secret"), "scrammer": scram_secret("secret"),
         "admin": "adm", "bob": "bob"}
CONSOLE = "host pgbouncer admin 127.0.0.1/32 password\n"


@pytest.fixture
def hba(make_pooler, pg):
    """hba(rules, ident=text): a pooler with these files; .put(rules, ident) writes them again."""

    def make(rules, ident=None, auth_file=None, **settings):
        databases = settings.pop("databases", {d: pg.line(d, user="u_trust") for d in ("p0", "p1", "bob")})
        databases["bob"] = pg.line("p0", user="u_trust")
        p = make_pooler(start=False, databases=databases, auth_type="hba", auth_file=auth_file or USERS, **settings)
        p.settings["auth_hba_file"] = os.path.join(p.dir, "hba.conf")
        if ident is not None:
            p.settings["auth_ident_file"] = os.path.join(p.dir, "ident.conf")

        def put(rules, ident=None):
            p._put(p.settings["auth_hba_file"], rules + CONSOLE)
            if ident is not None:
                p._put(p.settings["auth_ident_file"], ident)

        p.put = put
        put(rules, ident)
        return p.start()

    return make


def test_each_method_asks_for_its_own(hba):
    p = hba("host p0 someone 127.0.0.1/32 trust\n"
            "host p1 someone 127.0.0.1/32 password\n"
            "host p0 other   127.0.0.0 255.255.255.0 md5\n"
            "host p0 scrammer all md5\n"
            "host p1 scrammer all scram-sha-256\n"
            "host p1 other    all scram-sha-256\n"
            "host bob bob     all reject\n")
    assert p.client("p0", "someone").auth_methods == []
    assert p.client("p1", "someone", "secret").auth_methods == [3]
    assert p.client("p0", "other", "secret").auth_methods == [5]
    assert p.client("p0", "scrammer", "secret").auth_methods == [10, 11, 12]
    assert p.client("p1", "scrammer", "secret").auth_methods == [10, 11, 12]
    assert refused(p, "someone", "wrong", "p1") == "password authentication failed"
    assert refused(p, "other", "secret", "p1") == "SASL authentication failed"
    assert refused(p, "bob", None, "bob") == "login rejected"
    assert refused(p, "admin", "adm") == "no authentication method is found"
    p.wait_log("closing because: login rejected")
    p.wait_log("closing because: no authentication method is found")


def test_the_first_rule_that_fits_decides(hba):
    p = hba("host p0 bob all reject\nhost all all all trust\n")
    assert refused(p, "bob") == "login rejected"
    p.client("p0", "someone").ok("SELECT 1")


def test_local_is_the_unix_socket(hba):
    p = hba("local p0 all trust\nhost p1 all all trust\n")
    p.client("p0", "someone", unix=True).ok("SELECT 1")
    p.client("p1", "someone").ok("SELECT 1")
    assert refused(p, "someone") == "no authentication method is found"
    assert refused(p, "someone", None, "p1", unix=True) == "no authentication method is found"


def test_without_tls_hostssl_fits_nobody(hba):
    p = hba("hostssl p0 all all trust\nhostnossl p1 all all trust\nhost bob all all cert\n")
    assert refused(p, "someone") == "no authentication method is found"
    p.client("p1", "someone").ok("SELECT 1")
    assert refused(p, "bob", None, "bob") == "certificate authentication failed"


@pytest.mark.skipif(not have_ipv6(), reason="no IPv6")
def test_ipv6_rules(hba):
    p = hba("host p0 all ::1/128 trust\nhost p1 all 127.0.0.1/32 trust\n", listen_addr="127.0.0.1,::1")
    p.client("p0", "someone", host="::1").ok("SELECT 1")
    assert refused(p, "someone", None, "p1", host="::1") == "no authentication method is found"


def test_sameuser_quotes_and_name_files(hba):
    p = hba('host sameuser all all trust\nhost "p1" @names,"admin" all trust\nhost @nosuch all all trust\n')
    p.client("bob", "bob").ok("SELECT 1")
    assert refused(p, "someone", None, "bob") == "no authentication method is found"
    assert refused(p, "someone", None, "p1") == "no authentication method is found"  # @names is missing still
    p._put(os.path.join(p.dir, "names"), "# who may\nsomeone\n\nother, bob\n")
    Console(p.client("pgbouncer", "admin", "adm")).do("RELOAD")
    p.client("p1", "someone").ok("SELECT 1")
    p.client("p1", "bob").ok("SELECT 1")
    assert refused(p, "scrammer", None, "p1") == "no authentication method is found"


def test_bad_lines_are_told_and_skipped(hba):
    p = hba("nonsense\nhost p0 all 1.2.3.4/99 trust\nhost p0 all localhost trust\nhost p0 +g all trust\n"
            "host p0 all all peer map=nosuch\nhost p0 all all trust\n")
    p.client("p0", "someone").ok("SELECT 1")
    for line in range(1, 6):
        assert f"hba.conf:{line}: warning: could not parse hba config line {line}: " in p.stderr()
    Console(p.client("pgbouncer", "admin", "adm")).do("RELOAD")
    p.wait_log(r"WARNING .*hba\.conf:3: warning: could not parse hba config line 3: not an address")


def test_reload_and_set_change_the_rules(hba):
    p = hba("host p0 all all reject\n")
    assert refused(p, "someone") == "login rejected"
    p.put("host p0 all all trust\n")
    con = Console(p.client("pgbouncer", "admin", "adm"))
    assert refused(p, "someone") == "login rejected"
    con.do("RELOAD")
    c = p.client("p0", "someone")
    other = os.path.join(p.dir, "other.conf")
    p._put(other, "host p0 someone all reject\nbroken\n" + CONSOLE)
    con.do(f"SET auth_hba_file='{other}'")
    p.wait_log("could not parse hba config line 2: unknown type of connection")
    assert refused(p, "someone") == "login rejected"
    con.do("SET auth_type='plain'")
    p.client("p0", "someone", "secret").ok("SELECT 1")
    c.ok("SELECT 1")  # who is in stays in


def test_a_file_that_is_gone_leaves_the_rules_in_use(hba):
    """RELOAD says so and changes nothing; PgBouncer lets nobody in any more, its operator included."""
    p = hba("host all all all trust\n")
    rules = p.settings["auth_hba_file"]
    os.rename(rules, rules + ".away")
    con = Console(p.client("pgbouncer", "admin", "adm"))
    assert con.run("RELOAD").error
    p.wait_log("could not open hba config file: No such file or directory")
    p.client("p0", "someone").ok("SELECT 1")
    assert "cannot be read: the rules in use stay" in con.run(f"SET auth_hba_file='{rules}x'").error["D"]
    assert con.run(f"SET auth_ident_file='{rules}x'").error
    p.client("p0", "someone").ok("SELECT 1")
    os.rename(rules + ".away", rules)
    con.do("RELOAD")


def test_started_without_the_file_nobody_gets_in(hba):
    p = hba("host all all all trust\n")
    p.stop()
    os.unlink(p.settings["auth_hba_file"])
    p.start()
    assert "could not open hba config file" in p.stderr()
    assert refused(p, "someone") == "no authentication method is found"


def unix_login(p, user, database="p0", as_user=None):
    """psql over the unix socket as an account of this machine; its output or its error."""
    who = run_as(as_user) if as_user else {}
    r = subprocess.run(["psql", "-XAtqw", "-h", p.dir, "-p", str(p.port), "-U", user, "-d", database, "-c", "SELECT 1"],
                       capture_output=True, text=True, check=False, **who)
    return r.stdout.strip() or r.stderr


def test_peer(hba):
    me = pwd.getpwuid(os.geteuid()).pw_name
    p = hba("local p0 all peer\nhost p0 all all peer\n", auth_file={**USERS, me: ""})
    p.client("p0", me, unix=True).ok("SELECT 1")
    assert refused(p, "someone", unix=True) == "unix socket login rejected"
    assert refused(p, me) == "unix socket login rejected"  # over TCP nobody is anybody
    assert refused(p, "stranger", unix=True) == "unix socket login rejected"


@pytest.mark.skipif(os.geteuid() != 0, reason="not run as root")
def test_peer_knows_accounts_apart(hba):
    account = server_user()
    p = hba("local p0 all peer\n", auth_file={**USERS, account.pw_name: "", "root": ""})
    assert unix_login(p, account.pw_name, as_user=account) == "1"
    assert "unix socket login rejected" in unix_login(p, "root", as_user=account)
    assert "unix socket login rejected" in unix_login(p, account.pw_name)
    assert unix_login(p, "root") == "1"


def test_peer_with_an_identity_map(hba):
    me = pwd.getpwuid(os.geteuid()).pw_name
    p = hba("local p0 all peer map=mymap\nlocal p1 all peer map=everybody\n",
            f"mymap {me} someone\nmymap {me} other\nmymap nosuchaccount bob\neverybody {me} all\n")
    p.client("p0", "someone", unix=True).ok("SELECT 1")
    p.client("p0", "other", unix=True).ok("SELECT 1")
    assert refused(p, "bob", unix=True) == "unix socket login rejected"
    p.wait_log("p0/bob@unix.* ident map mymap cannot be matched")
    p.client("p1", "bob", unix=True).ok("SELECT 1")
    p.put("local p0 all peer map=mymap\n", f"mymap {me} bob\n")
    Console(p.client("pgbouncer", "admin", "adm")).do("RELOAD")
    p.client("p0", "bob", unix=True).ok("SELECT 1")
    assert refused(p, "someone", unix=True) == "unix socket login rejected"


def test_the_console_has_rules_too(hba):
    p = hba("host pgbouncer bob all trust\n", stats_users="bob")
    p.client("pgbouncer", "admin", "adm")
    p.client("pgbouncer", "bob").ok("SHOW VERSION")
    assert refused(p, "someone", None, "pgbouncer") == "no authentication method is found"
