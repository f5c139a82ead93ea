# SPDX-License-Identifier: ISC
"""Clients whose requests carry their own name and number, and who look at every reply: it must be theirs, whole and in order.

While things are being broken around them (chaos.py) a request may also fail: with one of the errors that this brings, or with the end
of the connection. Even then no row of anybody else may come with it, and who is never cancelled must never hear that it was."""
import random
import time

from support import wire

CANCELLED = "57014"
# a terminated server; the pooler's own errors (also with error_behaviour = pgbouncer); a transaction that failed before
BREAKAGE = {"57P01", "57P02", "57P03", "08P01", "08006", "08003", "58000", "53300", "25P02", "XX000"}
ENDS = (wire.Closed, ConnectionError, wire.ServerError)


class Soul:
    """One client's life. `fate`: what may happen to it beside its own requests: "" (nothing fails), "chaos", "cancel" (also cancelled)."""

    def __init__(self, pooler, number, seed, fate=""):
        self.pooler, self.number, self.fate = pooler, number, fate
        self.rng = random.Random(seed)
        self.conn = None
        self.serial = self.served = self.failures = 0
        self.port, self.problem = 0, None
        self.value = ""      # of app.tag in this session
        self.prepared = {}   # name -> what its text adds to the value
        self.tired = False   # of this connection
        self.until = lambda: False

    def tag(self):
        self.serial += 1
        return f"c{self.number}n{self.serial}."

    # Each request: (bytes, check of its Result)

    def simple(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}'"), lambda r: r.rows == [[tag]] and not r.errors

    def slow(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}', pg_sleep({self.rng.random() / 30})::text"), lambda r: r.rows == [[tag, ""]]

    def several(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}'; SELECT '{tag}b'"), lambda r: r.rows == [[tag], [tag + "b"]]

    def extended(self):
        tag = self.tag()
        return wire.group("SELECT $1::text", [tag]), lambda r: r.types == "12DCZ" and r.rows == [[tag]]

    def portals(self):
        tag = self.tag()
        return (wire.parse("SELECT $1::text FROM generate_series(1, 5)") + wire.bind("p", "", [tag]) + wire.execute("p", 2) + wire.flush()
                + wire.execute("p", 2) + wire.execute("p") + wire.sync(), lambda r: r.types == "12DDsDDsDCZ" and r.rows == [[tag]] * 5)

    def named(self):
        """The pooler keeps the names of two clients apart."""
        return self.named_so(f"s{self.serial}")

    def named_so(self, name):
        tag = self.tag()
        return (wire.parse("SELECT $1::text || 'named'", name) + wire.describe("S", name) + wire.bind("", name, [tag])
                + wire.execute() + wire.close("S", name) + wire.sync(),
                lambda r: r.types == "1tT2DC3Z" and r.rows == [[tag + "named"]])

    def failing(self):
        tag = self.tag()
        return wire.query(f'SELECT "{tag}"'), lambda r: tag in r.error["M"]

    def failing_group(self):
        tag = self.tag()
        return (wire.parse(f'SELECT \'{tag}\', "{tag}"') + wire.bind() + wire.query("SELECT 'never'") + wire.execute()
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
        end = self.rng.choice(["COMMIT", "ROLLBACK"])
        before = []

        def has_begun(r):
            before.append(self.failures)
            return r.status == "T"

        def has_ended(r):
            lost = end == "COMMIT" and before and self.failures > before[0] # a failed transaction: COMMIT says ROLLBACK
            return r.tags == ["ROLLBACK" if lost else end] and r.status == "I"
        parts = [self.simple(), self.extended()] + ([self.slow()] if self.fate == "cancel" else [])
        return [(wire.query("BEGIN"), has_begun), *parts, (wire.query(end), has_ended)]

    KINDS = ["simple", "simple", "several", "extended", "portals", "named", "failing", "failing_group", "large", "large_reply", "copy_out",
             "copy_in", "notice", "transaction"]
    # What a session holds from one transaction to the next, and what takes time.
    LASTING = ["slow", "setting", "prepare", "prepared_again", "temporary", "timeout"]

    # --- the session

    def setting(self):
        """SET, and what the next transactions see of it."""
        tag = self.tag()

        def was_set(r):
            if r.tags == ["SET"]:
                self.value = tag
            return r.types == "CZ"
        ask = wire.query("SELECT current_setting('app.tag', true)"), lambda r: (r.rows[0][0] or "") == self.value
        return [ask, (wire.query(f"SET app.tag = '{tag}'"), was_set), ask, ask]

    def prepare(self):
        """The same few names mean something else to each client."""
        name, tag = self.rng.choice("abc"), self.tag()
        known = name in self.prepared

        def was_prepared(r):
            if r.types.startswith("31") or r.types.startswith("1"):
                self.prepared[name] = tag
            elif r.types.startswith("3"):
                self.prepared.pop(name, None)
            return r.types == ("31Z" if known else "1Z")
        return ((wire.close("S", name) if known else b"") + wire.parse(f"SELECT $1::text || '{tag}'", name) + wire.sync(), was_prepared)

    def prepared_again(self):
        if not self.prepared:
            return self.prepare()
        name, tag = self.rng.choice(sorted(self.prepared)), self.tag()
        return (wire.bind("", name, [tag]) + wire.execute() + wire.sync(),
                lambda r: r.types == "2DCZ" and name in self.prepared and r.rows == [[tag + self.prepared[name]]])

    def temporary(self):
        """Holds its server as long as the table is there."""
        tag = self.tag()
        made = []

        def was_made(r):
            made.append(r.types == "CZ")
            return made[-1]

        def was_read(r):
            return r.rows == [[tag]] if made else r.error and r.error["C"] == "42P01"

        def was_dropped(r):
            self.tired = False
            return r.types == "CZ" if made else r.error and r.error["C"] == "42P01"
        self.tired = True # if the DROP is cancelled the table would stay for ever
        return [(wire.query(f"CREATE TEMP TABLE mine AS SELECT '{tag}'::text AS t"), was_made), (wire.query("SELECT t FROM mine"), was_read),
                (wire.query("DROP TABLE mine"), was_dropped)]

    def timeout(self):
        """statement_timeout of its own; only who may hear of cancelled queries does this."""
        if self.fate != "cancel":
            return self.slow()
        tag = self.tag()
        began = []

        def has_begun(r):
            began.append(r.status == "T")
            return began[-1]

        def was_ended(r):
            return r.error["C"] == CANCELLED if r.error else not began and r.rows == [[tag, ""]]
        return [(wire.query("BEGIN; SET LOCAL statement_timeout = 3"), has_begun),
                (wire.query(f"SELECT '{tag}', pg_sleep(0.5)::text"), was_ended),
                (wire.query("ROLLBACK"), lambda r: r.tags == ["ROLLBACK"])]

    # --- sending

    def batch(self):
        out = []
        kinds = self.KINDS + (self.LASTING if self.fate else [])
        for _ in range(self.rng.randint(1, 6)):
            kind = self.rng.choice(kinds)
            if kind in self.LASTING and out: # their checks rely on what was answered before
                break
            made = getattr(self, kind)()
            out += made if isinstance(made, list) else [made]
            if kind in self.LASTING:
                break
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

    # --- living

    def be_born(self):
        if self.conn:
            self.conn.close()
        self.value, self.prepared, self.tired = "", {}, False
        self.conn = wire.Conn(self.pooler.port)
        self.port = self.conn.sock.getsockname()[1]
        self.conn.login("postgres", "p0", application_name=f"c{self.number}")

    def live(self):
        """Until `until()`; what went wrong is in `problem`."""
        try:
            while not self.until():
                try:
                    if not self.conn or self.tired:
                        self.be_born()
                    self.round()
                except ENDS as e:
                    self.mourn(e)
        except Exception as e:  # pylint: disable=broad-except
            self.problem = f"{time.strftime('%H:%M:%S')} client {self.number} at port {self.port}, request {self.serial}: {type(e).__name__}: {e}"
        finally:
            if self.conn:
                self.conn.close()

    def mourn(self, why):
        """The connection ended: only where things are being broken."""
        if not self.fate:
            raise AssertionError(f"the connection ended: {why}")
        if isinstance(why, wire.ServerError) and why.code not in BREAKAGE:
            raise AssertionError(f"the connection ended with an error that nobody caused: {why}")
        self.failures += 1
        self.conn = None

    def round(self):
        batch = self.batch()
        data = b"".join(b for b, _ in batch)
        if self.rng.random() < 0.2:
            self.die(data)
            return
        if self.rng.random() < 0.5:
            self.send_cut(data)
            for part, check in batch:
                self.answer(part, check)
            return
        for part, check in batch:
            self.send_cut(part)
            self.answer(part, check)

    def answer(self, part, check):
        result = wire.Result()
        try:
            while result.status is None:
                result.add(self.conn.recv())
        except ENDS:
            self.mine_at_least(part, result)
            raise
        self.verify(part, result, check)

    def verify(self, part, result, check):
        self.served += 1
        ok = result.errors or check(result) # an error without chaos is looked at by the check
        if result.errors and not (self.fate and self.broken(result)):
            ok = check(result)
        if not ok:
            rows = str(result.rows)[:200]
            raise AssertionError(f"not my reply: {result.types[:60]} {rows} {result.tags} {result.errors} to {part[:200]!r}")
        self.mine_at_least(part, result)

    def broken(self, result):
        """Did what is being done to this client make the request fail?"""
        codes = {e["C"] for e in result.errors}
        if self.fate == "cancel" and codes <= BREAKAGE | {CANCELLED} or codes <= BREAKAGE:
            self.failures += 1
            return True
        return False

    def mine_at_least(self, part, result):
        """Whatever else happened: no row that somebody else asked for."""
        me = f"c{self.number}n"
        for row in result.rows:
            for value in row:
                if value and "c" in value and "n" in value and not value.startswith(me):
                    raise AssertionError(f"another's row: {value[:80]} to {part[:200]!r}")

    def peek(self):
        self.conn.readable()

    def die(self, data):
        """At any byte of a batch, with or without having read, politely or not; then a new life."""
        self.send_cut(data[:self.rng.randrange(len(data) + 1)] or b"X\0\0\0\4")
        if self.rng.random() < 0.3:
            self.peek()
        if self.rng.random() < 0.5:
            self.conn.reset()
        else:
            self.conn.close()
        self.conn = None
