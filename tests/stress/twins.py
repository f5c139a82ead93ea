# SPDX-License-Identifier: ISC
"""Twins: each client of the pooler has a twin on a direct connection, to another database of the same server. Both send the same random streams
of messages, with everything that a session may hold, and every reply must be the same. Between them they leave without a word, in the middle of a
message or of a reply, come back, and cancel. All twins use the same names for what is a session's own, so what one left behind another would meet."""
import random
import re

from support import streams, wire
from support.util import wait_until

from . import chaos

SHARED = ["SELECT 1", "SELECT $1::int + 1", "SELECT $1::text, $2::int", "SELECT generate_series(1, 5)", "SELECT 1/0", "SELECT 1/$1::int", "SELEKT", "SELECT $1",
          "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "COMMIT AND CHAIN",
          "SET work_mem = '7MB'", "SHOW work_mem", "SET LOCAL work_mem = '9MB'", "RESET work_mem", "SET TimeZone = 'Asia/Tokyo'",
          "SELECT timestamptz '2020-02-01 00:00+00'", "RESET TimeZone", "SET app.x = 'one'", "SELECT set_config('app.x', $1::text, false)", "RESET ALL",
          "SET search_path = public, pg_catalog", "RESET search_path", "SET ROLE rover", "RESET ROLE", "SET LOCAL ROLE rover", "SET SESSION AUTHORIZATION rover",
          "RESET SESSION AUTHORIZATION", "DISCARD PLANS", "DISCARD TEMP", "DISCARD ALL",
          "CREATE TEMP TABLE mine (a int)", "CREATE TEMP TABLE mine (a int) ON COMMIT DROP", "INSERT INTO mine VALUES (1)", "SELECT count(*) FROM mine", "DROP TABLE mine",
          "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 9)", "FETCH 2 FROM h", "CLOSE h", "CLOSE ALL", "DECLARE c CURSOR FOR SELECT generate_series(1, 9)",
          "FETCH 2 FROM c", "SELECT pg_advisory_unlock_all()", "UNLISTEN *",
          "PREPARE sq AS SELECT coalesce(current_setting('app.me', true), '')", "EXECUTE sq", "DEALLOCATE sq", "DEALLOCATE ALL", "PREPARE sr(int) AS SELECT $1 + 1", "EXECUTE sr(1)",
          "COPY (SELECT generate_series(1, 3)) TO STDOUT", "COPY (SELECT 1/(2 - g) FROM generate_series(1, 4) g) TO STDOUT",
          "DO $$ BEGIN PERFORM set_config('app.x', 'done', false); END $$", "DO $$ BEGIN RAISE EXCEPTION 'no'; END $$"]
# {0}: of one life of one twin
OWN = ["INSERT INTO tw{0} VALUES ($1::int, 'row') RETURNING a", "INSERT INTO tw{0} VALUES (1, 'one')", "SELECT count(*), max(a) FROM tw{0}",
       "UPDATE tw{0} SET b = b || '.' WHERE a = 1", "DELETE FROM tw{0} WHERE a > $1::int", "SELECT * FROM tw{0} ORDER BY a, b LIMIT 3",
       "SELECT pg_advisory_lock(7, {0})", "SELECT pg_advisory_lock_shared(7, {0})", "SELECT pg_advisory_unlock(7, {0})", "SELECT pg_advisory_xact_lock(8, {0})",
       "LISTEN ch{0}", "UNLISTEN ch{0}", "NOTIFY ch{0}, 'told'", "SELECT pg_notify('ch{0}', 'told')", "SELECT lo_create({0})", "SELECT lo_unlink({0})",
       "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = {0}", "SET app.me = 'me{0}'", "SELECT lo_put({0}, 0, 'abc')", "SELECT lo_get({0})"]
SIMPLE = ["SELECT 1; SELECT 2", "SELECT 1; SELECT 1/0; SELECT 3", "BEGIN; SELECT 1", "SELECT 1; COMMIT", "SET work_mem = '5MB'; ROLLBACK", "BEGIN; SET app.x = 'two'; COMMIT",
          "SET app.x = 'three'; SELECT 1/0", "CREATE TEMP TABLE mine (a int) ON COMMIT DROP; INSERT INTO mine VALUES (1)"]
BLOCKS = re.compile("BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE")
# What session_state = off lets others meet, but for parameters that servers report
LEFT_BEHIND = re.compile("SET (?!LOCAL|TimeZone)|RESET (?!TimeZone)|DISCARD|mine|WITH HOLD|(FROM|CLOSE) h|CLOSE ALL|advisory_(un)?lock|LISTEN|NOTIFY|pg_notify|PREPARE|EXECUTE|"
                         "DEALLOCATE|set_config|app[.]|^DO ")
ASK = ("SELECT current_setting('work_mem'), current_setting('search_path'), coalesce(current_setting('app.x', true), ''), current_setting('TimeZone'),"
       " coalesce(current_setting('app.me', true), ''), current_user, session_user,"
       " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), (SELECT count(*) FROM pg_cursors WHERE name IN ('h', 'c')),"
       " to_regclass('pg_temp.mine') IS NOT NULL")


class TwinEnd(streams.End):
    """It reads up to the answer to an empty Query, which changes nothing, whatever state the connection is in."""

    def __init__(self, connect):
        super().__init__(connect)
        self.channel = None

    def replies(self, number=0):
        out, last = [], ""
        while True:
            try:
                msg = self.conn.recv()
            except wire.Closed: # the pooler has a word to add to a server's last
                fatal = [i for i, m in enumerate(out) if m[:2] == ("E", "FATAL")]
                return out[:fatal[0] + 1] + ["closed"] if fatal else ["closed without a word", *out]
            if msg.type == "A":
                assert msg.body[4:].startswith(self.channel), f"another's notification: {msg.body}"
                continue
            seen = self.seen(msg)
            if seen:
                out.append(seen)
            if msg.type == "Z" and last == "I":
                return out
            last = msg.type if msg.type not in "SN" else last


class Twin:
    """One client and its direct twin."""

    def __init__(self, pooler, pg, number, seed, setup):
        self.pooler, self.pg, self.number, self.setup = pooler, pg, number, setup
        self.rng = random.Random(seed)
        self.fate, self.problem, self.history = None, None, []
        self.life = self.serial = self.served = self.failures = 0
        self.until = None
        self.ends = []

    def be_born(self):
        self.life += 1
        me = self.number * 100_000 + self.life
        rows = self.setup["pool_mode"] != "statement"
        own = [t.format(me) for t in OWN]
        kept = self.setup["session_state"] != "off"
        named = self.setup["max_prepared_statements"] > 0 or self.setup["pool_mode"] == "session"
        texts = [t for t in SHARED + own if (rows or not BLOCKS.match(t)) and (kept or not LEFT_BEHIND.search(t))]
        if not kept: # a generic plan that others brought about does not divide before Execute
            texts.remove("SELECT 1/$1::int")
        self.grammar = {"texts": texts, "simple": [t for t in texts + SIMPLE if (rows or not BLOCKS.search(t)) and (kept or not LEFT_BEHIND.search(t))],
                        "table": f"tw{me}", "statements": (streams.STATEMENTS if kept else ["s1", "s2"]) if named else [""], "whole": not kept and not named,
                        "any_portal": False} # PostgreSQL 15 crashes over a portal from before its transaction failed
        self.ends = [TwinEnd(lambda: wire.Conn(self.pg.port).login("postgres", "p2", application_name=f"d{me}")),
                     TwinEnd(lambda: self.pooler.raw().login("postgres", "p0", application_name=f"p{me}"))]
        for end in self.ends:
            end.channel = f"ch{me}\0".encode()
        self.history = []
        self.exchange(f"CREATE TABLE tw{me}", wire.query(f"CREATE TABLE tw{me} (a int, b text); GRANT ALL ON tw{me} TO PUBLIC"))

    def exchange(self, what, data, cut=False):
        self.history.append(what)
        tail = wire.copy_fail("end") + wire.sync() + wire.query("")
        for end in self.ends:
            try:
                streams.send_cut(end.conn, data + tail, self.rng if cut else random.Random(0))
            except ConnectionError: # what it says before that is read below
                pass
        want, got = (end.replies() for end in self.ends)
        wrong = streams.difference(want, got)
        if wrong and self.is_known(want, got, wrong):
            return False
        assert not wrong, self.tell(want, got)
        self.served += len(got)
        return want[-1] != "closed"

    def is_known(self, want, got, wrong):
        """A Sync within a copy that may have failed leaves open what is owed: a pinned server is then lost. docs/session-state.md, "Not seen": a Parse of the unnamed statement was skipped, and the one before it did not come along; in a failed
        transaction nothing can be brought along, and a Parse of what the server has is answered."""
        if wrong[:3] == ("E", "FATAL", "08006") and any("COPY" in what for what in self.history[-3:]):
            return True
        if wrong[1] == "ERROR" and (wrong[:3] in [m[:3] for m in want] or wrong[2] == "0A000"): # met by what goes ahead: a Parse
            return True
        first = next(((w, g) for w, g in zip(want, got) if w != g), (wrong, wrong))
        if {first[0][0], first[1][0]} == {"n", "T"}: # FETCH from a cursor that was not there at the Parse, and is where it is prepared again
            return True
        if first[1] == ("1", b"") and first[0][2:3] == ("42P01",): # a Parse of what the pool knows needs no server
            return True
        if first[0][1:2] == ("FATAL",) and any("COPY" in what for what in self.history[-3:]): # what the pooler answers does not get into a copy
            return True
        if first[0][2:3] == ("26000",) and "Describe" in self.history[-1] and any("DISCARD ALL" in what or "DEALLOCATE ALL" in what for what in self.history[-2:]): # in one group
            return True
        errors = [m for m in (wrong, *first) if m[1:2] == ("ERROR",)]
        return any(e[2] == "25P02" or e[2] == "26000" and e[3].startswith("unnamed") for e in errors)

    def tell(self, want, got):
        """What they did last, and the replies from the first that differs on."""
        same = 0
        while same < min(len(want), len(got)) and want[same] == got[same]:
            same += 1
        types = " ".join(m[0] for m in want[:same])
        return "\n      ".join([f"twin {self.number}, life {self.life}:", *self.history[-25:], f"after {types}:", f"want {want[same:same + 4]}",
                               f"got  {got[same:same + 4]}"])

    def leave(self):
        """In the middle of something, or of nothing."""
        how = self.rng.randrange(5)
        stream = b"".join(m for _, m in streams.some_stream(self.rng, **self.grammar))
        if how == 1:
            stream = stream[:self.rng.randrange(len(stream) + 1)]
        for end in self.ends:
            if how < 3:
                end.conn.send(stream)
            if how in (2, 4):
                end.conn.reset()
            elif how == 3:
                end.conn.send(wire.terminate())
            end.conn.close()
        self.failures += 1

    def is_failed(self):
        """In a failed transaction nothing sleeps."""
        for end in self.ends:
            end.conn.send(wire.sync())
        return [end.conn.until_ready().status for end in self.ends][0] == "E"

    def cancel(self):
        if self.is_failed():
            return
        tag = f"cancel {self.number} {self.life} {self.serial}"
        self.history.append(tag)
        for end in self.ends:
            end.conn.send(wire.query(f"SELECT '{tag}', pg_sleep(100)") + wire.query(""))
        with self.pg.connect("postgres") as c:
            begun = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"
            wait_until(lambda: c.execute(begun, [f"SELECT '{tag}%"]).fetchone()[0] == 2, what="both sleep")
        for end, port in zip(self.ends, (self.pg.port, self.pooler.port)):
            end.conn.cancel(port)
        want, got = (end.replies() for end in self.ends)
        assert not streams.difference(want, got), self.tell(want, got)

    def round(self):
        self.serial += 1
        if not self.ends or self.rng.random() < 0.06:
            if self.ends:
                self.leave()
            self.be_born()
        if self.rng.random() < 0.02:
            self.cancel()
        stream = streams.some_stream(self.rng, **self.grammar)
        alive = self.exchange("; ".join(w for w, _ in stream), b"".join(m for _, m in stream), cut=True)
        if alive and self.rng.random() < 0.7:
            alive = self.exchange("ask", wire.query(ASK))
        if not alive:
            self.failures += 1
            for end in self.ends:
                end.conn.close()
            self.ends = []

    def live(self):
        try:
            while not self.until():
                self.round()
        except Exception as e:  # pylint: disable=broad-except
            self.problem = f"{type(e).__name__}: {e}"
            if not isinstance(e, AssertionError):
                self.problem += "\n      ".join(["", f"twin {self.number}, life {self.life}:", *self.history[-6:]])
        for end in self.ends:
            end.conn.close()


class NoChaos:
    """The twins do all to themselves."""
    problem, done = None, {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def twins(pooler, pg, seconds, seed, setup, clients):
    """(twins, what was done to them, problems)"""
    with pg.connect("p0") as c:
        c.execute("DO $$ BEGIN CREATE ROLE rover SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    for database in ("p0", "p2"): # what twins of another seed left, each as far as it came
        with pg.connect(database) as c:
            c.execute("DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relname LIKE 'tw%' AND relkind = 'r' LOOP EXECUTE 'DROP TABLE ' || t;"
                      " END LOOP; PERFORM lo_unlink(oid) FROM pg_largeobject_metadata; END $$")
    lives = [Twin(pooler, pg, i + 1, seed * 1000 + i, setup) for i in range(clients)]
    problems = chaos.live_through(lives, NoChaos(), seconds)
    with open(pg.log, encoding="utf-8", errors="replace") as log:
        problems += [f"PostgreSQL crashed: {line}" for line in log if "was terminated by signal" in line]
    return lives, {}, problems
