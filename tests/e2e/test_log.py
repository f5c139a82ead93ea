# SPDX-License-Identifier: ISC
"""Lines that operators and exporters search for."""
import re

import pytest

from support import wire
from support.util import wait_until

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] (FATAL|ERROR|WARNING|LOG|DEBUG|NOISE) \S.*")


def test_every_line_has_the_shape(make_pooler):
    p = make_pooler()
    c = p.client()
    c.ok("SELECT 1")
    p.console().do("RELOAD")
    c.send(wire.terminate())
    p.wait_log("client close request")
    for line in p.log().splitlines():
        assert LINE.fullmatch(line), line
        assert f"[{p.proc.pid}]" in line


def test_start(make_pooler):
    p = make_pooler()
    p.wait_log("process up: ")
    p.wait_log(rf"listening on 127\.0\.0\.1:{p.port}")
    p.wait_log(rf"listening on unix:{p.socket_path()}")
    p.client().ok("SELECT 1")
    assert p.log().count("listening on") == 2, "one line for each address"


@pytest.mark.poolwise
def test_a_reason_to_end_that_the_log_does_not_take_is_on_standard_error(make_pooler):
    """The disk is full; -q."""
    p = make_pooler(start=False, logfile="/dev/full", pidfile="no/such/folder/pid")
    p.write()
    p.expect_exit = (1,)
    p.spawn("-q", p.ini_path)
    assert p.wait_exit() == 1
    assert 'FATAL cannot write pidfile "no/such/folder/pid": No such file or directory' in p.stderr()


def test_login_and_logout(make_pooler):
    p = make_pooler()
    c = p.client()
    port = c.sock.getsockname()[1]
    c.ok("SELECT 1")
    p.wait_log(rf"LOG C-0x[0-9a-f]+: p0/postgres@127\.0\.0\.1:{port} login attempt: db=p0 user=postgres tls=no")
    c.send(wire.terminate())
    p.wait_log(rf"LOG C-0x[0-9a-f]+: p0/postgres@127\.0\.0\.1:{port} closing because: client close request \(age=\d+s\)")
    assert len(re.findall(rf":{port} closing because", p.log())) == 1


def test_client_that_vanishes(make_pooler):
    p = make_pooler()
    c = p.client()
    port = c.sock.getsockname()[1]
    c.close()
    p.wait_log(rf"C-\S+: p0/postgres@127\.0\.0\.1:{port} closing because: client unexpected eof \(age=\d+s\)")


@pytest.mark.newer
def test_who_only_looks_leaves_no_line(make_pooler):
    """A load balancer that looks whether the port is open; psql that goes to ask for a password. Half a packet is told."""
    p = make_pooler(auth_type="md5", auth_file={"someone": "secret"})
    p.raw().close()
    asked = p.raw()
    asked.startup(user="someone", database="p0")
    asked.expect("R")
    asked.close()
    half = p.raw()
    half.send(b"\0\0")
    half.close()
    p.wait_log("closing because: ")
    assert re.findall("closing because: [a-z ]*", p.log()) == ["closing because: client unexpected eof "]


def test_before_the_login(make_pooler):
    p = make_pooler(client_login_timeout=1)
    p.raw()
    p.wait_log(r"C-\S+: \(nodb\)/\(nouser\)@127\.0\.0\.1:\d+ closing because: client_login_timeout")


def test_server_connects_and_closes_once(make_pooler, pg):
    p = make_pooler(server_idle_timeout=1)
    p.client().ok("SELECT 1")
    p.wait_log(rf"S-0x[0-9a-f]+: p0/postgres@127\.0\.0\.1:{pg.port} new connection to server \(from 127\.0\.0\.1:\d+\)")
    p.wait_log(rf"S-0x[0-9a-f]+: p0/postgres@127\.0\.0\.1:{pg.port} closing because: server idle timeout \(age=\d+s\)")
    assert p.log().count("new connection to server") == 1
    assert p.log().count("S-0x") == 2


def test_pooler_error(make_pooler):
    p = make_pooler(default_pool_size=1, query_wait_timeout=1)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    c.send(wire.query("SELECT 1"))
    c.fatal()
    p.wait_log(r"WARNING C-\S+: p0/postgres@\S+ pooler error: query_wait_timeout")


def test_switches(make_pooler):
    p = make_pooler(log_connections=0, log_disconnections=0, log_pooler_errors=0, default_pool_size=1, query_wait_timeout=1)
    holder, c = p.client(), p.client()
    holder.ok("BEGIN")
    c.send(wire.query("SELECT 1"))
    c.fatal()
    p.console().do("RELOAD")
    p.wait_log("RELOAD command issued")
    for text in ("login attempt", "closing because", "pooler error", "new connection to server"):
        assert text not in p.log()


def test_console_commands_are_logged(make_pooler):
    p = make_pooler()
    con = p.console()
    for command in ("PAUSE", "RESUME", "RELOAD"):
        con.do(command)
        p.wait_log(f"{command} command issued")


def test_stats_line(make_pooler):
    p = make_pooler(log_stats=1, stats_period=1)
    c = p.client()
    c.ok("SELECT 1")
    p.wait_log(r"LOG stats: \d+ xacts/s, \d+ queries/s,( \d+ client parses/s, \d+ server parses/s, \d+ binds/s,)? in \d+ B/s, out \d+ B/s, xact \d+ us, query \d+ us, wait \d+ us")


def test_passwords_never_appear(make_pooler, pg):
    p = make_pooler(databases={"p0": pg.line(user="u_plain", password="'plain pass'")}, auth_type="plain", verbose=2,
                    auth_file={"someone": "hush hush"})
    p.client(user="someone", password="hush hush").ok("SELECT 1")
    with pytest.raises(wire.ServerError):
        p.client(user="someone", password="wrong hush")
    p.wait_log("password authentication failed")
    text = p.log() + p.stderr()
    assert "plain pass" not in text and "hush hush" not in text and "wrong hush" not in text


def test_verbose_shows_more(make_pooler):
    p = make_pooler()
    p.console().do("SET verbose = 2")
    c = p.client(TimeZone="Asia/Tokyo")
    c.ok("SELECT 1")
    wait_until(lambda: " DEBUG " in p.log() or " NOISE " in p.log())


@pytest.mark.poolwise
def test_a_secret_that_is_set_on_the_console_is_not_logged(make_pooler):
    """Neither as a command that is right nor as one that is wrong."""
    p = make_pooler(verbose=2)
    con = p.console()
    con.do("SET auth_ldap_options = 'ldapserver=a ldapbasedn=b ldapbindpasswd=hidden1'")
    assert con.run("SET auth_ldap_options = ldapbindpasswd=hidden2").error
    con.do("SET default_pool_size = 7")
    p.wait_log("got admin query: SET default_pool_size = 7")
    assert "hidden" not in p.log() and p.log().count("(not shown: it holds a secret)") == 3
