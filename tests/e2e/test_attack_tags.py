# SPDX-License-Identifier: ISC
"""Every query carries its client's own name and number: whatever happens to the others, nobody ever reads a reply
that is not his, and each gets all of his in order."""
import random
import threading

import pytest

from support import wire
from support.util import wait_until

ROUNDS = 25


class Soul:
    """One client's life: random requests, each tagged; checks every reply."""

    def __init__(self, pooler, number, seed):
        self.pooler, self.number = pooler, number
        self.rng = random.Random(seed)
        self.conn = None
        self.serial = 0
        self.problem = None

    def tag(self):
        self.serial += 1
        return f"c{self.number}n{self.serial}"

    # Each request: (bytes, check of its Result)

    def simple(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}'"), lambda r: r.rows == [[tag]] and not r.errors

    def several(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}'; SELECT '{tag}b'"), lambda r: r.rows == [[tag], [tag + "b"]]

    def extended(self):
        tag = self.tag()
        return wire.group("SELECT $1::text", [tag]), lambda r: r.types == "12DCZ" and r.rows == [[tag]]

    def named(self):
        tag, name = self.tag(), f"s{self.serial}"
        return (wire.parse("SELECT $1::text || 'named'", name) + wire.describe("S", name) + wire.bind("", name, [tag])
                + wire.execute() + wire.close("S", name) + wire.sync(),
                lambda r: r.types == "1tT2DC3Z" and r.rows == [[tag + "named"]])

    def failing(self):
        tag = self.tag()
        return wire.query(f"SELECT {tag}"), lambda r: tag in r.error["M"]

    def failing_group(self):
        tag = self.tag()
        return (wire.parse(f"SELECT '{tag}', {tag}") + wire.bind() + wire.query("SELECT 'never'") + wire.execute()
                + wire.sync(), lambda r: r.types == "EZ" and tag in r.error["M"])

    def large(self):
        tag = self.tag()
        n = self.rng.choice([20_000, 33_000, 150_000])
        return wire.query(f"SELECT '{tag}' /* {'x' * n} */"), lambda r: r.rows == [[tag]]

    def large_reply(self):
        tag = self.tag()
        return wire.query(f"SELECT repeat('{tag}', 20000)"), lambda r: r.rows == [[tag * 20000]]

    def copy_out(self):
        tag = self.tag()
        return (wire.query(f"COPY (SELECT '{tag}' FROM generate_series(1, 50)) TO STDOUT"),
                lambda r: r.types == "H" + "d" * 50 + "cCZ" and all(m.body == tag.encode() + b"\n"
                                                                    for m in r.messages if m.type == "d"))

    def copy_in(self):
        tag = self.tag()
        end = self.rng.choice([wire.copy_done(), wire.copy_fail(tag)])
        done = end[:1] == b"c"
        return (wire.query("COPY tags FROM STDIN") + wire.copy_data(f"{tag}\n") + end,
                lambda r: r.types == ("GCZ" if done else "GEZ") and (done or tag in r.error["M"]))

    def notice(self):
        tag = self.tag()
        n = self.rng.choice([10, 90_000])
        return (wire.query(f"DO $$ BEGIN RAISE NOTICE '%', repeat('{tag}', {n}); END $$"),
                lambda r: [x["M"] for x in r.notices] == [tag * n])

    def transaction(self):
        parts = [(wire.query("BEGIN"), lambda r: r.status == "T"), self.simple(), self.extended()]
        end = self.rng.choice(["COMMIT", "ROLLBACK"])
        return parts + [(wire.query(end), lambda r: r.tags == [end] and r.status == "I")]

    KINDS = ["simple", "simple", "several", "extended", "named", "failing", "failing_group", "large", "large_reply", "copy_out",
             "copy_in", "notice", "transaction"]

    def batch(self):
        out = []
        for _ in range(self.rng.randint(1, 6)):
            made = getattr(self, self.rng.choice(self.KINDS))()
            out += made if isinstance(made, list) else [made]
        return out

    def send_cut(self, data):
        """In pieces at random places; or byte by byte when it is short."""
        if len(data) < 400 and self.rng.random() < 0.3:
            for i in range(len(data)):
                self.conn.send(data[i:i + 1])
            return
        cuts = sorted(self.rng.randrange(len(data)) for _ in range(self.rng.randint(0, 3)))
        for a, b in zip([0] + cuts, cuts + [len(data)]):
            self.conn.send(data[a:b])

    def live(self):
        try:
            self.conn = self.pooler.client(application_name=f"c{self.number}")
            for _ in range(ROUNDS):
                self.round()
        except Exception as e:  # pylint: disable=broad-except
            self.problem = f"client {self.number}, request {self.serial}: {type(e).__name__}: {e}"

    def round(self):
        batch = self.batch()
        data = b"".join(b for b, _ in batch)
        if self.rng.random() < 0.2:
            self.die(data)
            return
        if self.rng.random() < 0.5:
            self.send_cut(data)
            for _, check in batch:
                self.verify(self.conn.until_ready(), check)
            return
        for part, check in batch:
            self.send_cut(part)
            self.verify(self.conn.until_ready(), check)

    def verify(self, result, check):
        if not check(result):
            rows = str(result.rows)[:200]
            raise AssertionError(f"not my reply: {result.types[:60]} {rows} {result.errors}")

    def die(self, data):
        """At any byte of a batch, with or without having read, politely or not; then a new life."""
        self.send_cut(data[:self.rng.randrange(len(data) + 1)] or b"X\0\0\0\4")
        if self.rng.random() < 0.3:
            self.conn.readable()
        if self.rng.random() < 0.5:
            self.conn.reset()
        else:
            self.conn.close()
        self.conn = self.pooler.client(application_name=f"c{self.number}")


@pytest.mark.newer
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_reads_anothers_reply(make_pooler, pg, workers, seed):
    """Five times more clients than servers, all kinds of requests, deaths at every place."""
    p = make_pooler(default_pool_size=3, query_wait_timeout=60, max_prepared_statements=5, server_recovery_timeout=5, **workers)
    p.client().ok("CREATE TABLE IF NOT EXISTS tags (t text); TRUNCATE tags")
    souls = [Soul(p, i, seed * 1000 + i) for i in range(15)]
    threads = [threading.Thread(target=s.live, daemon=True) for s in souls]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not [t for t in threads if t.is_alive()], "somebody hangs"
    assert not [s.problem for s in souls if s.problem]
    console = p.console()
    wait_until(lambda: console.pool()["sv_active"] == 0, what="every server came back")
    row = console.pool()
    assert row["cl_waiting"] == 0 and row["sv_idle"] + row["sv_used"] + row["sv_tested"] <= 3
    wait_until(lambda: len(pg.backends()) <= 3, what="closed backends ended")
    assert "unexpected message" not in p.log()


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
