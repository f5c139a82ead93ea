# SPDX-License-Identifier: ISC
"""error_behaviour = postgres: the pooler's own errors have PostgreSQL's SQLSTATEs, and a failed wait is a failed query."""
import struct

import pytest

from support import wire
from support.util import free_port, wait_until

pytestmark = pytest.mark.poolwise

BOTH = pytest.mark.parametrize("mode", ["pgbouncer", "postgres"])


def busy_pool(make_pooler, pg, tap, **settings):
    """A pool of one server that somebody holds; the pooler and a client that will have to wait."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, default_pool_size=1, **settings)
    holder = p.client()
    holder.ok("BEGIN")
    return p, holder, p.client()


def refused(tap, secret):
    assert secret.encode() not in tap.all_to_server()


def test_failed_wait_of_a_query(make_pooler, pg, tap, workers):
    p, holder, c = busy_pool(make_pooler, pg, tap, error_behaviour="postgres", query_wait_timeout="0.5", **workers)
    r = c.query("SELECT 'not for the server'")
    assert (r.types, r.error["S"], r.error["C"], r.error["M"]) == ("EZ", "ERROR", "53300", "query_wait_timeout")
    assert r.status == "I"
    holder.ok("COMMIT")
    assert c.one("SELECT 'later'") == "later"
    refused(tap, "not for the server")
    p.wait_log("pooler error: query_wait_timeout")


def test_failed_wait_closes_by_default(make_pooler, pg, tap):
    _, _, c = busy_pool(make_pooler, pg, tap, query_wait_timeout="0.5")
    c.send(wire.query("SELECT 1"))
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", "query_wait_timeout")


def test_everything_received_is_refused(make_pooler, pg, tap):
    """Two groups, a query, and the beginning of a third group whose Sync comes later."""
    p, holder, c = busy_pool(make_pooler, pg, tap, error_behaviour="postgres", query_wait_timeout="0.5")
    c.send(wire.group("SELECT 'batch 1'"), wire.group("SELECT 'batch 2'"), wire.query("SELECT 'batch 3'"),
           wire.parse("SELECT 'batch 4'"), wire.bind(), wire.flush())
    types, codes = "", []
    while types != "EZEZEZE":
        msg = c.recv()
        types += msg.type
        assert "EZEZEZE".startswith(types), types
        if msg.type == "E":
            codes.append(wire.fields_of(msg.body)["C"])
    assert codes == ["53300"] * 4
    holder.ok("COMMIT")
    c.send(wire.execute(), wire.sync(), wire.group("SELECT 'fine'"))
    assert c.until_ready().types == "Z"
    assert c.until_ready().rows == [["fine"]]
    refused(tap, "batch")


def test_a_request_that_is_still_coming_is_refused(make_pooler, pg, tap):
    _, holder, c = busy_pool(make_pooler, pg, tap, error_behaviour="postgres", query_wait_timeout="0.5")
    big = wire.query("SELECT 'unfinished" + "x" * 200000 + "'")
    c.send(big[:100000])
    assert c.until_ready().error["C"] == "53300"
    holder.ok("COMMIT")
    c.send(big[100000:], wire.query("SELECT 1"))
    assert c.until_ready().rows == [["1"]]
    refused(tap, "unfinished")


def test_query_timeout_in_the_queue(make_pooler, pg, tap):
    _, _, c = busy_pool(make_pooler, pg, tap, error_behaviour="postgres", query_timeout="0.5")
    assert c.query("SELECT 1").error["C"] == "57014"


def test_terminate_behind_a_refused_request(make_pooler, pg, tap):
    _, _, c = busy_pool(make_pooler, pg, tap, error_behaviour="postgres", query_wait_timeout="0.5")
    c.send(wire.query("SELECT 1"), wire.terminate())
    assert c.until_closed().types == "EZ"


@BOTH
def test_pool_that_is_failing(make_pooler, tap, mode):
    """The first client learns the parameters; then the server goes away, and who comes later is refused at once."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={tap.port} dbname=p0"}, error_behaviour=mode, query_wait_timeout="1")
    c, later = p.client(), p.client()
    c.ok("SELECT 1")
    tap.refusing = True
    tap.cut()
    wait_until(lambda: not p.console().servers())
    c.send(wire.query("SELECT 1"))
    text = "server login has been failing, cached error: "
    if mode == "pgbouncer":
        assert c.fatal()["M"] == "query_wait_timeout"
        later.send(wire.query("SELECT 1"))
        err = later.fatal()
        assert err["C"] == "08P01" and err["M"].startswith(text)
        return
    assert c.until_ready().error["C"] == "53300"
    later.send(wire.group("SELECT 1"), wire.query("SELECT 2"))
    for want in ("EZ", "EZ"):
        r = later.until_ready()
        assert r.types == want and r.error["C"] == "08001" and r.error["M"].startswith(text)
    assert later.query("SELECT 3").error["C"] == "08001"


def test_refusal_by_the_server_itself(make_pooler, pg):
    """A pool that had servers, whose user may no longer log in: the server's own words, and the client goes on."""
    pg.sql("CREATE ROLE r_refused LOGIN")
    try:
        p = make_pooler(auth_file={"r_refused": "", "admin": ""}, error_behaviour="postgres", server_login_retry="1")
        c = p.client(user="r_refused")
        c.ok("SELECT 1")
        pg.sql("ALTER ROLE r_refused NOLOGIN")
        p.console().do("RECONNECT")
        r = c.query("SELECT 1")
        assert (r.error["C"], r.error["S"]) == ("28000", "ERROR")
        pg.sql("ALTER ROLE r_refused LOGIN")
        wait_until(lambda: not c.query("SELECT 1").errors, every=0.1)
    finally:
        pg.no_backends()
        pg.sql("DROP ROLE r_refused")


# --- prepared statements


@pytest.fixture
def prepared(make_pooler):
    return make_pooler(error_behaviour="postgres").client()


def test_unknown_statement(prepared):
    c = prepared
    c.send(wire.bind("", "ghost"), wire.execute(), wire.sync(), wire.query("SELECT 1"))
    r = c.until_ready()
    assert (r.types, r.error["C"], r.error["M"]) == ("EZ", "26000", 'prepared statement "ghost" does not exist')
    assert c.until_ready().rows == [["1"]]
    c.send(wire.describe("S", "ghost"), wire.sync())
    assert c.until_ready().error["C"] == "26000"


def test_unknown_statement_of_any_size(prepared):
    c = prepared
    c.send(wire.bind("", "ghost", ["x" * 300000]), wire.execute(), wire.sync(), wire.query("SELECT 1"))
    assert c.until_ready().error["C"] == "26000"
    assert c.until_ready().rows == [["1"]]


def test_unknown_statement_fails_its_transaction(prepared, pg):
    c = prepared
    c.ok("CREATE TABLE IF NOT EXISTS t_refused (i int)")
    c.ok("TRUNCATE t_refused")
    # in one group: what came before it is undone, as the group is one transaction
    c.send(wire.parse("INSERT INTO t_refused VALUES (1)"), wire.bind(), wire.execute(), wire.bind("", "ghost"), wire.execute(),
           wire.sync())
    r = c.until_ready()
    assert r.types == "12CEZ" and r.error["C"] == "26000" and r.status == "I"
    assert c.one("SELECT count(*) FROM t_refused") == "0"
    c.ok("BEGIN")
    c.send(wire.bind("", "ghost"), wire.sync())
    assert c.until_ready().status == "E"
    assert c.query("SELECT 1").error["C"] == "25P02"
    c.ok("ROLLBACK")


def test_name_in_use(prepared):
    c = prepared
    c.send(wire.parse("SELECT 1", "s"), wire.sync())
    assert c.until_ready().types == "1Z"
    c.send(wire.parse("SELECT 2", "s"), wire.bind("", "s"), wire.execute(), wire.sync())
    r = c.until_ready()
    assert (r.types, r.error["C"], r.error["M"]) == ("EZ", "42P05", 'prepared statement "s" already exists')
    c.send(wire.bind("", "s"), wire.execute(), wire.sync())
    assert c.until_ready().rows == [["1"]]


def test_an_earlier_error_of_the_group_comes_first(prepared):
    c = prepared
    c.send(wire.parse("SELECT 1/0"), wire.bind(), wire.execute(), wire.bind("", "ghost"), wire.sync(),
           wire.bind("", "ghost2"), wire.sync())
    r = c.until_ready()
    assert [e["C"] for e in r.errors] == ["22012"]
    r = c.until_ready()
    assert [e["M"] for e in r.errors] == ['prepared statement "ghost2" does not exist']


@pytest.mark.parametrize("message", [wire.bind("", "ghost"), wire.describe("S", "ghost")], ids=["bind", "describe"])
def test_unknown_statement_closes_by_default(pooler, message):
    c = pooler.client()
    c.send(message, wire.sync())
    err = c.fatal()
    assert (err["C"], err["M"]) == ("08P01", "prepared statement did not exist")


# --- situations


def fatal_login(p, **who):
    with pytest.raises(wire.ServerError) as e:
        p.client(**who)
    return e.value.code


@BOTH
def test_logins(make_pooler, pg, mode):
    def code(postgres):
        return postgres if mode == "postgres" else "08P01"
    p = make_pooler(error_behaviour=mode, max_client_conn=2, auth_type="scram-sha-256", databases={"p0": pg.line()},
                    auth_file={"postgres": "pw", "admin": "a"})
    assert fatal_login(p, password="wrong") == code("28P01")
    assert fatal_login(p, database="nowhere", password="pw") == code("3D000")
    clients = [p.client(password="pw"), p.client(password="pw")]
    assert fatal_login(p, password="pw") == code("53300")
    clients[0].close()


@BOTH
@pytest.mark.parametrize("setting, postgres, statements", [
    ("idle_transaction_timeout", "25P03", ["BEGIN"]),
    ("client_idle_timeout", "57P05", []),
    ("query_timeout", "57014", ["SELECT pg_sleep(600)"]),
    ("transaction_timeout", "25P04", ["BEGIN"]),
])
def test_timeouts(make_pooler, mode, setting, postgres, statements):
    p = make_pooler(error_behaviour=mode, **{setting: "0.5"})
    c = p.client()
    for sql in statements:
        c.send(wire.query(sql))
    assert c.fatal()["C"] == (postgres if mode == "postgres" else "08P01")


@BOTH
def test_operators_doing(make_pooler, mode):
    p = make_pooler(error_behaviour=mode)
    c, con = p.client(), p.console()
    con.do(f"KILL_CLIENT {con.clients()[0]['id']}")
    assert c.fatal()["C"] == ("57P01" if mode == "postgres" else "08P01")


def test_set_at_run_time(make_pooler):
    p = make_pooler()
    p.console().do("SET error_behaviour = 'postgres'")
    wait_until(lambda: fatal_login(p, database="nowhere") == "3D000")
