# SPDX-License-Identifier: ISC
"""io_engine: what is put off to the end of a loop turn arrives whole, in order and with the right client."""
import errno
import os
import pathlib
import sys

import pytest

from support import wire
from support.util import wait_until

# Runs the program given to it in a process where io_uring_setup (425 on all machines) is refused, as containers do.
REFUSE = """#!{python}
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x50000 | {errno}), (0x06, 0, 0, 0x7fff0000)))
held = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, "no filter"
os.execv("{binary}", ["{binary}"] + sys.argv[1:])
"""


def io_uring_is_open():
    switch = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
    return not switch.exists() or switch.read_text(encoding="ascii").strip() == "0"


@pytest.fixture
def refusing(binary, tmp_path):
    """A binary that may not use io_uring."""
    path = tmp_path / "pooler"
    path.write_text(REFUSE.format(python=sys.executable, errno=errno.EPERM, binary=os.path.realpath(binary)), encoding="ascii")
    path.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return str(path)


def batched(console):
    return sum(int(r["batched_sends"]) for r in console.show("WORKERS"))


@pytest.mark.parametrize("engine", ["epoll", "io_uring", "auto"])
def test_many_clients_in_one_turn(make_pooler, engine):
    """All send before any reads, so that many replies and requests share a turn; each gets its own, in order."""
    if engine == "io_uring" and not io_uring_is_open():
        engine = "auto"
    p = make_pooler(io_engine=engine, worker_threads=1, default_pool_size=8, client_idle_timeout=0)
    con = p.console()
    clients = [p.client() for _ in range(40)]
    for turn in range(15):
        for i, c in enumerate(clients):
            c.send(wire.query(f"SELECT 'c{i}t{turn}'") + wire.group("SELECT $1 || 'x'", [f"c{i}t{turn}"])
                   + wire.query(f"SELECT repeat('c{i}', 3000)"))
        for i, c in enumerate(clients):
            assert c.until_ready().rows == [[f"c{i}t{turn}"]]
            assert c.until_ready().rows == [[f"c{i}t{turn}x"]]
            assert c.until_ready().rows == [[f"c{i}" * 3000]]
    assert batched(con) == 0 if engine == "epoll" else batched(con) > 0 or not io_uring_is_open()
    p.wait_log(r"process up: .*libevent \S+ \(epoll(, sends by io_uring)?\)")
    assert ("sends by io_uring" in p.log()) == (engine != "epoll" and io_uring_is_open())


def test_auto_does_without_where_it_is_refused(make_pooler, refusing):
    p = make_pooler(start=False, io_engine="auto")
    p.binary = refusing
    p.start()
    p.wait_log(r"LOG io_engine = auto: epoll, because io_uring cannot be used here: Operation not permitted")
    assert p.client().ok("SELECT 1") == [["1"]]
    assert batched(p.console()) == 0


def test_io_uring_is_a_must(make_pooler, refusing):
    p = make_pooler(start=False, io_engine="io_uring")
    p.binary, p.expect_exit = refusing, (1,)
    p.write()
    p.spawn("-q", p.ini_path)
    assert p.wait_exit() == 1
    assert "io_engine = io_uring cannot be used here: Operation not permitted (hint: io_engine = auto)" in p.log() + p.stderr()


def test_unknown_engine(make_pooler):
    p = make_pooler(start=False, io_engine="kqueue")
    p.expect_exit = (1,)
    p.write()
    p.spawn("-q", p.ini_path)
    assert p.wait_exit() == 1
    assert 'io_engine' in p.stderr() and "io_uring" in p.stderr()


def test_what_nobody_answers_does_not_keep_a_server(make_pooler):
    """A Flush goes out with the turn in which its client leaves: the server is free at once, not after server_recovery_timeout."""
    p = make_pooler(pool_mode="session", default_pool_size=1, worker_threads=1, server_recovery_timeout=300)
    con = p.console()
    for _ in range(5):
        c = p.client()
        pid = c.one("SELECT pg_backend_pid()")
        c.send(wire.flush() + wire.terminate())
        wait_until(lambda: con.pool()["sv_idle"] == 1)
        d = p.client()
        assert d.one("SELECT pg_backend_pid()") == pid
        d.close()
        wait_until(lambda: con.pool()["sv_idle"] == 1)
