# SPDX-License-Identifier: ISC
"""Each counter against an independent count: of what a client itself sent, received and was answered."""
import json
import os
import struct
import time

import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


class Counting(wire.Conn):
    """Counts the bytes behind its login, both ways."""
    sent = received = 0

    def send(self, *parts):
        super().send(*parts)
        self.sent += sum(map(len, parts))

    def _fill(self, end):
        before = len(self.buf)
        super()._fill(end)
        self.received += len(self.buf) - before

    def login(self, *args, **params):
        super().login(*args, **params)
        self.sent = self.received = 0
        return self


class Scene:
    """One pooler, and the clients of one case."""

    def __init__(self, pooler):
        self.p, self.con, self.conns = pooler, pooler.console(), []

    def client(self, **params):
        c = self.p.keep(Counting(self.p.port)).login("postgres", "p0", **params)
        self.conns.append(c)
        return c

    def only_one_server(self):
        """The other one is in a transaction: counts a query, a transaction and an assignment."""
        self.client().ok("BEGIN")

    def running(self, text):
        wait_until(lambda: self.p.pg.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s", text) == 1)

    def waiting(self):
        wait_until(lambda: (self.con.pool() or {}).get("cl_waiting"))


def groups(c, *messages):
    """Sends groups of messages at once; the results."""
    c.send(*messages)
    return [c.until_ready() for _ in messages]


# What each case does; it returns what SHOW STATS must have counted (not mentioned: 0) and what SHOW QUERIES must have
# for a query, found by a word of it: calls, failed, rows.

def simple(s):
    c = s.client()
    for i in range(3):
        c.ok(f"SELECT {i} AS one")
    return {"query": 3, "xact": 3, "server_assignment": 3}, {"one": (3, 0, 3)}


def several_statements(s):
    s.client().query("SELECT 1 AS many; SELECT 2; SELECT 3")
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"many": (1, 0, 3)}


def extended(s):
    c = s.client()
    for i in range(3):
        groups(c, wire.group("SELECT $1::int AS bound", [i]))
    return {"query": 3, "xact": 3, "server_assignment": 3}, {"bound": (3, 0, 3)}


def pipelined(s):
    groups(s.client(), *[wire.group("SELECT $1::int AS piped", [i]) for i in range(5)])
    return {"query": 5, "xact": 5, "server_assignment": 1}, {"piped": (5, 0, 5)}


def many_in_a_group(s):
    groups(s.client(), b"".join(wire.parse("SELECT $1::int AS grouped") + wire.bind(params=[i]) + wire.execute() for i in range(4)) + wire.sync())
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"grouped": (4, 0, 4)}


def named(s):
    s.only_one_server()
    c = s.client()
    groups(c, wire.parse("SELECT $1::int AS kept", "a") + wire.describe("S", "a") + wire.sync())
    for i in range(3):
        groups(c, wire.bind("", "a", [i]) + wire.execute() + wire.sync())
    return {"query": 5, "xact": 5, "server_assignment": 5, "client_parse": 1, "server_parse": 1, "bind": 3}, {"kept": (3, 0, 3)}


def named_by_two(s):
    """One statement on the server for both."""
    s.only_one_server()
    for c in (s.client(), s.client()):
        groups(c, wire.parse("SELECT 5 AS both", "a") + wire.bind("", "a") + wire.execute() + wire.sync())
    return {"query": 3, "xact": 3, "server_assignment": 3, "client_parse": 2, "server_parse": 1, "bind": 2}, {"both": (2, 0, 2)}


def block(s):
    c = s.client()
    for sql in ("BEGIN", "SELECT 1 AS inside", "SELECT 2 AS inside", "COMMIT"):
        c.ok(sql)
    return {"query": 4, "xact": 1, "server_assignment": 1}, {"inside": (2, 0, 2), "begin": (1, 0, 0), "commit": (1, 0, 0)}


def rollback(s):
    c = s.client()
    for sql in ("BEGIN", "SELECT 1/0 AS broken", "SELECT 1 AS ignored", "ROLLBACK"):
        c.query(sql)
    return {"query": 4, "xact": 1, "server_assignment": 1}, {"broken": (1, 1, 0), "ignored": (1, 1, 0), "rollback": (1, 0, 0)}


def fails_when_run(s):
    groups(s.client(), wire.group("SELECT 1 / (random() * 0)::int AS late"))
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"late": (1, 1, 0)}


def fails_at_parse(s):
    groups(s.client(), wire.group("SELECT nosuch AS parsed"))
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"parsed": (1, 1, 0)}


def fails_at_bind(s):
    c = s.client()
    groups(c, wire.group("SELECT $1::int AS early", ["no number"]), wire.group("SELECT $1::int AS early", [1]))
    return {"query": 2, "xact": 2, "server_assignment": 1}, {"early": (2, 1, 1)}


def fails_in_the_middle(s):
    """What is behind the one that failed was not run."""
    one = "SELECT $1::int AS row_of_three"
    groups(s.client(), b"".join(wire.parse(one) + wire.bind(params=[v]) + wire.execute() for v in (1, "no number", 3)) + wire.sync())
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"row_of_three": (2, 1, 1)}


def nothing(s):
    c = s.client()
    groups(c, wire.query(""), wire.sync(), wire.parse("SELECT 1 AS never_run") + wire.sync())
    return {"query": 3, "xact": 3, "server_assignment": 1}, {"never_run": None}


def portions(s):
    c = s.client()
    c.ok("BEGIN")
    groups(c, wire.parse("SELECT generate_series(1, 10) AS portion") + wire.bind("p") + wire.execute("p", 4) + wire.sync())
    for _ in range(2):
        groups(c, wire.execute("p", 4) + wire.sync())
    c.ok("COMMIT")
    return {"query": 5, "xact": 1, "server_assignment": 1}, {"portion": (3, 0, 10)}


def copy_out(s):
    s.client().query("COPY (SELECT generate_series(1, 1000)) TO STDOUT")
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"copy": (1, 0, 1000)}


def copy_in(s):
    c = s.client()
    c.ok("BEGIN; CREATE TEMP TABLE t (i int) ON COMMIT DROP")
    c.copy_in_start("COPY t FROM STDIN")
    c.send(*[wire.copy_data(f"{i}\n") for i in range(1000)], wire.copy_done())
    c.until_ready()
    c.copy_in_start("COPY t FROM STDIN")
    c.send(wire.copy_data("1\n"), wire.copy_fail("no more"))
    c.until_ready()
    c.ok("ROLLBACK")
    return {"query": 4, "xact": 1, "server_assignment": 1}, {"copy t": (2, 1, 1000)}


def fast_path(s):
    c = s.client()
    groups(c, wire.function_call(1397, [struct.pack("!i", -4)]))  # abs
    return {"query": 1, "xact": 1, "server_assignment": 1}, {}


def large(s):
    c = s.client()
    c.ok("SELECT repeat('x', 2000000) AS wide")
    c.ok("SELECT '" + "y" * 1000000 + "' AS long")
    return {"query": 2, "xact": 2, "server_assignment": 2}, {"wide": (1, 0, 1)}


def notices(s):
    s.client().ok("DO $$ BEGIN FOR i IN 1..50 LOOP RAISE NOTICE 'hello %', i; END LOOP; END $$")
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"do": (1, 0, 0)}


def settings(s):
    """What the pooler itself runs is nobody's query."""
    a, b = s.client(), s.client()
    for c, value in ((a, "7MB"), (b, "8MB"), (a, "9MB")):
        c.ok(f"SET work_mem = '{value}'")
        assert c.one("SHOW work_mem") == value
    return {"query": 6, "xact": 6, "server_assignment": 6}, {"set work_mem": (3, 0, 0)}


def renamed_in_an_error(s):
    """The client sees its own name of a statement: other bytes than the server's."""
    c = s.client()
    groups(c, wire.parse("SELECT $1::int AS mine", "a_name_of_its_own") + wire.sync(), wire.bind("", "a_name_of_its_own", [1, 2]) + wire.execute() + wire.sync())
    return {"query": 2, "xact": 2, "server_assignment": 1, "client_parse": 1, "server_parse": 1, "bind": 1}, {"mine": (1, 1, 0)}


def terminated(s):
    c = s.client()
    c.ok("SELECT 1 AS last_one")
    c.send(wire.terminate())
    c.until_closed()
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"last_one": (1, 0, 1)}


def dies_in_a_transaction(s):
    c = s.client()
    c.ok("BEGIN")
    c.close()
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"begin": (1, 0, 0)}


def dies_in_a_query(s):
    c = s.client()
    c.send(wire.query("SELECT pg_sleep(60) AS dies"))
    s.running("SELECT pg_sleep(60) AS dies")
    c.close()
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"dies": (1, 1, 0)}


def cancelled(s):
    c = s.client()
    c.send(wire.query("SELECT pg_sleep(60) AS cancelled"))
    s.running("SELECT pg_sleep(60) AS cancelled")
    c.cancel(s.p.port)
    assert c.until_ready().error["C"] == "57014"
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"cancelled": (1, 1, 0)}


def server_dies(s):
    c = s.client()
    c.send(wire.parse("SELECT pg_sleep(60) AS orphan") + wire.bind() + wire.execute() + wire.sync(), wire.query("SELECT 1 AS behind_it"))
    s.running("SELECT pg_sleep(60) AS orphan")
    s.p.pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%% AS orphan' AND pid <> pg_backend_pid()")
    c.until_closed()
    return {"query": 1, "xact": 1, "server_assignment": 1}, {"orphan": (1, 1, 0), "behind_it": None}


def waited(s):
    """Not its own time: what it waited is no time of its query."""
    holders, c = [s.client() for _ in range(2)], s.client()
    for h in holders:
        h.ok("BEGIN")
    c.send(wire.query("SELECT 1 AS waited"))
    s.waiting()
    for h in holders:
        h.ok("COMMIT")
    c.until_ready()
    return {"query": 5, "xact": 3, "server_assignment": 3}, {"waited": (1, 0, 1)}


def waits_in_vain(s):
    holders = [s.client() for _ in range(2)]
    for h in holders:
        h.ok("BEGIN")
    cancels, leaves = s.client(), s.client()
    cancels.send(wire.query("SELECT 1 AS not_run"))
    s.waiting()
    cancels.cancel(s.p.port)
    assert cancels.until_ready().error["C"] == "57014"
    leaves.send(wire.query("SELECT 1 AS not_run"))
    s.waiting()
    leaves.close()
    wait_until(lambda: s.con.pool()["cl_waiting"] == 0)
    for h in holders:
        h.ok("COMMIT")
    return {"query": 4, "xact": 2, "server_assignment": 2, "wait_failed": 2}, {"not_run": None}


CASES = [simple, several_statements, extended, pipelined, many_in_a_group, named, named_by_two, block, rollback, fails_when_run, fails_at_parse,
         fails_at_bind, fails_in_the_middle, nothing, portions, copy_out, copy_in, fast_path, large, notices, settings, renamed_in_an_error,
         terminated, dies_in_a_transaction, dies_in_a_query, cancelled, server_dies, waited, waits_in_vain]
COUNTS = ["query", "xact", "server_assignment", "client_parse", "server_parse", "bind", "wait_failed"]


def check_counts(before, after, want, scene, logins):
    got = {k: after[f"total_{k}_count"] - before[f"total_{k}_count"] for k in COUNTS}
    assert got == {**dict.fromkeys(COUNTS, 0), **want}
    assert after["total_client_login_count"] - before["total_client_login_count"] == logins
    assert after["total_received"] - before["total_received"] == sum(c.sent for c in scene.conns)
    assert after["total_sent"] - before["total_sent"] == sum(c.received for c in scene.conns)


def check_queries(before, after, want):
    def counts(rows, word):
        found = [r for r in rows if word in (r["query"] or "").lower()]
        return [sum(int(r[k]) for r in found) for k in ("calls", "errors", "rows")]
    for word, numbers in want.items():
        got = [a - b for a, b in zip(counts(after, word), counts(before, word))]
        assert got == list(numbers or (0, 0, 0)), word
    assert {r["user"] for r in after if r["query"]} <= {"postgres"} and {r["database"] for r in after if r["query"]} <= {"p0"}


def times(stats):
    return {k: stats[f"total_{k}_time"] for k in ("xact", "query", "wait")}


def settled(con):
    """Servers at rest: what the last case left behind is done with."""
    wait_until(lambda: not con.pool() or con.pool()["sv_active"] + con.pool()["sv_tested"] + con.pool()["cl_active"] + con.pool()["cl_waiting"] == 0)


def run_case(p, case):
    warm = p.client()
    warm.ok("BEGIN")
    p.client().ok("SELECT 1 AS warm")  # both servers are there: nobody waits for one to be connected
    warm.ok("COMMIT")
    for c in p.conns:
        c.close()
    p.conns.clear()
    scene = Scene(p)
    settled(scene.con)
    before, queries = scene.con.stats(), scene.con.show("QUERIES 0")
    begun = time.monotonic()
    want, want_queries = case(scene)
    for c in scene.conns:
        c.close()
    settled(scene.con)
    wall = (time.monotonic() - begun) * 1e6
    after = scene.con.stats()
    check_counts(before, after, want, scene, len(scene.conns))
    check_queries(queries, scene.con.show("QUERIES 0"), want_queries)
    spent = {k: v - times(before)[k] for k, v in times(after).items()}
    assert all(0 <= v <= wall * len(scene.conns) for v in spent.values()), spent
    assert spent["query"] <= spent["xact"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_counted(make_pooler, workers):
    """One pooler for all cases: what a case counts is the difference."""
    p = make_pooler(worker_threads=workers, default_pool_size=2)
    wrong = {}
    for case in CASES:
        try:
            run_case(p, case)
        except (AssertionError, wire.Closed, wire.ServerError, TimeoutError) as e:
            wrong[case.__name__] = str(e)
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


def test_times_are_those_of_the_clock(make_pooler):
    """Of the query, of the transaction with the pauses in it, and of the wait, each apart from the others."""
    p = make_pooler(default_pool_size=1)
    con, c, late = p.console(), p.client(), p.client()
    c.ok("SELECT 1")
    before, begun = con.stats(), time.monotonic()
    c.ok("BEGIN")
    late.send(wire.query("SELECT 2 AS late"))
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    c.ok("SELECT pg_sleep(0.2) AS slow")
    time.sleep(0.3)  # the client's own time
    (waiting,) = [r for r in con.clients() if r["state"] == "waiting"]
    assert int(waiting["wait"]) * 1e6 + int(waiting["wait_us"]) >= 0.5e6
    pool = con.pool()
    assert pool["maxwait"] * 1e6 + pool["maxwait_us"] >= 0.5e6
    c.ok("COMMIT")
    late.until_ready()
    wall = (time.monotonic() - begun) * 1e6
    spent = {k: v - times(before)[k] for k, v in times(con.stats()).items()}
    assert 0.2e6 <= spent["query"] <= wall - 0.3e6
    assert 0.5e6 <= spent["xact"] <= wall
    assert 0.5e6 <= spent["wait"] <= wall
    rows = {w: r for w in ("slow", "late") for r in con.show("QUERIES") if w in (r["query"] or "")}
    assert 0.2e6 <= int(rows["slow"]["total_time_us"]) <= wall and int(rows["slow"]["wait_time_us"]) == 0
    assert {rows["slow"][k] for k in ("mean_time_us", "p50_us", "p95_us", "p99_us")} == {rows["slow"]["total_time_us"]}, "there was one call"
    assert int(rows["late"]["wait_time_us"]) >= 0.5e6 and int(rows["late"]["total_time_us"]) <= wall - 0.5e6


def test_views_agree(make_pooler):
    """The same number, whoever shows it: STATS, STATS_TOTALS, TOTALS, WORKERS, QUERIES and the query log."""
    p = make_pooler(worker_threads=2, query_log="queries.log", query_log_interval=1, databases=None)
    clients = [p.client(d) for d in ("p0", "p1") for _ in range(3)]
    for i in range(20):
        for c in clients:
            c.ok(f"SELECT {i} AS same")
            c.query("SELECT 1/0 AS wrong")
    con = p.console()
    stats = {r["database"]: r for r in con.show("STATS")}
    totals = {r["database"]: r for r in con.show("STATS_TOTALS")}
    names = {"received": "bytes_received", "sent": "bytes_sent"}
    for d in ("p0", "p1"):
        for k, v in stats[d].items():
            if k.startswith("total_") and k != "total_requests":
                assert totals[d][names.get(k[6:], k[6:])] == v, k
        assert stats[d]["total_requests"] == stats[d]["total_query_count"] == "120"
    sums = {r["name"]: int(r["value"]) for r in con.show("TOTALS")}
    assert sums["total_query_count"] - int({r["database"]: r for r in con.show("STATS")}["pgbouncer"]["total_query_count"]) == 240 - 1, \
        "the console counts, and each look at it"
    workers = con.show("WORKERS")
    assert sum(int(w["queries"]) for w in workers) == sum(int(w["xacts"]) for w in workers) == 240
    rows = [r for r in con.show("QUERIES") if "same" in r["query"] or "wrong" in r["query"]]
    assert sum(int(r["calls"]) for r in rows) == 240 and sum(int(r["errors"]) for r in rows) == 120
    assert sum(int(r["bytes_in"]) for r in rows) == sum(int(stats[d]["total_received"]) for d in ("p0", "p1"))
    assert sum(int(r["bytes_out"]) for r in rows) == sum(int(stats[d]["total_sent"]) for d in ("p0", "p1"))
    path = os.path.join(p.dir, "queries.log")

    def logged():
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as f:
            lines = [r for r in map(json.loads, f) if r["type"] == "query"]
        return lines if sum(r["calls"] for r in lines) == 240 else None
    lines = wait_until(logged)
    for log, show in (("server_us", "total_time_us"), ("wait_us", "wait_time_us"), ("rows", "rows"), ("failed", "errors"),
                      ("bytes_in", "bytes_in"), ("bytes_out", "bytes_out")):
        assert sum(r.get(log, 0) for r in lines) == sum(int(r[show]) for r in rows), log
    assert sum(n for r in lines for _, n in r["hist"]) == 240
    assert sum(r.get("errors", {}).get("22012", 0) for r in lines) == 120


def test_connections_agree(make_pooler, pg):
    """Whoever counts clients and servers: each view, PostgreSQL, and the process's own open sockets."""
    p = make_pooler(worker_threads=2, default_pool_size=3, databases={"p0": pg.line("p0"), "p1": pg.line("p1") + " user=u_trust", "*": pg.line("p2")})
    clients = [p.client(*who) for who in (("p0", "postgres"), ("p0", "u_trust"), ("p1", "postgres"), ("made_up", "postgres"), ("p0", "u_trust"))]
    for c in clients[:3]:
        c.ok("BEGIN")
    for name in "abc":
        groups(clients[3], wire.parse("SELECT 1", name) + wire.sync())
    con = p.console()

    def total(view, *columns, where=lambda r: True):
        return sum(int(r[c]) for r in con.show(view) for c in columns if where(r))

    def wrong():
        lists = {r["list"]: int(r["items"]) for r in con.show("LISTS")}
        sockets = [r["type"] for r in con.show("SOCKETS")]
        fds = os.listdir(f"/proc/{p.proc.pid}/fd") if os.access(f"/proc/{p.proc.pid}/fd", os.R_OK) else []
        mem = {r["name"]: int(r["used"]) for r in con.show("MEM")}
        backends = pg.one("SELECT count(*) FROM pg_stat_activity WHERE datname IN ('p0', 'p1', 'p2') AND backend_type = 'client backend'")
        return [problem for problem in [
            ("clients", len(clients) + 1, lists["used_clients"], sockets.count("C"), len(con.show("CLIENTS")), total("WORKERS", "clients"), mem["client_cache"],
             total("POOLS", "cl_active", "cl_waiting"), total("USERS", "current_client_connections"), total("DATABASES", "current_client_connections")),
            ("servers", backends, lists["used_servers"], sockets.count("S"), len(con.show("SERVERS")), mem["server_cache"],
             total("POOLS", "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login", "sv_transit"), total("WORKERS", "sv_active", "sv_idle", "sv_login"),
             total("USERS", "current_connections"), total("DATABASES", "current_connections")),
            ("in transactions", 3, total("POOLS", "sv_active"), sum(r["state"] == "active" for r in con.show("SERVERS")), total("WORKERS", "sv_active"),
             sum(r["state"] == "active" and r["database"] != "pgbouncer" for r in con.show("CLIENTS")), sum(bool(r["link"]) for r in con.show("CLIENTS"))),
            ("statements", 3, total("CLIENTS", "prepared_statements"), mem["client_prepared_statement_cache"]),
            ("pools", lists["pools"], len(con.show("POOLS"))), ("databases", lists["databases"], len(con.show("DATABASES"))),
            ("users", lists["users"], len(con.show("USERS"))), ("files", len(fds) >= lists["used_clients"] + lists["used_servers"] or not fds, True),
        ] if len(set(problem[1:])) > 1]
    wait_until(lambda: not wrong(), what="views that agree")


def test_a_query_that_ran_into_its_timeout_is_seen(make_pooler):
    """The slowest ones of all."""
    p = make_pooler(query_timeout=1, query_log="queries.log", query_log_interval=1)
    c = p.client()
    c.send(wire.query("SELECT pg_sleep(60) AS too_slow"))
    assert c.fatal()["M"] == "query timeout"
    p.pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%% AS too_slow' AND pid <> pg_backend_pid()")
    con = p.console()
    (row,) = [r for r in con.show("QUERIES") if "too_slow" in r["query"]]
    assert (row["calls"], row["errors"]) == ("1", "1") and int(row["total_time_us"]) >= 1_000_000
    path = os.path.join(p.dir, "queries.log")
    wait_until(lambda: os.path.exists(path) and '"errors":{"57014":1}' in open(path, encoding="utf-8").read())


def test_who_waited_in_vain_is_counted(make_pooler):
    p = make_pooler(default_pool_size=1, query_wait_timeout=1)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    con = p.console()
    before = con.stats()
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["M"] == "query_wait_timeout"
    after = con.stats()
    assert after["total_wait_failed_count"] - before["total_wait_failed_count"] == 1
    assert after["total_wait_time"] - before["total_wait_time"] >= 1_000_000
    assert after["total_server_assignment_count"] == before["total_server_assignment_count"]


def test_a_login_that_fails_is_none(make_pooler):
    p = make_pooler()
    with pytest.raises(wire.ServerError):
        p.client("p0", "u_scram")  # the server wants a password that the pooler does not have
    p.client("p0", "postgres")
    con = p.console()
    assert con.stats()["total_client_login_count"] == 1
    assert con.stats()["total_sent"] == con.stats()["total_received"] == 0, "nothing but logins"
