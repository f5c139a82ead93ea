# SPDX-License-Identifier: ISC
"""Calls of the kernel and of the C library fail (tests/stress/faults.c): the process goes on, or ends with a word."""
import os
import shutil
import signal
import threading

import pytest

from stress import faults
from support.util import wait_until

ALWAYS = 1 << 40
pytestmark = pytest.mark.poolwise


@pytest.fixture(scope="module")
def library(new_dir):
    directory = new_dir("pw-faults-")
    yield faults.library(directory)
    shutil.rmtree(directory)


@pytest.fixture
def faulty(library, binary, pg, new_dir):
    """faulty(setting=value, ...): a running FaultyPooler; it may end as `expect_exit` says."""
    made = []

    def make(start=True, **settings):
        pooler = faults.FaultyPooler(library, binary, new_dir("pw-e2e-"), pg, **settings)
        made.append(pooler)
        return pooler.start() if start else pooler
    yield make
    for pooler in made:
        pooler.heal()
        try:
            pooler.stop()
            assert pooler.proc.returncode in pooler.expect_exit, pooler.log() + pooler.stderr()
            assert not pooler.sanitizer_report(), pooler.sanitizer_report()
        finally:
            pooler.kill()
            pooler.remove()


def in_background(what):
    """Calls it on a thread; `join` gives what it returned."""
    result = []
    thread = threading.Thread(target=lambda: result.append(what()), daemon=True)
    thread.start()

    def join():
        wait_until(lambda: result, what="the client was served")
        return result[0]
    return join


@pytest.mark.parametrize("why", ["ENOMEM", "ENOSPC"])
def test_a_socket_that_cannot_be_watched_now_is_watched_later(faulty, why, workers):
    """Nobody would ever read from it."""
    p = faulty(**workers)
    p.fail("epoll_ctl", why, times=ALWAYS)
    answer = in_background(lambda: p.client().one("SELECT 'here'"))
    p.wait_log("WARNING cannot watch a socket: .*, trying again .hint: ")
    assert p.heal() > 0
    assert answer() == "here"
    p.wait_log("all sockets are watched again")


def test_an_event_loop_does_not_end(faulty, workers):
    p = faulty(**workers)
    c = p.client()
    p.fail("epoll_wait", "ENOMEM", times=30)
    p.wait_log("ERROR event loop .: cannot wait for events: Cannot allocate memory")
    assert c.one("SELECT 'here'") == p.client().one("SELECT 'here'") == "here"


def test_a_mailbox_whose_signal_failed_is_read(faulty):
    """Two workers, one server: it goes from one to the other by mailbox."""
    p = faulty(worker_threads=2, default_pool_size=1, logfile="")
    clients = [p.client() for _ in range(4)]
    for _ in range(3):
        p.fail("write", "EIO", times=20)
        answers = [in_background(lambda c=c, i=i: c.one(f"SELECT {i} FROM pg_sleep(0.02)")) for i, c in enumerate(clients)]
        assert [a() for a in answers] == [str(i) for i in range(len(clients))]
    p.heal()


def test_no_memory_for_a_moment(faulty):
    """Not for OpenSSL and libevent either: nobody notices."""
    p = faulty(auth_type="scram-sha-256", auth_file={"postgres": "secret"})
    p.client(password="secret").ok("SELECT 1")
    p.settle()
    for skip in range(0, 60, 6):
        p.fail("memory", "ENOMEM", skip=skip, times=8)
        assert p.client(password="secret").one("SELECT 'here'") == "here"
    assert p.heal() > 0
    assert not [line for line in p.log().splitlines() if " WARNING " in line or " ERROR " in line]


def test_no_memory_at_all(faulty):
    """The process cannot go on. It says so where people look."""
    p = faulty()
    p.console().show("WORKERS")
    p.settle()
    p.fail("memory", "ENOMEM", times=ALWAYS)
    p.raw()
    p.expect_exit = (-signal.SIGABRT,)
    assert p.wait_exit() == -signal.SIGABRT
    p.heal()
    assert "FATAL out of memory: cannot allocate" in p.log().splitlines()[-1] and "hint: " in p.log().splitlines()[-1]


def test_while_memory_is_scarce_newcomers_wait(faulty):
    """The reserve cannot be had: what there is belongs to who is in."""
    p = faulty(start=False)
    p.write()
    p.fail("block", "ENOMEM") # the first block of all is the reserve
    p.spawn("-q", p.ini_path)
    p.wait_log("process up")
    p.fail("block", "ENOMEM", times=ALWAYS)
    answer = in_background(lambda: p.client().one("SELECT 'here'"))
    p.wait_log("WARNING cannot accept connections: Cannot allocate memory, trying again")
    p.heal()
    assert answer() == "here"


def test_no_descriptors_for_the_event_loops(faulty):
    """libevent wants to end the process there: nothing may stay behind."""
    p = faulty(start=False, pidfile="pooler.pid")
    p.write()
    p.fail("pipe", "EMFILE", times=ALWAYS)
    p.expect_exit = (1,)
    p.spawn("-q", p.ini_path)
    assert p.wait_exit() == 1
    assert "Too many open files" in p.log() and "FATAL the event loops cannot work" in p.log()
    assert not os.path.exists(p.socket_path()) and not os.path.exists(os.path.join(p.dir, "pooler.pid"))
