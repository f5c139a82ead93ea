# SPDX-License-Identifier: ISC
"""DDL changes what a prepared statement returns: a client sees what a direct connection would show it, or less trouble; never
rows that it reads wrongly. docs/session-state.md names these tests."""
import asyncio
import itertools
import os
import random
import struct
import threading

import asyncpg
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise

INT, BIGINT, TEXT = 23, 20, 25
SELECT = "SELECT * FROM stale_t"


@pytest.fixture
def table(pg):
    with wire.Conn(pg.port) as c:
        c.login("postgres", "p0")
        c.ok("DROP TABLE IF EXISTS stale_t; CREATE TABLE stale_t AS SELECT 1 AS x")
        yield c


@pytest.fixture
def pool(make_pooler, table):
    return make_pooler(default_pool_size=2)


def run(c, *messages):
    c.send(*messages, wire.sync())
    return c.until_ready()


def prepare(c, name="s", sql=SELECT):
    """Parse and Describe: this client is told what the rows are."""
    result = run(c, wire.parse(sql, name), wire.describe("S", name))
    assert not result.errors, result.errors
    return result.columns


def cached(c, name="s", *params):
    """As a driver that keeps the description."""
    return run(c, wire.bind(statement=name, params=params), wire.execute())


def described(c, name="s", *params):
    """As libpq does it."""
    return run(c, wire.bind(statement=name, params=params), wire.describe(), wire.execute())


def counted(p, what):
    return sum(int(r[what]) for r in p.console().show("PINS") if r["database"] == "p0")


def elsewhere(c, other):
    """The next transaction of `other` gets a server that is not the one `c` keeps meanwhile."""
    c.ok("BEGIN")
    return other


def test_who_asks_again_sees_no_error(pool, table):
    """Bind, Describe, Execute: the group is sent again, nothing of it is seen."""
    a = pool.client()
    prepare(a)
    assert described(a).rows == [["1"]]
    table.ok("ALTER TABLE stale_t ADD y text DEFAULT 'two'")
    result = described(a)
    assert result.types == "2TDCZ" and result.rows == [["1", "two"]] and len(result.columns) == 2
    assert counted(pool, "retries") == 1
    assert described(a).rows == [["1", "two"]] and counted(pool, "retries") == 1


def test_who_does_not_ask_hears_what_a_direct_connection_hears(pool, table):
    """As often as it tries, on whichever server, also where the statement was prepared after the DDL."""
    a, b, c = pool.client(), pool.client(), pool.client()
    prepare(a)
    assert cached(a).rows == [["1"]]
    prepare(table) # the direct connection
    b.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    want = cached(table).error
    for busy in (b, b, None, c):
        if busy:
            busy.ok("BEGIN")
        got = cached(a)
        assert not got.rows and got.types == "EZ"
        assert got.error["C"] == want["C"] == "0A000" and got.error["R"] == want["R"] and got.error["M"] == want["M"]
        if busy:
            assert described(busy, prepare(busy) and "s").rows == [["1", "2"]]
            run(busy, wire.close("S", "s"))
            busy.ok("ROLLBACK")
    run(a, wire.close("S", "s"))
    prepare(a)
    assert cached(a).rows == [["1", "2"]]


def test_an_error_in_a_transaction_fails_it(pool, table):
    a, b = pool.client(), pool.client()
    prepare(a)
    cached(a)
    b.ok("ALTER TABLE stale_t ADD y int")
    a.ok("BEGIN")
    assert cached(a).status == "E"
    assert a.query("SELECT 1").error["C"] == "25P02"
    a.ok("ROLLBACK")
    b.ok("BEGIN")
    prepare(b)
    a.ok("BEGIN") # on the other server, which has no plan: the pooler itself refuses
    result = cached(a)
    assert result.error["C"] == "0A000" and result.status == "E"
    assert a.query("SELECT 1").error["C"] == "25P02"
    a.ok("ROLLBACK")
    b.ok("ROLLBACK")


def test_what_is_changed_back_is_no_change(pool, table):
    a, b, c = pool.client(), pool.client(), pool.client()
    prepare(a)
    cached(a)
    table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    prepare(b)
    assert cached(b).rows == [["1", "2"]]
    table.ok("ALTER TABLE stale_t DROP y")
    for busy in (None, c):
        if busy:
            busy.ok("BEGIN")
        assert cached(a).rows == [["1"]]
        assert cached(b).error["C"] == "0A000"


# how a client that comes after the DDL goes about it, each a list of groups
FRESH = {
    "at once": [[wire.parse(SELECT, "s"), wire.bind(statement="s"), wire.describe(), wire.execute()]],
    "without asking": [[wire.parse(SELECT, "s"), wire.bind(statement="s"), wire.execute()]],
    "asks first": [[wire.parse(SELECT, "s"), wire.describe("S", "s")], [wire.bind(statement="s"), wire.execute()]],
    "parses first": [[wire.parse(SELECT, "s")], [wire.bind(statement="s"), wire.execute()]],
    "closes": [[wire.parse(SELECT, "s")], [wire.bind(statement="s"), wire.describe(), wire.execute(), wire.close("S", "s")]],
}


@pytest.mark.parametrize("how", ["one by one", "pipelined", "in a transaction"])
@pytest.mark.parametrize("groups", FRESH.values(), ids=FRESH)
def test_who_comes_after_the_ddl_hears_nothing_of_it(pool, table, groups, how):
    """It shares a plan from before, which it has no part in."""
    a, b = pool.client(), pool.client()
    prepare(a)
    cached(a)
    table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    if how == "in a transaction":
        b.ok("BEGIN")
    if how == "pipelined":
        b.send(*[m for g in groups for m in (*g, wire.sync())])
        results = [b.until_ready() for _ in groups]
    else:
        results = [run(b, *g) for g in groups]
    assert not [r.error for r in results if r.errors]
    assert results[-1].rows == [["1", "2"]]
    assert counted(pool, "retries") + counted(pool, "reprepares") >= 1
    assert cached(a).error["C"] == "0A000"


def test_with_flush(pool, table):
    """Parse, Describe, Flush; the rest when that is answered (asyncpg, JDBC's fetch sizes)."""
    a, b = pool.client(), pool.client()
    prepare(a)
    cached(a)
    table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    b.send(wire.parse(SELECT, "s"), wire.describe("S", "s"), wire.flush())
    columns = wire.row_description(b.expect("1tT")[-1].body)
    assert [name for name, _ in columns] == ["x", "y"] and counted(pool, "retries") == 1
    b.send(wire.bind(statement="s"), wire.execute(), wire.flush())
    b.expect("2DC")
    b.send(wire.sync())
    assert b.until_ready().types == "Z"
    assert b.one("SELECT 'more'") == "more"


def test_a_statement_closed_behind_an_error_is_still_there(pool, table):
    """The server skips the Close, so the statement stays: as on a direct connection."""
    a = pool.client()
    for c in (a, table):
        prepare(c, sql="SELECT 1/$1::int")
        assert run(c, wire.bind(statement="s", params=("0",)), wire.execute(), wire.close("S", "s")).types == "EZ"
        assert cached(c, "s", "1").rows == [["1"]]


def test_types_of_parameters_stay_what_was_told(pool, table):
    """int became bigint: on the server that parses the text anew too, a binary int is an int."""
    a, b = pool.client(), pool.client()
    sql = "SELECT x::text FROM stale_t WHERE x = $1"
    binary = wire.message("B", wire.cstr("") + wire.cstr("s") + struct.pack("!hhhii", 1, 1, 1, 4, 1) + struct.pack("!h", 0))
    for c in (a, table):
        prepare(c, sql=sql)
        assert run(c, binary, wire.execute()).rows == [["1"]]
    b.ok("ALTER TABLE stale_t ALTER x TYPE bigint")
    for busy in (b, b):
        busy.ok("BEGIN") # one of the two has the server that knows the statement
        result = run(a, binary, wire.execute())
        assert result.rows == [["1"]] == run(table, binary, wire.execute()).rows, result.errors
        busy.ok("COMMIT")


def test_the_unnamed_statement(pool, table):
    """Parse and Describe in one group, Bind in the next (lib/pq); between them DDL, and another server."""
    a, b, c = pool.client(), pool.client(), pool.client()
    for ddl in (False, True):
        assert not run(a, wire.parse(SELECT), wire.describe("S")).errors
        if ddl:
            table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
        for busy in (b, c):
            busy.ok("BEGIN")
            result = cached(a, "")
            if ddl:
                assert result.error["C"] == "0A000" and not result.rows
            else:
                assert result.rows == [["1"]] and result.types == "2DCZ"
            busy.ok("ROLLBACK")
    assert described(a, "").rows == [["1", "2"]]


def test_a_very_wide_table(pool, table):
    """Its description does not fit what is held whole."""
    names = ["a_column_with_a_long_name_that_fills_some_bytes_%04d" % i for i in range(900)]
    table.ok("DROP TABLE stale_t; CREATE TABLE stale_t (" + ", ".join(f"{n} int DEFAULT 1" for n in names) + "); INSERT INTO stale_t DEFAULT VALUES")
    a, b = pool.client(), pool.client()
    assert len(prepare(a)) == 900
    for busy in (None, b):
        if busy:
            busy.ok("BEGIN")
        assert len(cached(a).rows[0]) == 900
    table.ok(f"ALTER TABLE stale_t ALTER {names[-1]} TYPE bigint") if not b.ok("COMMIT") else None
    for busy in (None, b):
        if busy:
            busy.ok("BEGIN")
        assert cached(a).error["C"] == "0A000"
    assert len(described(a).rows[0]) == 900


def test_a_stale_plan_of_sql_prepare(pool, table):
    """The error of a direct connection once; then EXECUTE finds the statement prepared anew, on every server."""
    a, b, c = pool.client(), pool.client(), pool.client()
    a.ok(f"PREPARE q AS {SELECT}")
    assert a.one("EXECUTE q") == "1"
    table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    c.ok("BEGIN") # b's PREPARE goes to another server than a's
    b.ok(f"PREPARE q AS {SELECT}")
    c.ok("ROLLBACK")
    errors = 0
    for turn in range(3):
        for client in (a, b):
            for busy in (None, c):
                if busy:
                    busy.ok("BEGIN")
                result = client.query("EXECUTE q")
                if result.errors:
                    assert result.error["C"] == "0A000" and turn == 0
                    errors += 1
                    result = client.query("EXECUTE q")
                assert result.rows == [["1", "2"]]
                if busy:
                    busy.ok("ROLLBACK")
    assert 1 <= errors <= 2


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("block", [False, True], ids=["alone", "in a transaction"])
def test_sql_execute_against_a_direct_connection(pool, pg, table, block, extended):
    """EXECUTE of a plan that DDL made stale is an error of PostgreSQL itself, each time, until the name is prepared anew. The pooler gives
    no error where a direct connection gives none, and fewer."""
    pooled, direct = pool.client(), wire.Conn(pg.port).login("postgres", "p0")
    seen = {}
    for c in (pooled, direct):
        c.ok(f"PREPARE q AS {SELECT}")
        assert c.one("EXECUTE q") == "1"
    table.ok("ALTER TABLE stale_t ADD y int DEFAULT 2")
    for c in (pooled, direct):
        seen[c] = []
        for _ in range(4):
            if block:
                c.ok("BEGIN")
            result = run(c, wire.parse("EXECUTE q"), wire.bind(), wire.execute()) if extended else c.query("EXECUTE q")
            seen[c].append(result.error["C"] if result.errors else result.rows)
            assert result.status == ("E" if block and result.errors else "T" if block else "I")
            if block:
                c.ok("ROLLBACK")
    assert seen[direct] == ["0A000"] * 4
    assert seen[pooled][0] == "0A000" and seen[pooled][-1] == [["1", "2"]] and seen[pooled].count("0A000") <= 2
    direct.ok(f"DEALLOCATE q; PREPARE q AS {SELECT}")
    assert direct.ok("EXECUTE q") == [["1", "2"]]
    direct.close()


def test_asyncpg_against_a_direct_connection(pool, pg):
    """It keeps statements and what it was told of them. Alone it prepares a stale one anew by itself; in a transaction, and with a statement
    that the application keeps, it raises what PostgreSQL says. Through the pooler there is no error beyond those."""

    async def outcome(call):
        try:
            return [tuple(row) for row in await call]
        except asyncpg.PostgresError as e:
            return type(e).__name__

    async def play(where):
        c = await asyncpg.connect(host="127.0.0.1", user="postgres", database="p0", ssl=False, **where)
        other = await asyncpg.connect(host="127.0.0.1", user="postgres", database="p0", ssl=False, **where)
        await c.execute("DROP TABLE IF EXISTS stale_t; CREATE TABLE stale_t AS SELECT 1 AS x")
        seen, text = [], SELECT
        kept = await c.prepare(text)
        seen += [await outcome(c.fetch(text)), await outcome(other.fetch(text)), await outcome(kept.fetch())]
        await other.execute("ALTER TABLE stale_t ADD y int DEFAULT 2")
        seen += [await outcome(c.fetch(text)), await outcome(other.fetch(text)), await outcome(c.fetch(text))]
        await other.execute("ALTER TABLE stale_t ALTER y TYPE text")
        for client in (c, other):
            transaction = client.transaction()
            await transaction.start()
            seen.append(await outcome(client.fetch(text)))
            await transaction.rollback()
            seen.append(await outcome(client.fetch(text)))
        seen.append(await outcome(kept.fetch()))
        await c.close()
        await other.close()
        return seen

    direct = asyncio.run(play({"port": pg.port}))
    pooled = asyncio.run(play({"port": pool.port}))
    assert "InvalidCachedStatementError" in direct, direct
    assert all(p == d or isinstance(d, str) and not isinstance(p, str) for p, d in zip(pooled, direct, strict=True)), (pooled, direct)


class Twin:
    """A client of the pooler and its twin on a direct connection, which send the same."""

    def __init__(self, pooler, pg, rng):
        self.rng, self.block, self.history = rng, False, []
        self.pooled, self.direct = pooler.client(), wire.Conn(pg.port)
        self.direct.login("postgres", "p0")
        self.told, self.names, self.next = {}, [], 0

    def group(self):
        """Messages without their Sync, and what they are about: (name, is it told in this group?)."""
        rng = self.rng
        kind = rng.choice(["new", "new at once", "new told", "cached", "cached", "described", "told", "close", "unnamed"])
        if kind.startswith("new") or not self.names:
            self.next += 1
            name = f"n{self.next}"
            self.names.append(name)
            more = {"new at once": [wire.bind(statement=name), wire.describe(), wire.execute()], "new told": [wire.describe("S", name)]}
            return name, kind, [wire.parse(rng.choice([SELECT, "SELECT * FROM stale_t WHERE true"]), name), *more.get(kind, [])]
        name = rng.choice(self.names)
        if kind == "unnamed":
            return "", kind, [wire.parse(SELECT), wire.bind(), wire.describe(), wire.execute()]
        if kind == "close":
            self.names.remove(name)
            return name, kind, [wire.bind(statement=name), wire.describe(), wire.execute(), wire.close("S", name)]
        return name, kind, {"cached": [wire.bind(statement=name), wire.execute()], "told": [wire.describe("S", name)],
                            "described": [wire.bind(statement=name), wire.describe(), wire.execute()]}[kind]

    def both(self, *messages):
        for c in (self.pooled, self.direct):
            c.send(*messages)
        return self.pooled.until_ready(), self.direct.until_ready()

    def step(self):
        if self.rng.random() < 0.2:
            text = "COMMIT" if self.block else "BEGIN"
            self.history.append(text)
            got, want = self.both(wire.query(text))
            assert got.tags == want.tags
            self.block = not self.block
            return
        name, kind, messages = self.group()
        self.history.append(f"{kind} {name}")
        got, want = self.both(*messages, wire.sync())
        why = "\n".join(self.history[-60:]), got.error, want.error
        if got.columns:
            self.told[name] = got.columns
        if want.errors:
            assert want.error["C"] == "0A000" and (not got.errors or got.error["C"] == "0A000"), why
        else:
            assert not got.errors and got.rows == want.rows and got.types == want.types and got.columns == want.columns, why
        if got.rows and name in self.told: # who was never told reads what comes
            assert [o for _, o in self.told[name]] == [TEXT if v.startswith("t") else INT for v in got.rows[0]], why
        if got.errors or want.errors:
            self.names = [n for n in self.names if n != name] # from here on the two know different things of it
            if self.block:
                self.history.append("ROLLBACK")
                self.both(wire.query("ROLLBACK"))
            self.block = False


@pytest.mark.parametrize("seed", [1, 6])
def test_random_groups_against_a_direct_connection(make_pooler, pg, table, seed, workers):
    """Where a direct connection has no error there is none, and the same rows; where it has one there is the same, or rows
    of the shape that the client was told."""
    rng = random.Random(seed)
    p = make_pooler(default_pool_size=3, max_prepared_statements=5, **workers)
    ddl, twins = Ddl(table), [Twin(p, pg, rng) for _ in range(3)]
    for _ in range(int(os.environ.get("ROUNDS", "200"))):
        twin = rng.choice(twins)
        twin.step()
        if rng.random() < 0.15 and not any(t.block for t in twins):
            for t in twins:
                t.history.append("DDL")
            ddl.step()


class Reader(threading.Thread):
    """Reads the table over and over; what it sees must be what it was told, and an error must have been earned."""

    def __init__(self, pooler, caches, ddl):
        super().__init__()
        self.c, self.caches, self.ddl = pooler.client(), caches, ddl
        self.names = ("s%d" % i for i in itertools.count())
        self.problems, self.reads, self.stale = [], 0, 0
        self.done = threading.Event()

    def prepare(self):
        self.name, self.seen = next(self.names), self.ddl.finished
        self.columns = prepare(self.c, self.name)

    def check(self, columns, rows):
        for row in rows:
            if len(row) != len(columns):
                self.problems.append(f"{row} for {columns}")
            for value, (name, oid) in zip(row, columns):
                if not value.startswith({INT: "1", TEXT: "t"}[oid]):
                    self.problems.append(f"{name} of type {oid} is {value!r}")

    def run(self):
        try:
            self.prepare()
            while not self.done.is_set():
                result = (cached if self.caches else described)(self.c, self.name)
                self.reads += 1
                if not result.errors:
                    self.check(self.columns if self.caches else result.columns, result.rows)
                    continue
                earned = self.caches and result.error["C"] == "0A000" and self.ddl.begun > self.seen
                if not earned:
                    self.problems.append(result.error)
                self.stale += 1
                self.prepare()
        except Exception as e: # noqa: BLE001  a thread's end must not pass unnoticed
            self.problems.append(repr(e))


class Ddl:
    def __init__(self, conn):
        self.conn, self.begun, self.finished = conn, 0, 0

    def step(self):
        self.begun += 1
        i = self.begun
        self.conn.ok({0: f"ALTER TABLE stale_t ADD c{i} int DEFAULT 1", 1: "ALTER TABLE stale_t ALTER x TYPE text USING 't'",
                      2: f"ALTER TABLE stale_t DROP c{i - 2}", 3: "ALTER TABLE stale_t ALTER x TYPE int USING 1"}[(i - 1) % 4])
        self.finished = self.begun


def test_under_load(make_pooler, table, workers):
    """Columns come, go and change their type while readers of both kinds share a few servers."""
    p = make_pooler(default_pool_size=4, **workers)
    ddl = Ddl(table)
    readers = [Reader(p, i % 2 == 0, ddl) for i in range(8)]
    for r in readers:
        r.start()
    for _ in range(24):
        before = [r.reads for r in readers]
        ddl.step()
        wait_until(lambda: all(r.reads > b + 2 or r.problems for r, b in zip(readers, before)))
    for r in readers:
        r.done.set()
    for r in readers:
        r.join()
    assert not [x for r in readers for x in r.problems]
    assert counted(p, "retries") > 0 and sum(r.stale for r in readers if r.caches) > 0


def test_psycopg_under_load(make_pooler, table):
    """libpq describes each time: no error, and the columns of each result are its own."""
    p = make_pooler(default_pool_size=3)
    ddl, connections = Ddl(table), [p.psycopg(prepare_threshold=0) for _ in range(4)]
    for _ in range(12):
        for c in connections:
            cursor = c.execute(SELECT)
            (row,) = cursor.fetchall()
            assert [d.type_code for d in cursor.description] == [INT if isinstance(v, int) else TEXT for v in row]
        ddl.step()
    assert counted(p, "retries") > 0
