# SPDX-License-Identifier: ISC
"""Lists of hosts and names with several addresses: in turn, and past those that do not answer."""
import re
import socket
import threading

import pytest

from support import wire
from support.dns import NameServer
from support.tap import FakeSession, Tap
from support.util import have_ipv6, wait_until

DEAD = "127.0.0.9"  # nothing listens there: refused at once


def addresses(p):
    return sorted(s["addr"] for s in p.console().servers())


def busy(p, n):
    """n clients in a transaction, so n servers."""
    clients = [p.client() for _ in range(n)]
    for c in clients:
        c.ok("BEGIN")
    return clients


def refusals(p):
    return len(re.findall(r"closing because: connect failed", p.log()))


@pytest.mark.newer
@pytest.mark.skipif(not have_ipv6(), reason="no IPv6")
def test_round_robin(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host="127.0.0.1,::1")})
    busy(p, 4)
    assert addresses(p) == ["127.0.0.1"] * 2 + ["::1"] * 2


@pytest.mark.newer
@pytest.mark.parametrize("how", ["round-robin", "disable"])
def test_each_host_has_its_port(make_pooler, pg, how, workers):
    other = Tap(pg.port)
    p = make_pooler(databases={"p0": pg.line(host="127.0.0.1,127.0.0.1", port=f"{pg.port},{other.port}", load_balance_hosts=how)}, **workers)
    busy(p, 4)
    ports = sorted(int(s["port"]) for s in p.console().servers())
    assert ports == (sorted([pg.port] * 2 + [other.port] * 2) if how == "round-robin" else [pg.port] * 4)
    assert next(r for r in p.console().show("DATABASES") if r["name"] == "p0")["port"] == str(pg.port)
    other.close()


@pytest.mark.newer
def test_the_second_port_when_nobody_listens_on_the_first(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host="127.0.0.1,127.0.0.1", port=f"1,{pg.port}")})
    busy(p, 2)
    assert [int(s["port"]) for s in p.console().servers()] == [pg.port] * 2


@pytest.mark.newer
def test_a_folder_in_the_list(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host=f"127.0.0.1,{pg.dir}")})
    busy(p, 4)
    assert addresses(p) == ["127.0.0.1"] * 2 + ["unix"] * 2


@pytest.mark.differs  # PgBouncer's first client waits for server_login_retry
@pytest.mark.parametrize("how", ["round-robin", "disable"])
def test_dead_host_is_passed_over(make_pooler, pg, how, workers):
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.1", load_balance_hosts=how)}, query_wait_timeout="5", **workers)
    busy(p, 6)
    assert addresses(p) == ["127.0.0.1"] * 6
    assert refusals(p) >= 1


@pytest.mark.differs
def test_failure_is_remembered(make_pooler, pg):
    """Within server_login_retry nobody asks the dead host again; after it somebody does."""
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.1")}, server_login_retry="2", worker_threads=1)
    p.client().ok("SELECT 1")
    assert refusals(p) == 1
    busy(p, 5)
    assert refusals(p) == 1

    def asked_again():
        p.console().do("RECONNECT p0")
        p.client().ok("SELECT 1")
        return refusals(p) > 1
    wait_until(asked_again, every=0.2)


@pytest.mark.differs
def test_disable_stays_where_it_worked(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.1", load_balance_hosts="disable")}, server_login_retry="0.1")
    for _ in range(5):
        p.client().ok("SELECT 1")
        p.console().do("RECONNECT p0")
    assert refusals(p) == 1


@pytest.mark.differs
def test_silent_host_is_passed_over(make_pooler, pg):
    """It accepts and says nothing: after server_connect_timeout the next host gets its chance, and the client its answer."""
    with socket.create_server(("127.0.0.2", pg.port)):
        p = make_pooler(databases={"p0": pg.line(host="127.0.0.2,127.0.0.1")}, server_connect_timeout="1", query_wait_timeout="8",
                        worker_threads=1)
        assert p.client().one("SELECT 1") == "1"
        p.wait_log(r"closing because: connect timeout")


@pytest.mark.differs
@pytest.mark.parametrize("how", ["round-robin", "disable"])
def test_host_that_takes_nobody_now_is_passed_over(make_pooler, pg, how):
    """Shutting down, or not up yet: the others serve meanwhile, and nobody is told about it."""
    with socket.create_server(("127.0.0.2", pg.port)) as listener:
        def refuse():
            while True:
                try:
                    s = FakeSession(listener.accept()[0])
                except OSError:
                    return
                s.read_startup()
                s.error("the database system is shutting down", "57P03", "FATAL")
                s.close()
        threading.Thread(target=refuse, daemon=True).start()
        p = make_pooler(databases={"p0": pg.line(host="127.0.0.2,127.0.0.1", load_balance_hosts=how)}, query_wait_timeout="5")
        busy(p, 6)
        assert addresses(p) == ["127.0.0.1"] * 6
        p.wait_log("connect failed: the database system is shutting down")
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.differs
def test_unknown_name_is_passed_over(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host="no-such-host.invalid,127.0.0.1")})
    assert p.client().one("SELECT 1") == "1"
    p.wait_log(r"closing because: server DNS lookup failed")


def test_all_dead(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.8")}, query_wait_timeout="1", server_login_retry="0.3")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["M"] == "query_wait_timeout"
    p.wait_log(r"closing because: connect failed", count=4)


def test_host_that_comes_back(make_pooler, pg):
    """All are dead, then the second one is there: who waits is served."""
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.7")}, server_login_retry="0.3")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    p.wait_log(r"closing because: connect failed", count=2)
    with socket.create_server(("127.0.0.7", pg.port)) as listener:
        def relay():
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", pg.port))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(a, b), daemon=True).start()

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threading.Thread(target=relay, daemon=True).start()
        c.authenticate("postgres", None)
        assert c.one("SELECT 1") == "1"
        c.close()
        p.stop()


@pytest.fixture
def named(make_pooler, pg):
    """named({name: addresses}, ttl=, setting=...): a name server, and a pooler that asks it for db.test."""
    servers = []

    def start(names, ttl=60, **settings):
        try:
            dns = NameServer(names, ttl)
        except PermissionError:
            pytest.skip("port 53 is not for us: run as root")
        servers.append(dns)
        settings.setdefault("databases", {"p0": pg.line(host="db.test")})
        settings.setdefault("worker_threads", 1)
        p = make_pooler(start=False, **settings)
        p.settings["resolv_conf"] = f"{p.dir}/resolv.conf"
        p._put(p.settings["resolv_conf"], dns.resolv_conf())
        p.start()
        return p, dns
    yield start
    for dns in servers:
        dns.close()


@pytest.mark.differs  # in PgBouncer a dead address fails the connect
def test_addresses_of_a_name(named):
    """The dead one is passed over; the name is asked for once, and shown."""
    p, dns = named({"db.test": [DEAD, "127.0.0.1"]})
    busy(p, 4)
    assert addresses(p) == ["127.0.0.1"] * 4
    assert refusals(p) >= 1
    assert dns.asked == ["db.test"]
    (host,) = p.console().show("DNS_HOSTS")
    assert host["hostname"] == "db.test" and set(host["addrs"].split(",")) == {DEAD, "127.0.0.1"} and 0 <= int(host["ttl"]) <= 15
    assert {r["list"]: r["items"] for r in p.console().show("LISTS")}["dns_names"] == "1"


@pytest.mark.newer
@pytest.mark.parametrize("ttl, kept", [("60", True), ("0", False)])
def test_dns_max_ttl(named, ttl, kept):
    p, dns = named({"db.test": ["127.0.0.1"]}, dns_max_ttl=ttl)
    busy(p, 3)
    assert (len(dns.asked) == 1) == kept


@pytest.mark.newer
def test_dns_nxdomain_ttl(named):
    """A failure is kept for its own time; then the name is asked for again, and whoever waits is served."""
    p, dns = named({}, dns_nxdomain_ttl="1", server_login_retry="0.2")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    p.wait_log("server DNS lookup failed", count=3)
    assert dns.asked.count("db.test") == 1
    dns.names["db.test"] = ["127.0.0.1"]
    c.authenticate("postgres", None)
    assert dns.asked.count("db.test") == 2


@pytest.mark.poolwise  # PgBouncer goes on with what it knows, up to dns_max_ttl
def test_reconnect_asks_for_names_again(named):
    p, dns = named({}, ttl=600, dns_max_ttl="600", dns_nxdomain_ttl="600", server_login_retry="600")
    waits = p.raw()
    waits.startup(user="postgres", database="p0")
    p.wait_log("server DNS lookup failed")
    dns.names["db.test"] = ["127.0.0.1"]
    p.console().do("RECONNECT")
    waits.authenticate("postgres", None)
    assert waits.one("SELECT 1") == "1" and dns.asked.count("db.test") == 2
    p.console().do("RECONNECT")
    assert waits.one("SELECT 1") == "1" and dns.asked.count("db.test") == 3


def items(p, *lists):
    found = {r["list"]: r["items"] for r in p.console().show("LISTS")}
    return [int(found[name]) for name in lists]


@pytest.mark.poolwise  # dns_pending is always 0 in PgBouncer
def test_dns_queries_and_who_waits_for_them(named, pg):
    """A name server that is silent: one question, and everybody who waits for its answer."""
    p, dns = named({"db.test": ["127.0.0.1"]}, databases={"p0": pg.line(host="db.test"), "same": pg.line(host="DB.test")})
    assert items(p, "dns_queries", "dns_pending") == [0, 0]
    dns.silent = True
    clients = []
    for database, waiting in (("p0", 1), ("same", 2)):
        clients.append(p.raw())
        clients[-1].startup(user="postgres", database=database)
        wait_until(lambda n=waiting: items(p, "dns_queries", "dns_pending") == [1, n])
    dns.silent = False
    for c in clients:
        c.authenticate("postgres", None)
    assert items(p, "dns_queries", "dns_pending") == [0, 0]


@pytest.fixture
def second_address(pg):
    """The server answers at 127.0.0.2 too."""
    tap = Tap(pg.port, listen_host="127.0.0.2", listen_port=pg.port)
    yield tap
    tap.close()


@pytest.mark.newer
def test_an_address_that_its_name_loses(named, pg, second_address):
    """Its servers are replaced: idle ones at once, those in use when they are released. Others stay."""
    lines = {"p0": pg.line(host="db.test"), "same": pg.line(host="db.test"), "other": pg.line(host="127.0.0.1")}
    p, dns = named({"db.test": ["127.0.0.1"]}, databases=lines, dns_max_ttl="0")
    user, idle = busy(p, 2)
    idle.ok("COMMIT")
    other = p.client("other")
    before = [c.one("SELECT pg_backend_pid()") for c in (user, other)]
    dns.names["db.test"] = ["127.0.0.2"]
    p.client("same").ok("SELECT 1")
    p.wait_log("closing because: obsolete connection")
    assert [c.one("SELECT pg_backend_pid()") for c in (user, other)] == before
    assert [(s["addr"], s["close_needed"]) for s in p.console().servers()] == [("127.0.0.1", "1")]
    user.ok("COMMIT")
    p.wait_log("closing because: obsolete connection", count=2)
    assert user.one("SELECT 1") == "1"
    assert addresses(p) == ["127.0.0.2"]
    assert other.one("SELECT pg_backend_pid()") == before[1]


@pytest.mark.newer
def test_dns_zone_check_period(named, second_address, workers):
    """A new serial number makes every worker ask for the names of the zone again, long before dns_max_ttl is over."""
    p, dns = named({"db.test": ["127.0.0.1"]}, dns_zone_check_period="0.2", dns_max_ttl="1000", **workers)
    dns.serials["test"] = 7
    n = workers["worker_threads"]
    busy(p, 2 * n)
    asked = len(dns.asked)
    wait_until(lambda: p.console().show("DNS_ZONES") == [{"zonename": "test", "serial": "7", "count": "1"}])
    assert items(p, "dns_names", "dns_zones") == [1, 1]
    assert len(dns.asked) == asked and addresses(p) == ["127.0.0.1"] * 2 * n
    dns.names["db.test"] = ["127.0.0.2"]
    dns.serials["test"] = 8
    p.wait_log("zone 'test' serial changed: old=7 new=8")
    wait_until(lambda: len(dns.asked) == 2 * asked)
    wait_until(lambda: [s["close_needed"] for s in p.console().servers()] == ["1"] * 2 * n)
    new = p.client()
    new.ok("BEGIN")
    assert addresses(p) == ["127.0.0.1"] * 2 * n + ["127.0.0.2"]
    assert p.console().show("DNS_ZONES")[0]["serial"] == "8"


@pytest.mark.newer
def test_zones_are_left_alone(named):
    """dns_zone_check_period = 0, the default: no serial numbers."""
    p, dns = named({"db.test": ["127.0.0.1"]})
    dns.serials["test"] = 7
    busy(p, 1)
    assert p.console().show("DNS_ZONES") == [{"zonename": "test", "serial": "0", "count": "1"}]


@pytest.mark.differs
def test_replication_passes_over_a_dead_host_too(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(host=f"{DEAD},127.0.0.1")})
    c = p.raw()
    c.startup(user="postgres", database="p0", replication="database")
    c.authenticate("postgres", None)
    assert c.one("SELECT 1") == "1"
