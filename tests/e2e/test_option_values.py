# SPDX-License-Identifier: ISC
"""Options that other files use but do not compare: with one value the pooler does this, with another that. Also those of one line."""
import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


@pytest.mark.parametrize("users, may", [("admin", False), ("admin, u_trust", True)])
def test_admin_users(make_pooler, users, may):
    p = make_pooler(admin_users=users)
    if may:
        con = p.console("u_trust")
        con.do("PAUSE")
        con.do("RESUME")
    else:
        with pytest.raises(wire.ServerError, match="not allowed"):
            p.client("pgbouncer", "u_trust")


@pytest.mark.parametrize("query, left", [("DISCARD ALL", "4MB"), ("", "7MB"), ("RESET ROLE", "7MB")])
def test_server_reset_query(make_pooler, query, left):
    p = make_pooler(pool_mode="session", default_pool_size=1, server_reset_query=query)
    a = p.client()
    a.ok("SET work_mem = '7MB'")
    a.send(wire.terminate())
    assert p.client().one("SHOW work_mem") == left


@pytest.mark.poolwise
@pytest.mark.parametrize("limit", [1, 0])
def test_server_recovery_timeout(make_pooler, fake, limit):
    """A server whose client died, and that does not heed the cancel: closed after a while, or (0) never."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, server_recovery_timeout=limit)
    a, session = fake.login(p)
    a.send(wire.query("SELECT 1"))
    session.recv()
    a.close()
    fake.accept_raw().close()  # the cancel
    if limit:
        p.wait_log("closing because: server_recovery_timeout")
    else:
        wait_until(lambda: p.console().pool()["sv_tested"] == 1)
        session.error("canceling statement due to user request", "57014")
        session.send(wire.message("Z", b"I"))
        wait_until(lambda: p.console().pool()["sv_idle"] == 1)
        assert "server_recovery_timeout" not in p.log()


@pytest.mark.newer
@pytest.mark.parametrize("names", ["IntervalStyle", ""])
def test_track_extra_parameters(make_pooler, names):
    """What is tracked is also accepted in the start-up packet. PgBouncer takes IntervalStyle in any case since 1.26."""
    p = make_pooler(track_extra_parameters=names, session_state="off", default_pool_size=1)
    a, b = p.client(IntervalStyle="iso_8601"), p.client()
    for _ in range(2):
        assert [c.one("SELECT interval '1 day'") for c in (a, b)] == ["P1D", "1 day"]


@pytest.mark.poolwise
@pytest.mark.parametrize("mode, state", [("transaction", "track"), ("transaction", "off"), ("session", "off")])
def test_track_extra_parameters_that_no_server_reports(make_pooler, mode, state):
    """What the start-up packet asks for is set for its client, and for nobody else."""
    p = make_pooler(track_extra_parameters="enable_seqscan, search_path", session_state=state, pool_mode=mode, default_pool_size=4 if mode == "session" else 1)
    a, b, c = p.client(options="-c enable_seqscan=off"), p.client(), p.client(search_path="information_schema, pg_catalog")
    assert "enable_seqscan" not in a.params
    for _ in range(2):
        assert [x.one("SHOW enable_seqscan") for x in (a, b, c)] == ["off", "on", "on"]
        assert [x.one("SHOW search_path") for x in (c, b)] == ["information_schema, pg_catalog", '"$user", public']
    with pytest.raises(wire.ServerError, match="invalid server parameter"):
        p.client(options="-c enable_seqscan=perhaps").ok("SELECT 1")


@pytest.mark.parametrize("on", [0, 1])
def test_log_stats(make_pooler, on):
    p = make_pooler(log_stats=on, stats_period=1)
    con, c = p.console(), p.client()
    wait_until(lambda: c.one("SELECT 1") and con.stats("p0")["avg_query_count"])  # a period has passed
    if on:
        p.wait_log("LOG stats: ")
    assert ("LOG stats: " in p.log()) == bool(on)


@pytest.mark.parametrize("period", [1, 60])
def test_stats_period(make_pooler, period):
    """Averages are of the last period that is over."""
    p = make_pooler(stats_period=period, log_stats=0)
    con, c = p.console(), p.client()
    c.ok("SELECT 1")
    assert con.stats("p0")["total_query_count"] == 1
    if period == 1:
        wait_until(lambda: c.one("SELECT 1") and con.stats("p0")["avg_query_count"])
    else:
        assert con.stats("p0")["avg_query_count"] == 0


# ---- of one database or user

@pytest.mark.newer
@pytest.mark.parametrize("database, user", [(None, None), ("1", None), ("60", "1"), (None, "1"), ("1", "60")])
def test_query_wait_timeout_of_one_line(make_pooler, pg, database, user):
    """The user's beats the database's, which beats the global one."""
    line = pg.line("p0", **({"query_wait_timeout": database} if database else {}))
    p = make_pooler(databases={"p0": line}, users={"u_trust": f"query_wait_timeout={user}"} if user else {}, default_pool_size=1, query_wait_timeout="60")
    holder, waiter = p.client(user="u_trust"), p.client(user="u_trust")
    holder.ok("BEGIN")
    waiter.send(wire.query("SELECT 1"))
    if (user or database) == "1":
        assert waiter.fatal()["M"] == "query_wait_timeout"
    else:
        wait_until(lambda: p.console().pool(user="u_trust")["maxwait"] >= 1 and p.console().pool(user="u_trust")["maxwait_us"] > 300000)
        assert not waiter.readable()


@pytest.mark.parametrize("key, more", [("reserve_pool", 0), ("reserve_pool", 2), pytest.param("reserve_pool_size", 1, marks=pytest.mark.newer)])
def test_reserve_pool_size_of_a_database(make_pooler, pg, key, more):
    p = make_pooler(databases={"p0": pg.line("p0", **{key: more})}, default_pool_size=1, reserve_pool_timeout="0.2", query_wait_timeout=0)
    clients = [p.client() for _ in range(4)]
    for c in clients:
        c.send(wire.query("BEGIN"))
    con = p.console()
    wait_until(lambda: con.pool()["sv_active"] == 1 + more and con.pool()["cl_waiting"] == 3 - more and con.pool()["maxwait_us"] > 300000)


@pytest.mark.parametrize("most", [0, 2])
def test_max_db_connections_of_one_database(make_pooler, pg, most):
    """0 takes the global value, which is 1 here."""
    p = make_pooler(databases={"p0": pg.line("p0", max_db_connections=most)}, default_pool_size=5, max_db_connections=1, query_wait_timeout=0)
    for c in [p.client() for _ in range(3)]:
        c.send(wire.query("BEGIN"))
    wait_until(lambda: p.console().pool()["sv_active"] == (most or 1) and p.console().pool()["cl_waiting"] == 3 - (most or 1))


@pytest.mark.newer
def test_server_lifetime_of_one_database(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line("p0", server_lifetime=1), "p1": pg.line("p1")})
    a, b = p.client("p0"), p.client("p1")
    before = [c.one(PID) for c in (a, b)]
    wait_until(lambda: "closing because: server lifetime over" in p.log())
    assert a.one(PID) != before[0] and b.one(PID) == before[1]


@pytest.mark.poolwise
@pytest.mark.parametrize("database, user, left", [("track", None, "4MB"), ("off", None, "7MB"), ("off", "track", "4MB"), (None, "off", "7MB")])
def test_session_state_of_one_line(make_pooler, pg, database, user, left):
    line = pg.line("p0", **({"session_state": database} if database else {}))
    p = make_pooler(databases={"p0": line}, users={"u_trust": f"session_state={user}"} if user else {}, default_pool_size=1)
    a, b = p.client(user="u_trust"), p.client(user="u_trust")
    a.ok("SET work_mem = '7MB'")
    assert b.one("SHOW work_mem") == left


@pytest.mark.parametrize("name", [None, "fixed"])
def test_application_name_of_a_database(make_pooler, pg, name):
    """Given at the login to the server: what a client does not set stays so."""
    p = make_pooler(databases={"p0": pg.line("p0", **({"application_name": name} if name else {}))}, default_pool_size=1)
    c = p.client()
    c.ok("SELECT 1")
    assert p.console().servers()[0]["application_name"] == (name or "")


@pytest.mark.parametrize("name", [None, "LATIN1"])
def test_client_encoding_of_a_database(make_pooler, pg, name):
    p = make_pooler(databases={"p0": pg.line("p0", **({"client_encoding": name} if name else {}))}, default_pool_size=1)
    assert p.client().one("SHOW client_encoding") == (name or "UTF8")
