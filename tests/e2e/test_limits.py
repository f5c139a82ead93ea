# SPDX-License-Identifier: ISC
"""Every limit is exact: reached, and never passed."""
import threading

import pytest

from support import wire
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def hold(p, n, database="p0", user="postgres"):
    """n clients, each in a transaction."""
    clients = [p.client(database, user) for _ in range(n)]
    for c in clients:
        c.ok("BEGIN")
    return clients


def start_waiting(p, database="p0", user="postgres"):
    c = p.client(database, user)
    c.send(wire.query(PID))
    return c


def test_pool_size_is_reached_and_not_passed(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=3, **workers)
    holders = hold(p, 3)
    waiters = [start_waiting(p) for _ in range(5)]
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 5)
    row = con.pool()
    assert (row["cl_active"], row["sv_active"], row["sv_idle"]) == (3, 3, 0)
    assert len(pg.backends()) == 3
    holders[0].ok("COMMIT")
    for w in waiters:
        w.until_ready()
    assert len(pg.backends()) == 3


def test_pool_size_under_churn(make_pooler, pg, workers):
    """Thirty clients run short transactions; the number of server connections is watched all the time."""
    p = make_pooler(default_pool_size=4, **workers)
    seen, done = [], threading.Event()

    def watch():
        conn = pg.connect("postgres")
        while not done.is_set():
            seen.append(conn.execute("SELECT count(*) FROM pg_stat_activity WHERE datname='p0'"
                                     " AND backend_type='client backend'").fetchone()[0])
        conn.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = []

    def work():
        try:
            c = wire.Conn(p.port).login("postgres", "p0")
            for _ in range(20):
                c.ok("BEGIN")
                c.ok(PID)
                c.ok("COMMIT")
            c.close()
        except Exception as e:  # collected for the assertion
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done.set()
    watcher.join()
    assert not errors
    assert max(seen) <= 4 and len(seen) > 3


def test_pool_size_of_a_database(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(pool_size=1)}, default_pool_size=5)
    hold(p, 1)
    start_waiting(p)
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    assert len(pg.backends()) == 1


def test_one_pool_for_each_user(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    hold(p, 1, user="postgres")
    hold(p, 1, user="u_trust")
    assert len(pg.backends(user="postgres")) == len(pg.backends(user="u_trust")) == 1


def test_forced_user_makes_one_pool(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(user="u_trust")}, default_pool_size=1)
    assert p.client(user="postgres").one("SELECT current_user") == "u_trust"
    assert p.client(user="u_plain").one("SELECT current_user") == "u_trust"
    assert len(pg.backends()) == 1


def test_max_client_conn(make_pooler):
    p = make_pooler(max_client_conn=3)
    clients = [p.client() for _ in range(3)]
    extra = p.raw()
    extra.startup(user="postgres", database="p0")
    err = extra.fatal()
    assert (err["S"], err["C"]) == ("FATAL", "08P01")
    assert err["M"] == "no more connections allowed (max_client_conn)"
    clients[0].send(wire.terminate())
    clients[0].until_closed()

    def fits_again():
        try:
            return p.client()
        except wire.ServerError:
            return None
    assert wait_until(fits_again).one("SELECT 1") == "1"


@pytest.mark.newer
def test_max_client_conn_does_not_lock_out_the_admin(make_pooler):
    p = make_pooler(max_client_conn=1)
    p.client().ok("SELECT 1")
    assert p.console().do("SHOW VERSION") == "SHOW"


def test_max_db_connections_over_two_pools(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=5, max_db_connections=2, **workers)
    hold(p, 1, user="postgres")
    held = hold(p, 1, user="u_trust")
    w = start_waiting(p, user="postgres")
    con = p.console()
    wait_until(lambda: con.pool(user="postgres")["cl_waiting"] == 1)
    assert len(pg.backends()) == 2
    held[0].ok("COMMIT")  # the other pool's server is now idle: it must be evicted for the waiter
    assert w.until_ready().rows
    wait_until(lambda: len(pg.backends()) <= 2, what="the evicted backend ended")


def test_max_db_connections_eviction_of_an_idle_server(make_pooler, pg, workers):
    p = make_pooler(default_pool_size=5, max_db_connections=1, **workers)
    idle = p.client(user="u_trust")
    idle.ok("SELECT 1")
    assert p.client(user="postgres").one("SELECT current_user") == "postgres"
    assert len(pg.backends()) == 1
    assert idle.one("SELECT current_user") == "u_trust"


def test_max_user_connections_over_two_databases(make_pooler, pg):
    p = make_pooler(default_pool_size=5, max_user_connections=1)
    first = hold(p, 1, "p0")
    w = p.raw()  # a cold pool: the login itself needs a server
    w.startup(user="postgres", database="p1")
    p.wait_log(r"p1/postgres@\S+ login attempt")
    assert first[0].one("SELECT 1") == "1"
    assert pg.backends("p1") == [] and not w.readable()
    first[0].ok("COMMIT")
    w.authenticate("postgres", None)
    assert w.one("SELECT 1") == "1"
    assert len(pg.backends("p0")) + len(pg.backends("p1")) == 1


def test_max_user_connections_of_one_user(make_pooler, pg):
    p = make_pooler(default_pool_size=5, users={"u_trust": "max_user_connections=1"})
    hold(p, 1, user="u_trust")
    start_waiting(p, user="u_trust")
    con = p.console()
    wait_until(lambda: con.pool(user="u_trust")["cl_waiting"] == 1)
    assert len(pg.backends(user="u_trust")) == 1
    hold(p, 3, user="postgres")
    assert len(pg.backends(user="postgres")) == 3


@pytest.mark.newer
@pytest.mark.parametrize("setting, text", [
    ({"max_db_client_connections": 1}, "client connections exceeded (max_db_client_connections)"),
    ({"max_user_client_connections": 1}, "client connections exceeded (max_user_client_connections)")])
def test_client_caps(make_pooler, setting, text):
    p = make_pooler(**setting)
    first = p.client()
    with pytest.raises(wire.ServerError) as e:
        p.client()
    assert (e.value.severity, e.value.code, e.value.message) == ("FATAL", "08P01", text)
    first.send(wire.terminate())
    first.until_closed()
    p.wait_log("closing because: client close request")
    p.client().ok("SELECT 1")


def test_reserve_pool_helps_after_its_timeout(make_pooler, pg):
    p = make_pooler(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=1)
    hold(p, 1)
    w = start_waiting(p)
    assert w.until_ready().rows
    p.wait_log("taking connection from reserve_pool")
    assert len(pg.backends()) == 2


def test_reserve_pool_is_bounded(make_pooler, pg):
    p = make_pooler(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=1)
    hold(p, 1)
    held = start_waiting(p)
    held.until_ready()
    held.ok("BEGIN")
    start_waiting(p)
    con = p.console()
    wait_until(lambda: con.pool()["maxwait"] >= 2)
    assert len(pg.backends()) == 2


def test_min_pool_size_is_kept_warm(make_pooler, pg, workers):
    p = make_pooler(databases={"p0": pg.line(user="postgres")}, min_pool_size=3, default_pool_size=5, **workers)
    p.client().ok("SELECT 1")
    wait_until(lambda: len(pg.backends()) == 3)
    pg.sql("SELECT pg_terminate_backend(%s)", pg.backends()[0])
    wait_until(lambda: len(pg.backends()) == 2 or p.log().count("new connection to server") >= 4)
    wait_until(lambda: len(pg.backends()) == 3)


def test_min_pool_size_without_clients_for_a_forced_user(make_pooler, pg, reference):
    p = make_pooler(databases={"p0": pg.line(user="postgres", min_pool_size=2)})
    if reference:
        p.client().ok("SELECT 1")  # 1.18 starts to fill a pool only at its first client
    wait_until(lambda: len(pg.backends()) == 2)


def test_limit_raised_by_reload_serves_the_waiters(make_pooler, workers):
    p = make_pooler(default_pool_size=1, **workers)
    hold(p, 1)
    w = start_waiting(p)
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    p.reload(con, default_pool_size=2)
    assert w.until_ready().rows


def test_limit_lowered_by_reload_is_reached_by_closing_idle_servers(make_pooler, workers):
    p = make_pooler(default_pool_size=3, server_idle_timeout=600, **workers)
    for c in hold(p, 3):
        c.ok("COMMIT")
    con = p.console()
    assert len(con.servers()) == 3
    p.reload(con, default_pool_size=1)
    wait_until(lambda: len(con.servers()) <= 1)
    p.wait_log("closing because: too many servers in the pool", count=2)
    held = p.client()
    held.ok("BEGIN")
    w = start_waiting(p)
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    assert len(con.servers()) == 1
    held.ok("COMMIT")
    assert w.until_ready().rows


@pytest.mark.poolwise  # PgBouncer closes idle servers only: with waiters there are none
def test_limit_lowered_under_load_is_reached_release_by_release(make_pooler, workers):
    p = make_pooler(default_pool_size=3, reserve_pool_size=1, reserve_pool_timeout=1000, query_wait_timeout=0, **workers)
    a, b, c = hold(p, 3)
    waiting = [start_waiting(p) for _ in range(2)]
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 2)
    con.do("SET default_pool_size = 1")
    a.ok("COMMIT")
    wait_until(lambda: (con.pool()["sv_active"], con.pool()["cl_waiting"]) == (2, 2))
    b.ok("COMMIT")  # two are what pool and reserve allow: this one goes round
    for w in waiting:
        assert w.until_ready().rows
    assert len(con.servers()) == 2
    con.do("SET reserve_pool_size = 0")
    wait_until(lambda: len(con.servers()) == 1)
    c.ok("COMMIT")


@pytest.mark.newer
@pytest.mark.parametrize("setting", ["max_db_client_connections", "max_user_client_connections"])
def test_consoles_count_and_only_admins_pass_the_limit(make_pooler, setting):
    p = make_pooler(**{setting: 2})
    first, second = p.console("stats"), p.console("stats")
    databases = {r["name"]: r for r in first.show("DATABASES")}
    assert databases["pgbouncer"]["current_client_connections"] == "2"
    users = {r["name"]: r for r in first.show("USERS")}
    assert users["stats"]["current_client_connections"] == "2"
    with pytest.raises(wire.ServerError, match=setting):
        p.console("stats")
    admins = [p.console() for _ in range(3)]
    second.close()
    wait_until(lambda: {r["name"]: r for r in admins[0].show("USERS")}["stats"]["current_client_connections"] == "1")
    for con in admins:
        con.close()
    wait_until(lambda: {r["name"]: r for r in first.show("DATABASES")}["pgbouncer"]["current_client_connections"] == "1")
    p.console("stats")


def test_totals_count_the_command_that_asks(make_pooler):
    con = make_pooler().console()
    before = {r["name"]: int(r["value"]) for r in con.show("TOTALS")}
    after = {r["name"]: int(r["value"]) for r in con.show("TOTALS")}
    assert (before["total_query_count"], after["total_query_count"]) == (1, 2)
    assert (before["total_xact_count"], after["total_xact_count"]) == (1, 2)
