# SPDX-License-Identifier: ISC
"""Every query carries its client's own name and number: whatever happens to the others, nobody ever reads a reply
that is not his, and each gets all of his in order."""
import threading

import pytest

from stress.chaos import stress
from stress.souls import Soul
from support import wire
from support.util import wait_until

ROUNDS = 25


def at_rest(p):
    console = p.console()
    wait_until(lambda: console.pool()["sv_active"] == 0, what="every server came back")
    assert console.pool()["cl_waiting"] == 0
    assert "unexpected message" not in p.log()
    return console.pool()


@pytest.mark.newer
@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_reads_anothers_reply(make_pooler, pg, workers, seed):
    """Five times more clients than servers, all kinds of requests, deaths at every place."""
    p = make_pooler(default_pool_size=3, query_wait_timeout=60, max_prepared_statements=5, server_recovery_timeout=5, **workers)
    p.client().ok("CREATE TABLE IF NOT EXISTS tags (t text); TRUNCATE tags")
    souls = [Soul(p, i, seed * 1000 + i) for i in range(15)]
    for s in souls:
        rounds = iter(range(ROUNDS))
        s.until = lambda rounds=rounds: next(rounds, None) is None
    threads = [threading.Thread(target=s.live, daemon=True) for s in souls]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not [t for t in threads if t.is_alive()], "somebody hangs"
    assert not [s.problem for s in souls if s.problem]
    row = at_rest(p)
    assert row["sv_idle"] + row["sv_used"] + row["sv_tested"] <= 3
    wait_until(lambda: len(pg.backends()) <= 3, what="closed backends ended")


@pytest.mark.poolwise
@pytest.mark.parametrize("threads", [1, 4])
def test_nobody_reads_anothers_reply_whatever_breaks(make_pooler, pg, threads):
    """Cancels, terminated servers, killed clients, RELOAD, PAUSE, RECONNECT, sessions that hold something. tests/stress/run is the same for longer."""
    p = make_pooler(default_pool_size=3, query_wait_timeout=60, max_prepared_statements=5, server_recovery_timeout=5, worker_threads=threads)
    lives, chaos, problems = stress(p, pg, 15, seed=threads)
    assert not problems
    assert sum(s.served for s in lives) > 200 and all(chaos.done.get(act) for act in ("cancel", "wrong_cancel", "terminate", "reload"))
    at_rest(p)


def test_ten_thousand_queries_before_the_first_reply_is_read(make_pooler):
    p = make_pooler(default_pool_size=1)
    c, other = p.client(), p.client()
    n = 10_000
    sender = threading.Thread(target=c.send, args=(b"".join(wire.query(f"SELECT {i}") for i in range(n)),), daemon=True)
    sender.start()
    other.send(wire.query("SELECT 'in between'"))
    assert other.until_ready().rows == [["in between"]]
    for i in range(n):
        assert c.until_ready().rows == [[str(i)]]
    sender.join()
    wait_until(lambda: p.console().pool()["sv_active"] == 0, what="the server came back")


def test_ten_thousand_groups_in_one_transaction(make_pooler):
    p = make_pooler(default_pool_size=1)
    c = p.client()
    n = 10_000
    data = wire.query("BEGIN") + b"".join(wire.group("SELECT $1::int", [i]) for i in range(n)) + wire.query("COMMIT")
    sender = threading.Thread(target=c.send, args=(data,), daemon=True)
    sender.start()
    assert c.until_ready().status == "T"
    for i in range(n):
        assert c.until_ready().rows == [[str(i)]]
    assert c.until_ready().status == "I"
    sender.join()


def test_query_of_a_hundred_megabytes(make_pooler, pg):
    p = make_pooler(default_pool_size=1)
    c, other = p.client(), p.client()
    size = 100_000_000
    sender = threading.Thread(target=c.send, args=(wire.query(f"SELECT length('{'x' * size}')"),), daemon=True)
    sender.start()
    assert c.until_ready(60).rows == [[str(size)]]
    sender.join()
    assert other.one("SELECT 1") == "1"
    with open(f"/proc/{p.proc.pid}/status", encoding="ascii") as f:
        rss = int([line for line in f if line.startswith("VmRSS")][0].split()[1])
    assert rss < 600_000, "the request was collected, not streamed"
