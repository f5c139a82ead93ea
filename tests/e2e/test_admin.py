# SPDX-License-Identifier: ISC
"""The admin console: columns in their order and types, consistency, who may do what."""
import re
import subprocess

import psycopg
import pytest

from support import wire
from support.pooler import Console
from support.util import run_as, server_user, wait_until

TEXT, INT4, INT8, NUMERIC = 25, 23, 20, 1700


def cols(spec, default=TEXT):
    """'a b:int4 c' -> [(name, oid)]"""
    kinds = {"text": TEXT, "int4": INT4, "int8": INT8, "numeric": NUMERIC}
    out = []
    for word in spec.split():
        name, _, kind = word.partition(":")
        out.append((name, kinds[kind] if kind else default))
    return out


CLIENTS = cols("type user database replication state addr port:int4 local_addr local_port:int4 connect_time request_time wait:int4"
               " wait_us:int4 close_needed:int4 ptr link remote_pid:int4 tls application_name prepared_statements:int4 id:int4")
STATS = ("server_assignment_count xact_count query_count received sent xact_time query_time wait_time client_parse_count"
         " server_parse_count bind_count").split()
AVG = ("server_assignment_count xact_count query_count recv sent xact_time query_time wait_time client_parse_count"
       " server_parse_count bind_count").split()
COLUMNS = {
    "CLIENTS": CLIENTS,
    "SERVERS": CLIENTS,
    "SOCKETS": CLIENTS + cols("recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail", INT4),
    "ACTIVE_SOCKETS": CLIENTS + cols("recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail", INT4),
    "CONFIG": cols("key value default changeable"),
    "DATABASES": cols("name host port:int4 database force_user pool_size:int4 min_pool_size:int4 reserve_pool_size:int4"
                      " server_lifetime:int4 pool_mode load_balance_hosts max_connections:int4 current_connections:int4"
                      " max_client_connections:int4 current_client_connections:int4 paused:int4 disabled:int4"),
    "LISTS": cols("list items:int4"),
    "POOLS": cols("database user cl_active:int4 cl_waiting:int4 cl_active_cancel_req:int4 cl_waiting_cancel_req:int4 sv_active:int4"
                  " sv_active_cancel:int4 sv_being_canceled:int4 sv_idle:int4 sv_used:int4 sv_tested:int4 sv_login:int4"
                  " maxwait:int4 maxwait_us:int4 pool_mode load_balance_hosts"),
    "STATS": cols("database") + [(f"total_{n}", NUMERIC) for n in STATS],
    "STATS_TOTALS": cols("database server_assignment_count:numeric xact_count:numeric query_count:numeric bytes_received:numeric"
                         " bytes_sent:numeric xact_time:numeric query_time:numeric wait_time:numeric client_parse_count:numeric"
                         " server_parse_count:numeric bind_count:numeric"),
    "TOTALS": cols("name value:numeric"),
    "USERS": cols("name pool_size reserve_pool_size pool_mode max_user_connections:int4 current_connections:int4"
                  " max_user_client_connections:int4 current_client_connections:int4"),
    "VERSION": cols("version"),
    "MEM": cols("name size:int4 used:int4 free:int4 memtotal:int4"),
    "STATE": cols("key value"),
}


@pytest.mark.newer
@pytest.mark.parametrize("database, mode", [("p0", "statement"), ("p1", "session"), ("p2", "transaction"), ("pgbouncer", "statement")])
def test_drivers_are_told_what_the_pooler_is(make_pooler, pg, database, mode):
    p = make_pooler(databases={d: pg.line(d, pool_mode=m) for d, m in (("p0", "statement"), ("p1", "session"), ("p2", "transaction"))}, max_prepared_statements=7)
    told = {k: v for k, v in p.client(database, "admin" if database == "pgbouncer" else "u_trust").params.items() if k.startswith("pgbouncer.")}
    assert re.fullmatch(r"\d+\.\d+\.\d+", told.pop("pgbouncer.version"))
    assert told == {"pgbouncer.pool_mode": mode, "pgbouncer.max_prepared_statements": "0" if database == "pgbouncer" else "7"}


@pytest.mark.newer
@pytest.mark.parametrize("what", sorted(COLUMNS))
def test_columns(make_pooler, what):
    """New columns may follow, PgBouncer's stay where they are."""
    p = make_pooler()
    p.client().ok("SELECT 1")
    result = p.console().run(f"SHOW {what}")
    assert not result.errors
    want = COLUMNS[what]
    assert result.columns[:len(want)] == want
    assert result.rows, "no row to look at"
    assert all(len(r) == len(result.columns) for r in result.rows)
    assert result.tags == ["SHOW"]


@pytest.mark.poolwise
@pytest.mark.parametrize("what", sorted(COLUMNS))
def test_columns_of_pgbouncer_alone(make_pooler, what):
    """For tools that count columns, as those do that ask through dblink."""
    p = make_pooler(console_columns="pgbouncer")
    p.client().ok("SELECT 1")
    result = p.console().run(f"SHOW {what}")
    averages = [("avg_" + n, NUMERIC) for n in AVG] if what == "STATS" else []
    assert result.columns == COLUMNS[what] + averages
    assert result.rows and all(len(r) == len(result.columns) for r in result.rows)


@pytest.mark.poolwise
def test_dblink_reads_the_console(make_pooler, pg):
    """A query through dblink names all columns: one more is an error. The version is read up to its end as a number."""
    p = make_pooler(console_columns="pgbouncer")
    names = ", ".join(f'"{n}" {"int" if t == INT4 else "text"}' for n, t in COLUMNS["POOLS"])
    line = f"host={p.dir} port={p.port} dbname=pgbouncer user=stats"
    with psycopg.connect(pg.dsn()) as db:
        db.execute("CREATE EXTENSION dblink")  # rolled back at the end
        pools = f"SELECT sum(cl_active) FROM dblink('{line}', 'show pools') AS x({names}) WHERE database = 'pgbouncer'"
        assert db.execute(pools).fetchone() == (1,)
        version = f"SELECT split_part(version, '.', 3)::int FROM dblink('{line}', 'show version') AS x(version text)"
        assert db.execute(version).fetchone()[0] >= 0
        p.console().do("SET console_columns = all")
        with pytest.raises(psycopg.errors.DatatypeMismatch):
            db.execute(pools)
        db.rollback()


@pytest.mark.newer
def test_stats_averages_follow_the_totals(make_pooler):
    p = make_pooler()
    p.client().ok("SELECT 1")
    names = [c[0] for c in p.console().columns("STATS")]
    position = [names.index(f"total_{n}") for n in STATS] + [names.index(f"avg_{n}") for n in AVG]
    assert position == sorted(position)
    names = [c[0] for c in p.console().columns("STATS_AVERAGES")]
    assert names[:9] == ["database", "server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent",
                         "xact_time", "query_time", "wait_time"]


@pytest.mark.parametrize("database", ["pgbouncer", pytest.param("pooler", marks=pytest.mark.poolwise)])
def test_both_names_of_the_console(make_pooler, database):
    p = make_pooler()
    assert p.console(database=database).show("POOLS") is not None


def test_console_greeting(make_pooler):
    c = make_pooler().client("pgbouncer", "admin")
    assert c.params["client_encoding"] in ("UTF8", "UTF-8")
    assert c.params["DateStyle"] == "ISO" and c.params["standard_conforming_strings"] == "on"
    assert c.params["server_version"].endswith("/bouncer")


def test_pools_count_what_is_there(make_pooler, workers):
    p = make_pooler(default_pool_size=3, **workers)
    con = p.console()
    idle = [p.client() for _ in range(2)]
    busy = [p.client() for _ in range(3)]
    for c in idle:
        c.ok("SELECT 1")
    for c in busy:
        c.ok("BEGIN")
    waiting = p.client()
    waiting.send(wire.query("SELECT 1"))
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    row = con.pool()
    assert row["sv_active"] == 3 and row["sv_idle"] + row["sv_used"] + row["sv_tested"] + row["sv_login"] == 0
    assert row["cl_active"] == 5  # linked and idle ones together
    assert row["pool_mode"] == "transaction"
    for c in busy:
        c.ok("COMMIT")
    waiting.until_ready()
    row = con.pool()
    assert (row["sv_active"], row["sv_idle"] + row["sv_used"], row["cl_waiting"]) == (0, 3, 0)


def test_clients_and_servers_are_linked_to_each_other(make_pooler, workers):
    p = make_pooler(default_pool_size=2, **workers)
    c, idle = p.client(application_name="linked"), p.client()
    c.ok("BEGIN")
    idle.ok("SELECT 1")
    pid = c.one("SELECT pg_backend_pid()")
    con = p.console()
    clients, servers = con.clients(), con.servers()
    linked = [r for r in clients if r["link"]]
    assert len(linked) == 1 and len(clients) == 2
    (server,) = [r for r in servers if r["link"]]
    assert linked[0]["link"] == server["ptr"] and server["link"] == linked[0]["ptr"]
    assert server["remote_pid"] == pid and server["state"] == "active"
    assert linked[0]["application_name"] == "linked"
    assert int(linked[0]["port"]) == c.sock.getsockname()[1]


def test_states_of_clients(make_pooler, reference):
    p = make_pooler(default_pool_size=1)
    busy, waiting, idle = p.client(), p.client(), p.client()
    busy.ok("BEGIN")
    waiting.send(wire.query("SELECT 1"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    by_port = {int(r["port"]): r["state"] for r in con.clients()}

    def state(c):
        return by_port[c.sock.getsockname()[1]]
    assert state(busy) == "active" and state(waiting) == "waiting"
    assert state(idle) == ("active" if reference else "idle")


@pytest.mark.newer
def test_ids_rise_by_one(make_pooler):
    p = make_pooler()
    con = p.console()
    a, b = p.client(), p.client()
    ids = sorted(int(r["id"]) for r in con.clients() + con.servers())
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    del a, b


def test_stats_count(make_pooler, workers):
    p = make_pooler(**workers)
    clients = [p.client() for _ in range(4)]
    con = p.console()
    before = con.stats()
    for c in clients:
        for _ in range(10):
            c.ok("SELECT 1")
        c.ok("BEGIN")
        c.ok("SELECT 2")
        c.ok("COMMIT")
        c.send(wire.group("SELECT 3"))
        c.until_ready()
    after = con.stats()
    assert after["total_query_count"] - before["total_query_count"] == 4 * 14
    assert after["total_xact_count"] - before["total_xact_count"] == 4 * 12
    sent = len(wire.query("SELECT 1")) * 40
    assert after["total_received"] - before["total_received"] > sent
    assert after["total_sent"] - before["total_sent"] > sent
    assert after["total_xact_time"] >= after["total_query_time"] > 0


def test_databases(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(pool_size=7, pool_mode="session", user="postgres"), "other": pg.line("p1")})
    rows = {r["name"]: r for r in p.console().show("DATABASES")}
    assert set(rows) == {"p0", "other", "pgbouncer"}
    assert (rows["p0"]["pool_size"], rows["p0"]["pool_mode"], rows["p0"]["force_user"]) == ("7", "session", "postgres")
    assert (rows["other"]["database"], rows["other"]["port"], rows["other"]["pool_size"]) == ("p1", str(pg.port), "20")
    assert rows["p0"]["paused"] == rows["p0"]["disabled"] == "0"


def test_lists_agree_with_the_other_views(make_pooler):
    p = make_pooler()
    clients = [p.client() for _ in range(3)]
    for c in clients:
        c.ok("SELECT 1")
    con = p.console()
    lists = {r["list"]: int(r["items"]) for r in con.show("LISTS")}
    assert lists["used_clients"] == len(con.show("CLIENTS"))
    assert lists["used_servers"] == len(con.show("SERVERS"))
    assert lists["pools"] == len(con.show("POOLS"))
    assert lists["databases"] == len(con.show("DATABASES"))
    for name in ("users", "free_clients", "login_clients", "free_servers", "dns_names", "dns_zones", "dns_queries", "dns_pending"):
        assert name in lists


def test_config_shows_what_was_set(make_pooler):
    p = make_pooler(default_pool_size=13, query_wait_timeout=77, unix_socket_mode="0700")
    config = {r["key"]: r for r in p.console().show("CONFIG")}
    assert config["default_pool_size"]["value"] == "13" and config["default_pool_size"]["default"] == "20"
    assert config["query_wait_timeout"]["value"] == "77"
    assert config["listen_port"]["changeable"] == "no" and config["pool_mode"]["changeable"] == "yes"
    assert config["pool_mode"]["value"] == "transaction"


@pytest.mark.newer
def test_config_has_every_key_in_order(make_pooler):
    """PgBouncer's 98 keys of 1.25, all there, in its order."""
    keys = [r["key"] for r in make_pooler().console().show("CONFIG")]
    known = """admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options auth_query
    auth_type auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout client_tls13_ciphers
    client_tls_ca_file client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve client_tls_key_file
    client_tls_protocols client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl dns_nxdomain_ttl
    dns_zone_check_period idle_transaction_timeout ignore_startup_parameters job_name listen_addr listen_backlog listen_port
    log_connections log_disconnections log_pooler_errors log_stats logfile max_client_conn max_db_client_connections
    max_db_connections max_packet_size max_prepared_statements max_user_client_connections max_user_connections min_pool_size
    peer_id pidfile pkt_buf pool_mode query_timeout query_wait_notify query_wait_timeout reserve_pool_size reserve_pool_timeout
    resolv_conf sbuf_loopcnt scram_iterations server_check_delay server_check_query server_connect_timeout server_fast_close
    server_idle_timeout server_lifetime server_login_retry server_reset_query server_reset_query_always server_round_robin
    server_tls13_ciphers server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols
    server_tls_sslmode so_reuseport stats_period stats_users suspend_timeout syslog syslog_facility syslog_ident
    tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer tcp_user_timeout
    track_extra_parameters transaction_timeout unix_socket_dir unix_socket_group unix_socket_mode user verbose""".split()
    assert [k for k in known if k not in keys] == []
    assert [k for k in keys if k in known] == known


def test_set_changes_a_setting(make_pooler):
    con = make_pooler().console()
    assert con.do("SET query_wait_timeout = 33").startswith("SET")
    assert con.config("query_wait_timeout") == "33"
    con.do("SET server_reset_query TO 'DISCARD TEMP'")
    assert con.config("server_reset_query") == "DISCARD TEMP"


@pytest.mark.poolwise
def test_set_of_what_a_restart_changes_says_so(make_pooler):
    """Success as with PgBouncer, which says nothing."""
    con = make_pooler().console()
    before = con.config("listen_port")
    result = con.run("SET listen_port = 99")
    assert result.tags == ["SET listen_port=99"] and not result.errors
    (notice,) = result.notices
    assert "listen_port" in notice["M"] and "cannot change" in notice["M"]
    assert con.config("listen_port") == before


def test_what_a_restart_changes_is_shown_as_it_is_in_use(make_pooler):
    """The file has another value, with which RELOAD can do nothing."""
    p = make_pooler(listen_backlog=17, track_extra_parameters="IntervalStyle")
    con = p.console()
    before = con.show("CONFIG")
    p.settings.update(listen_backlog=18, listen_port=p.port + 1, track_extra_parameters="work_mem", default_pool_size=8)
    p.write()
    con.do("RELOAD")
    after = con.show("CONFIG")
    changed = {a["key"]: a["value"] for a, b in zip(after, before) if a != b}
    assert changed == {"default_pool_size": "8"}
    p.wait_log('"listen_port" changed in the file: it takes a restart to take effect')


def test_set_takes_effect(make_pooler):
    p = make_pooler(default_pool_size=1)
    p.console().do("SET query_wait_timeout = 1")
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    c.send(wire.query("SELECT 1"))
    assert c.fatal()["M"] == "query_wait_timeout"


@pytest.mark.parametrize("command", ["SET nosuch = 1", "SET default_pool_size = many", "NONSENSE", "SHOW NOSUCH", "KILL_CLIENT",
                                     "DISABLE", "ENABLE nosuch_db", "RESUME"])
def test_wrong_commands(make_pooler, command):
    con = make_pooler().console()
    result = con.run(command)
    assert result.error["S"] == "ERROR" and result.error["C"] == "08P01", result.messages
    assert con.show("POOLS") is not None, "the console must survive a wrong command"


@pytest.mark.newer
@pytest.mark.parametrize("command, text", [
    ("SHOW", "invalid command 'SHOW', use SHOW HELP;"), ("SHOW nosuch", "invalid command 'SHOW nosuch', use SHOW HELP;"),
    ("SET nosuch=1", "SET failed"), ("PAUSE nosuch", "no such database: nosuch"), ("PAUSE pgbouncer", "cannot pause admin db: pgbouncer"),
    ("RESUME", "pooler is not paused/suspended"), ("RESUME p0", "database p0 is not paused"),
    ("RESUME pgbouncer", "database pgbouncer is not paused"), ("ENABLE", "a database is required"),
    ("DISABLE pgbouncer", "cannot disable admin db: pgbouncer"), ("KILL pgbouncer", "cannot kill admin db: pgbouncer"),
    ("KILL_CLIENT x", "invalid client pointer supplied"), ("KILL_CLIENT 99999", "client not found"),
    ("RECONNECT pgbouncer", "cannot reconnect admin db: pgbouncer"), ("WAIT_CLOSE nosuch", "no such database: nosuch"),
    ("SHOW nosuch;", "invalid command 'SHOW nosuch;', use SHOW HELP;"), ("show  nosuch", "invalid command 'show  nosuch', use SHOW HELP;"),
    ("SHOW POOLS; SHOW STATS", "invalid command 'SHOW POOLS; SHOW STATS', use SHOW HELP;")])
def test_words_of_errors(make_pooler, command, text):
    """Read off PgBouncer 1.24."""
    error = make_pooler().console().run(command).error
    assert (error["S"], error["C"], error["M"]) == ("ERROR", "08P01", text)


@pytest.mark.poolwise
@pytest.mark.parametrize("command, hint", [("show pool", "did you mean SHOW POOLS?"), ("pausee", "did you mean PAUSE?"),
                                           ("SHOW POOLS; SHOW STATS", "one command at a time"), ("SHOW nosuch", None),
                                           ("KILL_CLIENT x", "the number is in the column id of SHOW CLIENTS"),
                                           ("SELECT 1", "this is the console of the pooler, not a database: it runs no SQL")])
def test_hints_of_errors(make_pooler, command, hint):
    assert make_pooler().console().run(command).error.get("H") == hint


@pytest.mark.poolwise
def test_long_text_is_not_sent_back_whole(make_pooler):
    """What psql sends for \\d fills a page."""
    error = make_pooler().console().run("SELECT 'é" + "é" * 2000 + "'").error
    assert error["M"].endswith("é...', use SHOW HELP;") and len(error["M"]) < 200


def test_commands_in_any_case_with_blanks_and_semicolons(make_pooler):
    con = make_pooler().console()
    for command in ("show pools", "  SHOW   POOLS  ;", "Show Pools;", 'SHOW "pools"'):
        assert con.run(command).tags == ["SHOW"], command


def test_show_help(make_pooler):
    result = make_pooler().console().run("SHOW HELP")
    assert result.tags == ["SHOW"] and not result.rows
    (notice,) = result.notices
    assert notice["M"] == "Console usage"
    for word in ("SHOW", "RELOAD", "PAUSE", "RESUME", "DISABLE", "ENABLE", "RECONNECT", "KILL", "SUSPEND", "SHUTDOWN", "WAIT_CLOSE"):
        assert word in notice["D"]


def test_version(make_pooler):
    p = make_pooler()
    ((text,),) = [list(row.values()) for row in p.console().show("VERSION")]
    # Exporters take the first number for PgBouncer's version and skip the metrics that are too new for it.
    assert re.match(r"PgBouncer 1\.\d+\.\d+\b", text), text
    assert re.fullmatch(r"1\.\d+\.\d+/bouncer", p.client("pgbouncer", "admin").params["server_version"])


@pytest.mark.newer
def test_state(make_pooler, pg):
    p = make_pooler()
    con = p.console()

    def state():
        return {r["key"]: r["value"] for r in con.show("STATE")}
    assert state() == {"active": "yes", "paused": "no", "suspended": "no"}
    con.do("PAUSE")
    assert state()["paused"] == "yes"
    con.do("RESUME")
    assert state()["paused"] == "no"


@pytest.mark.parametrize("name, value", [("client_encoding", "UTF-8"), ("standard_conforming_strings", "on"),
                                         ("default_transaction_isolation", "read committed"), ("datestyle", "ISO"),
                                         ("timezone", "GMT")])
def test_settings_that_drivers_ask_for(make_pooler, name, value):
    result = make_pooler().console().run(f"SHOW {name}")
    assert result.rows[0][0] in (value, value.replace("-", ""))


def test_psycopg_can_use_the_console(make_pooler):
    """psycopg with client-side cursors asks nothing that the console does not know."""
    p = make_pooler()
    conn = p.psycopg("pgbouncer", "admin", cursor_factory=psycopg.ClientCursor)
    cur = conn.execute("SHOW POOLS")
    assert cur.description[0].name == "database"


def test_psql_can_use_the_console(make_pooler):
    p = make_pooler()
    out = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(p.port), "-U", "admin", "pgbouncer", "-Atc", "SHOW VERSION"],
                         capture_output=True, text=True, check=True)
    assert out.stdout.strip()


def test_who_may_do_what(make_pooler):
    p = make_pooler()
    stats = p.console("stats")
    assert stats.show("POOLS") is not None
    for command in ("PAUSE", "RELOAD", "SHUTDOWN", "KILL p0", "SET query_timeout = 1", "DISABLE p0", "RECONNECT", "SUSPEND"):
        result = stats.run(command)
        assert result.errors, command
    assert p.running() and p.client().one("SELECT 1") == "1"
    with pytest.raises(wire.ServerError) as e:
        p.console("postgres")
    assert (e.value.severity, e.value.code, e.value.message) == ("FATAL", "08P01", "not allowed")


@pytest.mark.newer
def test_kill_client_needs_an_admin(make_pooler):
    """CVE-2026-6667."""
    p = make_pooler()
    victim = p.client()
    (row,) = p.console().clients()
    assert p.console("stats").run(f"KILL_CLIENT {row['id']}").errors
    assert victim.one("SELECT 1") == "1"


def test_user_pgbouncer_over_the_unix_socket_of_the_same_uid(make_pooler):
    p = make_pooler(admin_users="", auth_type="md5")
    cmd = ["psql", "-X", "-h", p.dir, "-p", str(p.port), "-U", "pgbouncer", "pgbouncer", "-Atc", "SHOW VERSION"]
    out = subprocess.run(cmd, capture_output=True, text=True, check=False, **run_as(server_user()))
    assert out.returncode == 0 and out.stdout.strip(), out.stderr


def test_admin_needs_its_password(make_pooler):
    p = make_pooler(auth_type="md5", auth_file={"admin": "right"})
    with pytest.raises(wire.ServerError):
        p.client("pgbouncer", "admin", "wrong")
    assert Console(p.client("pgbouncer", "admin", "right")).show("POOLS") is not None


@pytest.mark.poolwise
def test_show_workers(make_pooler):
    p = make_pooler(worker_threads=3)
    con = p.console()
    rows = con.show("WORKERS")
    assert len(rows) == 3
    clients = [p.client() for _ in range(9)]
    for c in clients:
        c.ok("SELECT 1")
    rows = con.show("WORKERS")
    name = [k for k in rows[0] if "client" in k][0]
    assert sum(int(r[name]) for r in rows) >= 9
    assert all(int(r[name]) >= 2 for r in rows), rows


def test_times_are_readable(make_pooler):
    p = make_pooler()
    p.client().ok("SELECT 1")
    (row,) = p.console().clients()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", row["connect_time"])


def test_show_commands_with_many_rows_do_not_mix(make_pooler):
    """Two consoles at once, each larger than a socket buffer."""
    p = make_pooler(max_client_conn=1000)
    keep = [p.client() for _ in range(150)]
    a, b = p.console(), p.console()
    for con in (a, b):
        con.conn.send(*[wire.query("SHOW CLIENTS"), wire.query("SHOW CONFIG")] * 5)
    for con in (a, b):
        for _ in range(5):
            assert len(con.conn.until_ready().rows) == len(keep) + 2
            assert len(con.conn.until_ready().columns) in (3, 4)
