# SPDX-License-Identifier: ISC
"""PostgreSQL goes down under a warm pool, and comes back."""
import psycopg
import pytest

from support import wire
from support.util import wait_until


@pytest.mark.newer  # 1.18 words it differently
def test_server_goes_down_under_a_warm_pool(make_pooler, own_pg_factory, workers):
    """What PgBouncer's clients see, step by step."""
    pg = own_pg_factory()
    p = make_pooler(postgres=pg, databases={"p0": pg.line()}, query_wait_timeout="1.5", server_login_retry="1", **workers)
    in_transaction, first, later, last = (p.client() for _ in range(4))
    in_transaction.ok("BEGIN")
    first.ok("SELECT 1")
    pg.stop("fast")
    # the client in a transaction gets the server's word, then ours
    errors = [e for e in in_transaction.until_closed().errors]
    assert [e["C"] for e in errors] == ["57P01", "08P01"] and errors[1]["M"] == "server conn crashed?"
    wait_until(lambda: not p.console().servers())
    # the first that needs a server waits
    first.send(wire.query("SELECT 1"))
    err = first.fatal()
    assert (err["C"], err["M"]) == ("08P01", "query_wait_timeout")
    # later ones are told at once
    later.send(wire.query("SELECT 1"))
    err = later.fatal()
    assert (err["C"], err["M"]) == (
        "08P01", "server login has been failing, cached error: connect failed (server_login_retry)")
    # who logs in now gets in, because the pool's parameters are known, and is sent away with the first query
    last.send(wire.query("SELECT 1"))
    assert last.fatal()["M"].startswith("server login has been failing")
    pg.start()

    def works():
        try:
            return p.client().one("SELECT 1") == "1"
        except (wire.ServerError, wire.Closed):
            return False
    wait_until(works, every=0.1)


def test_failing_pool_recovers_without_waiting_clients(make_pooler, own_pg_factory):
    """Clients that are all sent away at once still make the pool try again, once a server_login_retry."""
    pg = own_pg_factory()
    p = make_pooler(postgres=pg, databases={"p0": pg.line()}, query_wait_timeout="0.5", server_login_retry="2")
    p.client().ok("SELECT 1")
    pg.stop("fast")

    def error_now():
        try:
            with psycopg.connect(p.dsn(), autocommit=True) as c:
                c.execute("SELECT 1")
        except psycopg.Error as e:
            return str(e)
        return ""
    wait_until(lambda: "server login has been failing" in error_now(), every=0.05)
    pg.start()
    wait_until(lambda: error_now() == "", every=0.1)


@pytest.mark.parametrize("retry, text", [
    pytest.param("0.2", "the database system is starting up", marks=pytest.mark.newer, id="short"),
    pytest.param("600", "the database system is in recovery mode", marks=pytest.mark.poolwise, id="long")])  # asked each second
def test_server_that_is_starting_up_is_waited_for(make_pooler, fake, retry, text):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={fake.port} dbname=p0"}, server_login_retry=retry)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    for _ in range(2):
        s = fake.accept_raw()
        s.error(text, "57P03", "FATAL")
        s.close()
    s = fake.accept()
    c.authenticate("postgres", None)
    assert s.startup_params["user"] == "postgres"


@pytest.mark.newer
def test_other_refusals_of_the_server_are_the_clients(make_pooler, fake):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={fake.port} dbname=p0"}, server_login_retry="1")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    s.error("sorry, too many clients already", "53300", "FATAL")
    s.close()
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "53300", "sorry, too many clients already")
    d = p.raw()
    d.startup(user="postgres", database="p0")
    err = d.fatal()
    assert err["M"] == "server login has been failing, cached error: sorry, too many clients already (server_login_retry)"
