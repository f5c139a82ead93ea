# SPDX-License-Identifier: ISC
"""TCP, unix sockets and IPv6, on both sides."""
import os
import stat

import pytest

from support import wire
from support.util import free_port, have_ipv6

ipv6 = pytest.mark.skipif(not have_ipv6(), reason="no IPv6 on this machine")


def test_unix_socket_for_clients(make_pooler):
    p = make_pooler()
    c = p.client(unix=True)
    assert c.one("SELECT 1") == "1"
    row = [r for r in p.console().clients() if r["addr"].startswith("unix")]
    assert len(row) == 1
    p.wait_log(r"C-\S+: p0/postgres@unix\(\d+\):\d+ login attempt")


def test_unix_socket_mode(make_pooler):
    p = make_pooler(unix_socket_mode="0700")
    assert stat.S_IMODE(os.stat(p.socket_path()).st_mode) == 0o700


def test_unix_socket_is_removed_at_the_end(make_pooler):
    p = make_pooler()
    path = p.socket_path()
    assert os.path.exists(path)
    p.stop()
    assert not os.path.exists(path)


@pytest.mark.parametrize("folder", [".", "sub"])
def test_a_unix_socket_in_a_folder_beside_is_removed_too(make_pooler, folder):
    """A name without a leading / counts from where the pooler was started."""
    p = make_pooler(start=False, unix_socket_dir=folder)
    path = os.path.join(p.dir, folder, f".s.PGSQL.{p.port}")
    if folder == "sub":
        os.mkdir(os.path.dirname(path))
        os.chmod(os.path.dirname(path), 0o777)
    p.start()
    assert os.path.exists(path)
    p.stop()
    assert not os.path.exists(path)


def test_only_a_unix_socket(make_pooler):
    p = make_pooler(listen_addr="")
    assert p.client(unix=True).one("SELECT 1") == "1"
    with pytest.raises(OSError):
        wire.Conn(p.port)


def test_no_unix_socket(make_pooler):
    p = make_pooler(unix_socket_dir="")
    assert p.client().one("SELECT 1") == "1"
    assert not [f for f in os.listdir(p.dir) if f.startswith(".s.")]


def test_unix_socket_to_the_server(make_pooler, pg):
    p = make_pooler(databases={"p0": f"host={pg.dir} port={pg.port} dbname=p0"})
    c = p.client()
    assert c.one("SELECT inet_client_addr() IS NULL") == "t"
    (row,) = p.console().servers()
    assert row["addr"].startswith("unix")


def test_unix_socket_dir_is_the_default_host_of_servers(make_pooler, pg):
    p = make_pooler(databases={"p0": f"port={pg.port} dbname=p0"}, unix_socket_dir=pg.dir)
    assert p.client().one("SELECT inet_client_addr() IS NULL") == "t"


@ipv6
def test_ipv6_for_clients(make_pooler):
    p = make_pooler(listen_addr="127.0.0.1, ::1")
    assert p.client(host="::1").one("SELECT 1") == "1"
    assert p.client(host="127.0.0.1").one("SELECT 1") == "1"
    assert "::1" in [r["addr"] for r in p.console().clients()]
    p.wait_log(r"C-\S+: p0/postgres@\[::1\]:\d+ login attempt")


@ipv6
def test_ipv6_to_the_server(make_pooler, pg):
    p = make_pooler(databases={"p0": f"host=::1 port={pg.port} dbname=p0"})
    assert p.client().one("SELECT inet_client_addr()") == "::1"


def test_listen_on_all_addresses(make_pooler):
    p = make_pooler(listen_addr="*")
    assert p.client().one("SELECT 1") == "1"
    if have_ipv6():
        assert p.client(host="::1").one("SELECT 1") == "1"


def test_host_name_of_a_server(make_pooler, pg):
    p = make_pooler(databases={"p0": f"host=localhost port={pg.port} dbname=p0"})
    assert p.client().one("SELECT 1") == "1"


def test_host_name_that_does_not_exist(make_pooler):
    p = make_pooler(databases={"p0": "host=no-such-host.invalid port=5432 dbname=p0"}, query_wait_timeout=2)
    c = p.raw()
    c.startup(user="postgres", database="p0")
    assert c.fatal()["C"] == "08P01"


def test_a_port_that_is_taken(make_pooler, pg):
    p = make_pooler(start=False, listen_port=free_port(), unix_socket_dir="")
    first = make_pooler(unix_socket_dir="")
    p.settings["listen_port"] = first.port
    p.write()
    p.spawn(p.ini_path)
    p.expect_exit = (1,)
    assert p.wait_exit() == 1


def test_a_unix_socket_that_answers(make_pooler):
    first = make_pooler()
    p = make_pooler(start=False, listen_addr="", unix_socket_dir=first.dir, listen_port=first.port)
    p.write()
    p.spawn(p.ini_path)
    p.expect_exit = (1,)
    assert p.wait_exit() == 1
    assert "unix socket is in use, cannot continue" in p.log() + p.stderr()
    assert first.client(unix=True).one("SELECT 1") == "1"


def test_a_stale_unix_socket_is_replaced(make_pooler):
    p = make_pooler()
    path = p.socket_path()
    p.kill()
    assert os.path.exists(path)
    p.expect_exit = (0, -9)
    p.start()
    assert p.client(unix=True).one("SELECT 1") == "1"


@pytest.mark.newer
def test_abstract_unix_socket(make_pooler):
    name = f"@pw-test-{os.getpid()}"
    p = make_pooler(unix_socket_dir=name)
    c = p.keep(wire.Conn(unix="\0" + name[1:] + f"/.s.PGSQL.{p.port}"))
    assert c.login("postgres", "p0").one("SELECT 1") == "1"
