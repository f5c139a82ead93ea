# SPDX-License-Identifier: ISC
"""The service manager: readiness (NOTIFY_SOCKET) and sockets that are passed in (LISTEN_FDS). A test plays systemd."""
import os
import signal
import socket
import subprocess

import pytest

from support import wire
from support.util import free_port, run_as, wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def manager(make_pooler, tmp_path):
    """A pooler that was not started, and the socket on which it reports."""
    p = make_pooler(start=False, pidfile="pooler.pid")
    p.write()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind("\0" + f"pw-test-notify-{os.getpid()}-{tmp_path.name}")
    sock.settimeout(20)
    p.notify = sock
    p.notify_env = dict(p.env(), NOTIFY_SOCKET="@" + sock.getsockname()[1:].decode())
    yield p
    sock.close()


def start(p, *args):
    p.proc = subprocess.Popen([p.binary, "-q", *args, p.ini_path], cwd=p.dir, env=p.notify_env, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, **run_as(p.user))
    return p.proc


def told(p):
    return p.notify.recv(1000).decode()


def test_readiness(manager):
    start(manager)
    assert told(manager) == "READY=1"
    assert manager.client().one("SELECT 1") == "1", "ready means that it serves"
    manager.signal(signal.SIGHUP)
    text = told(manager)
    assert text.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told(manager) == "READY=1"
    manager.signal(signal.SIGQUIT)
    assert told(manager) == "STOPPING=1"


def test_a_takeover_does_not_stop_the_service(manager):
    old = start(manager)
    assert told(manager) == "READY=1"
    new = start(manager, "-R")
    assert told(manager) == f"READY=1\nMAINPID={new.pid}"
    assert old.wait(20) == 0
    assert manager.client().one("SELECT 1") == "1"
    new.send_signal(signal.SIGQUIT)
    assert told(manager) == "STOPPING=1"


def test_a_reload_of_the_service_may_be_a_takeover(manager):
    """ExecReload=pooler -R -d (docs/operating.md): the command ends when the new process serves, and systemd hears which one that is."""
    old = start(manager)
    assert told(manager) == "READY=1"
    assert start(manager, "-R", "-d").wait(20) == 0
    pid = int(told(manager).removeprefix("READY=1\nMAINPID="))
    assert old.wait(20) == 0
    assert manager.client().one("SELECT 1") == "1"
    with open(os.path.join(manager.dir, "pooler.pid"), encoding="utf-8") as f:
        assert int(f.read()) == pid
    os.kill(pid, signal.SIGQUIT)
    assert told(manager) == "STOPPING=1"


def test_sockets_that_are_passed_in(make_pooler):
    """listen_addr and unix_socket_dir are then ignored, and the log says so."""
    p = make_pooler(start=False)
    p.write()
    port, path = free_port(), os.path.join(p.dir, "passed.sock")
    tcp = socket.create_server(("127.0.0.1", port))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    os.chmod(path, 0o777)
    script = 'exec 3<&"$1" 4<&"$2"; LISTEN_FDS=2 LISTEN_PID=$$ exec "$3" -q "$4"'
    p.proc = subprocess.Popen(["bash", "-c", script, "sh", str(tcp.fileno()), str(unix.fileno()), p.binary, p.ini_path], cwd=p.dir,
                              env=p.env(), pass_fds=(tcp.fileno(), unix.fileno()), **run_as(p.user))
    tcp.close()
    unix.close()
    wait_until(lambda: "process up" in p.log())
    assert p.keep(wire.Conn(port)).login("postgres", "p0").one("SELECT 1") == "1"
    assert p.keep(wire.Conn(unix=path)).login("postgres", "p0").one("SELECT 1") == "1"
    with pytest.raises(OSError):
        wire.Conn(p.port)
    assert not os.path.exists(p.socket_path())
    assert "listen_addr and unix_socket_dir are ignored" in p.log()
