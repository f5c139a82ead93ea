# SPDX-License-Identifier: ISC
"""Each column of each view tells something: over these scenes it takes at least two values."""
import collections
import threading

import pytest

from support import wire
from support.util import wait_until

VIEWS = ["CLIENTS", "SERVERS", "SOCKETS", "ACTIVE_SOCKETS", "CONFIG", "DATABASES", "LISTS", "POOLS", "STATS", "STATS_TOTALS", "STATS_AVERAGES",
         "TOTALS", "USERS", "MEM", "STATE", "QUERIES", "WORKERS", "FDS"]

# Columns that may hold one value here, and why.
CONSTANT = {
    ("CLIENTS", "type"): "C", ("SERVERS", "type"): "S", ("CLIENTS", "close_needed"): "of servers only",
    ("SERVERS", "wait"): "of clients only", ("SERVERS", "wait_us"): "of clients only", ("SERVERS", "wait_reason"): "of clients only",
    ("CLIENTS", "tls"): "test_tls.py", ("SERVERS", "tls"): "test_tls.py", ("SOCKETS", "tls"): "test_tls.py",
    ("ACTIVE_SOCKETS", "tls"): "test_tls.py",
    ("SERVERS", "pin_reason"): "of clients only", ("SERVERS", "pin_query"): "of clients only",
    ("CLIENTS", "replication"): "replication connections", ("SERVERS", "replication"): "replication connections",
    ("SOCKETS", "replication"): "replication connections", ("ACTIVE_SOCKETS", "replication"): "replication connections",
    ("POOLS", "cl_waiting_cancel_req"): "test_cancel.py",
    ("POOLS", "sv_login"): "test_states_that_pass", ("POOLS", "sv_tested"): "test_states_that_pass",
    ("POOLS", "sv_transit"): "test_pgbench.py, under load",
    ("POOLS", "cl_active_cancel_req"): "test_states_that_pass", ("POOLS", "sv_active_cancel"): "test_states_that_pass",
    ("POOLS", "sv_being_canceled"): "test_states_that_pass",
    ("FDS", "password"): "test_takeover.py", ("FDS", "scram_client_key"): "test_takeover.py",
    ("FDS", "scram_server_key"): "test_takeover.py",
    ("CLIENTS", "local_port"): "the port that is listened on", ("SERVERS", "port"): "there is one PostgreSQL",
    ("WORKERS", "batched_sends"): "test_io_engine.py", ("WORKERS", "logins_paced"): "test_arrivals.py", ("WORKERS", "handovers_in"): "test_pgbench.py, under load", ("WORKERS", "handovers_out"): "test_pgbench.py, under load",
    ("WORKERS", "tls_full"): "test_tls_tickets.py", ("WORKERS", "tls_resumed"): "test_tls_tickets.py",
    ("WORKERS", "sv_login"): "as in POOLS",
    **{(view, column): "test_true_numbers.py" for view, column in (
        ("STATS", "total_wait_failed_count"), ("STATS", "avg_wait_failed_count"), ("STATS_TOTALS", "wait_failed_count"),
        ("STATS_AVERAGES", "avg_wait_failed_count"))},
    ("MEM", "free"): "memory that is not used goes back to the system", ("WORKERS", "worker"): "its number",
}
POSITIONS = {"pkt_pos", "send_pos", "send_remain"}  # of PgBouncer's buffer, which does not exist here


class Seen:
    def __init__(self, console):
        self.console = console
        self.values = collections.defaultdict(set)

    def look(self):
        for view in VIEWS:
            for row in self.console.show(view):
                for column, value in row.items():
                    self.values[view, column].add(value)


def dull(seen):
    """ACTIVE_SOCKETS are some of the rows of SOCKETS."""
    return sorted((view, column) for (view, column), values in seen.values.items()
                  if len(values) < 2 and (view, column) not in CONSTANT and column not in POSITIONS
                  and not (view == "ACTIVE_SOCKETS" and len(seen.values["SOCKETS", column]) > 1))


@pytest.fixture
def busy(make_pooler, pg):
    """Two databases, one of them with everything set; two users, one with limits of its own."""
    lines = {
        "p0": pg.line("p0") + " listen_mode=shared",
        "p1": f"host=127.0.0.1,localhost port={pg.port} dbname=p1 user=postgres pool_size=1 min_pool_size=1 reserve_pool_size=2 "
              "server_lifetime=100 pool_mode=session load_balance_hosts=disable max_db_connections=9 max_db_client_connections=8",
        "unix": f"host={pg.dir} port={pg.port} dbname=p2",
        "*": pg.line("p2"),
    }
    users = {"u_trust": "pool_size=2 reserve_pool_size=1 pool_mode=transaction max_user_connections=4 max_user_client_connections=5"}
    return make_pooler(databases=lines, users=users, listen_addr="127.0.0.1", default_pool_size=3, server_check_delay=0.3, worker_threads=2,
                       stats_period=1)


@pytest.mark.poolwise
def test_each_column_changes(busy):
    p, seen = busy, Seen(busy.console())
    seen.look()  # nothing there
    c = p.client("p0", "u_trust", application_name="first", datestyle="German", timezone="Asia/Tokyo")
    other = p.client("unix", "postgres", unix=True, client_encoding="LATIN1")
    c.send(wire.parse("SELECT $1::int", "s", (23,)), wire.bind("", "s", ("1",)), wire.execute(), wire.sync())
    c.until_ready()
    c.ok("LISTEN news")
    other.ok("SELECT generate_series(1, 10)")
    other.ok("SELECT generate_series(1, 20)")
    other.query("SELECT wrong")
    p.client("auto_db", "postgres", standard_conforming_strings="off").query("SELECT 1")
    pinned = p.client("unix", "postgres", unix=True)
    pinned.ok("LISTEN news")
    wait_until(lambda: any(r["pin_reason"] for r in seen.console.show("CLIENTS")))
    seen.look()  # idle ones, and one that keeps its server
    pinned.close()
    holder = p.client("p1", "postgres")
    holder.ok("BEGIN")
    waiting = p.client("p1", "postgres")
    waiting.send(wire.query("SELECT 2"))
    c.ok("BEGIN")
    c.ok("SELECT 1")
    wait_until(lambda: seen.console.pool("p1")["maxwait"] >= 1)
    seen.look()  # linked, waiting for more than a second; idle ones are due for a check
    deaf = p.client("p0", "postgres")
    deaf.send(wire.query("SELECT repeat('x', 1000000) FROM generate_series(1, 30)"))
    half = p.client("p0", "postgres")
    half.send(wire.message("Q", wire.cstr("SELECT '" + "y" * 100000 + "'"))[:50000])
    wait_until(lambda: any(int(r["send_avail"]) for r in seen.console.show("SOCKETS")))
    wait_until(lambda: any(int(r["pkt_remain"]) or int(r["pkt_avail"]) for r in seen.console.show("SOCKETS")))
    seen.look()  # buffers
    admin = p.console()
    admin.do("RECONNECT")
    admin.do("DISABLE unix")
    admin.conn.send(wire.query("PAUSE p0"))
    wait_until(lambda: [r for r in seen.console.show("DATABASES") if r["name"] == "p0"][0]["paused"] == "1")
    seen.look()  # to be closed, paused, disabled
    raw = p.raw()
    raw.send(b"\0\0")
    wait_until(lambda: [r for r in seen.console.show("SOCKETS") if r["state"] == "cl_login"])
    seen.look()
    holder.ok("COMMIT")
    c.ok("COMMIT")
    holder.close()
    waiting.until_ready()
    admin2 = p.console()
    for conn in (deaf, half, waiting):
        conn.close()
    wait_until(lambda: admin.conn.readable())
    admin.conn.until_ready()
    admin2.do("RESUME p0")

    def averages():
        """Of each second, and whole: many in one second, until one of them was seen."""
        for i in range(30):
            c.send(wire.parse(f"SELECT $1::int + {i}", f"a{i}", (23,)), wire.bind("", f"a{i}", ("1",)), wire.execute(), wire.sync())
            c.until_ready()
        p.client("p0", "u_trust").close()
        seen.look()
        return not [column for _, column in dull(seen) if column.startswith("avg_")]
    wait_until(averages)
    admin2.do("PAUSE")
    seen.look()  # all paused
    admin2.do("RESUME")
    assert not dull(seen), " ".join(f"{v}.{c}" for v, c in dull(seen))


# Views that have a row for each thing that is counted. Rows that may hold one value here, and why.
BY_ROW = {"LISTS": ("list", "items"), "TOTALS": ("name", "value"), "STATE": ("key", "value")}
CONSTANT_ROWS = {"free_clients": "memory goes back to the system", "free_servers": "the same", "dns_names": "test_hosts.py", "dns_zones": "test_hosts.py",
                 "dns_queries": "test_hosts.py", "dns_pending": "test_hosts.py",
                 "total_wait_failed_count": "test_true_numbers.py", "avg_wait_failed_count": "test_true_numbers.py"}


@pytest.mark.poolwise
def test_each_row_changes(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(), "*": pg.line("p1")}, default_pool_size=1, stats_period=1)
    con, admin, seen = p.console(), p.console(), collections.defaultdict(set)

    def look():
        for view, (key, value) in BY_ROW.items():
            for row in con.show(view):
                seen[view, row[key]].add(row[value])
    look()
    raw = p.raw()
    raw.send(b"\0\0")
    wait_until(lambda: [r for r in con.show("LISTS") if r["list"] == "login_clients"][0]["items"] == "1")
    look()
    a, b = p.client(), p.client("made_up")

    def work():
        """Each counter of a second rises in it."""
        a.ok("BEGIN")
        waiting = p.client()
        waiting.send(wire.parse("SELECT $1::int", "s", (23,)), wire.bind("", "s", ("1",)), wire.execute(), wire.sync())
        b.ok("SELECT 1")
        a.ok("COMMIT")
        waiting.until_ready()
        waiting.close()
        look()
        return all(len(values) > 1 for (view, row), values in seen.items() if view == "TOTALS" and row not in CONSTANT_ROWS)
    wait_until(work)
    p.auth["newcomer"] = ""
    p.extra = "[peers]\n1 = host=127.0.0.1\n"
    p.reload(admin)
    look()
    for command in ("PAUSE", "RESUME", "SUSPEND", "RESUME"):
        admin.do(command)
        look()
    dull = [f"{view}.{row}" for (view, row), values in seen.items() if len(values) < 2 and row not in CONSTANT_ROWS]
    assert not dull


@pytest.mark.poolwise
def test_states_that_pass(make_pooler, tap):
    """Servers that log in, that are cleaned, that are being cancelled: seen while a relay holds PostgreSQL's answers back."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, worker_threads=1, pool_mode="session", server_reset_query="SELECT pg_sleep(0.4)")
    con = p.console()
    tap.stall()
    c = p.raw()
    c.startup(user="postgres", database="p0")
    wait_until(lambda: con.pool() and con.pool()["sv_login"] == 1)
    assert con.servers()[0]["state"] == "new"
    assert [r["state"] for r in con.show("SOCKETS") if r["type"] == "S"] == ["sv_login"]
    tap.go_on()
    c.until_ready()
    c.ok("SELECT 1")
    c.close()
    wait_until(lambda: con.pool()["sv_tested"] == 1)
    assert con.servers()[0]["state"] == "tested"
    wait_until(lambda: con.pool()["sv_idle"] == 1)


@pytest.mark.poolwise
def test_a_cancel_under_way(make_pooler, tap, pg):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, worker_threads=1)
    con, c = p.console(), p.client()
    c.send(wire.query("SELECT pg_sleep(30)"))
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
    wait_until(lambda: pg.one(running) == 1)
    tap.stall()
    t = threading.Thread(target=lambda: c.cancel(p.port))
    t.start()
    try:
        wait_until(lambda: con.pool()["sv_active_cancel"] == 1)
        assert con.pool()["cl_active_cancel_req"] == 1
        assert [r["state"] for r in con.show("CLIENTS") if r["state"].endswith("cancel_req")] == ["active_cancel_req"]
    finally:
        tap.go_on()
        t.join()
    assert c.until_ready().error["C"] == "57014"
    wait_until(lambda: con.pool()["sv_active_cancel"] == 0)
