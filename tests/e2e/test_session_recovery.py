# SPDX-License-Identifier: ISC
"""Clients that vanish between two messages leave their server usable: it is recovered, not thrown away. docs/session-state.md
names this test."""
import random

import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


def started(c, *messages):
    """Sent, and the first answer is there."""
    c.send(*messages)
    c.recv()


# how far the client got before it went; each a function of its connection
STATES = {
    "idle": lambda c: c.ok("SELECT 1"),
    "in a transaction": lambda c: c.ok("BEGIN; SELECT 1"),
    "in a failed transaction": lambda c: c.query("BEGIN; SELECT 1/0"),
    "with settings": lambda c: c.ok("BEGIN; SET work_mem = '7MB'; SET LOCAL search_path = x"),
    "with a temporary table": lambda c: c.ok("CREATE TEMP TABLE gone (x int)"),
    "with a lock": lambda c: c.ok("SELECT pg_advisory_lock(77)"),
    "in a query": lambda c: c.send(wire.query("SELECT pg_sleep(60)")),
    "in a query of a transaction": lambda c: (c.ok("BEGIN"), c.send(wire.query("SELECT pg_sleep(60)"))),
    "in a large result": lambda c: started(c, wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")),
    "before its Sync": lambda c: started(c, wire.parse("SELECT 1"), wire.bind(), wire.execute(), wire.flush()),
    "before its Sync, nothing asked for": lambda c: c.send(wire.parse("SELECT 1", "s"), wire.bind(statement="s"), wire.execute()),
    "in a pipeline": lambda c: c.send(*[wire.group("SELECT %d" % i) for i in range(50)]),
    "in a pipeline that waits": lambda c: c.send(wire.group("SELECT pg_sleep(60)"), *[wire.group("SELECT 1/0") for _ in range(9)]),
    "with a named statement": lambda c: c.send(wire.group("SELECT 1", name="named")),
    "with a portal half read": lambda c: started(c, wire.parse("SELECT generate_series(1, 99)"), wire.bind(), wire.execute("", 5), wire.flush()),
    "copying in": lambda c: (c.copy_in_start("COPY recovery_t FROM STDIN"), c.send(wire.copy_data("1\n"))),
    "copying in, by the extended protocol": lambda c: started(c, wire.parse("COPY recovery_t FROM STDIN"), wire.bind(), wire.execute(), wire.flush()),
    "copying out": lambda c: started(c, wire.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT")),
    "listening": lambda c: c.ok("LISTEN gone"),
}


@pytest.mark.parametrize("seed", [1])
def test_the_server_is_kept(make_pooler, seed):
    """Each state, killed and closed, in any order: at least 95 of 100 times the next client gets the same backend, and a clean one."""
    rng = random.Random(seed)
    p = make_pooler(default_pool_size=1)
    p.client().ok("CREATE TABLE IF NOT EXISTS recovery_t (x int); TRUNCATE recovery_t")
    cases = [(name, kill) for name in STATES for kill in (True, False)] * 2
    rng.shuffle(cases)
    lost = []
    for name, kill in cases:
        c = p.client()
        before = c.one("SELECT pg_backend_pid()")
        STATES[name](c)
        if kill:
            c.reset()
        else:
            c.close()
        with p.client() as after:
            if after.one("SELECT pg_backend_pid()") != before:
                lost.append((name, kill))
            assert after.one("SELECT count(*) FROM recovery_t") == "0"
            assert after.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
            assert after.one("SELECT count(*) FROM pg_listening_channels()") == "0"
            assert after.one("SHOW work_mem") != "7MB" and after.query("SELECT * FROM gone").error["C"] == "42P01"
    wait_until(lambda: p.console().pool()["sv_active"] == 0)
    assert len(lost) <= len(cases) // 20, lost
    print(f"kept {len(cases) - len(lost)} of {len(cases)}")
