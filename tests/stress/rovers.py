# SPDX-License-Identifier: ISC
"""Souls (souls.py) that do what is rarer, in every set-up: cursors that outlive their transaction, advisory locks, settings of all kinds, roles,
LISTEN, function calls, copies cut in the middle, statements under DDL, requests behind an error. When a rover is born its session must be as
new, and a cancelled query must be one that it had under way while somebody cancelled it."""
import ssl
import struct
import threading

from support import wire

from . import souls

PROTOCOL_3_2 = 196610
TEXTCAT = 1258
STALE = {"0A000"} # a statement whose rows look otherwise since DDL

VIRGIN = ("SELECT coalesce(current_setting('app.tag', true), ''), coalesce(current_setting('app.other', true), ''), current_setting('work_mem'),"
          " current_setting('search_path'), current_setting('enable_seqscan'), current_setting('TimeZone'), current_setting('DateStyle'),"
          " current_setting('client_encoding'), current_setting('statement_timeout'), current_setting('application_name'), current_user::text,"
          " session_user::text, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())::text,"
          " (SELECT count(*) FROM pg_cursors)::text, (SELECT count(*) FROM pg_listening_channels())::text,"
          " (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())::text")
NAMES = ["app.tag", "app.other", "work_mem", "search_path", "enable_seqscan", "TimeZone", "DateStyle", "client_encoding", "statement_timeout",
         "application_name"]
VALUES = {"app.other": ["x", "it is", "y"], "work_mem": ["5MB", "6MB", "64kB"], "search_path": ["public, pg_catalog", "x, public"],
          "enable_seqscan": ["on", "off"], "TimeZone": ["Asia/Tokyo", "America/New_York"], "DateStyle": ["SQL, DMY", "German, DMY"],
          "client_encoding": ["LATIN1", "UTF8"], "statement_timeout": ["1h", "2h"]}
REPORTED = ["TimeZone", "DateStyle", "client_encoding", "application_name"]


class Rover(souls.Soul):
    """`setup`: what the pooler was given (roam.py): pool_mode, session_state, listen_mode, tls, newest."""

    def __init__(self, pooler, number, seed, fate, setup, virgin):
        super().__init__(pooler, number, seed, fate)
        self.setup, self.virgin = setup, virgin
        self.settings, self.who = {}, None
        self.heard = []
        self.mutex = threading.Lock()
        self.cancels = {}    # under way, or over since the batch was sent
        self.n_cancels = self.n_cancelled = 0
        self.may_be_cancelled = False

    # --- cancels, by the thread of chaos

    def cancel_begins(self):
        with self.mutex:
            self.n_cancels += 1
            self.cancels[self.n_cancels] = True
            self.may_be_cancelled = True
            return self.n_cancels

    def cancel_ends(self, which):
        with self.mutex:
            self.cancels.pop(which, None)

    def batch_begins(self):
        with self.mutex:
            self.may_be_cancelled = bool(self.cancels)

    # --- requests

    def chain(self, *steps):
        """Requests that rely on those before: once one has failed for what is being done to us, the rest may do anything but show another's rows."""
        begin = self.failures
        self.tired = True # whatever is left behind if it does not come to its end goes with the connection

        def checked(check, last):
            def run(r):
                good = check(r) if self.failures == begin else True
                if last and good and self.failures == begin:
                    self.tired = False
                return good
            return run
        return [(data, checked(check, i == len(steps) - 1)) for i, (data, check) in enumerate(steps)]

    def hold(self):
        """A cursor that outlives its transaction."""
        tag = self.tag()
        n = self.rng.randint(1, 5)
        return self.chain(
            (wire.query(f"DECLARE held CURSOR WITH HOLD FOR SELECT '{tag}' FROM generate_series(1, 9)"), lambda r: r.types == "CZ"),
            (wire.query(f"FETCH {n} FROM held"), lambda r: r.rows == [[tag]] * n),
            (wire.group("SELECT $1::text", [tag]), lambda r: r.rows == [[tag]]),
            (wire.query("FETCH ALL FROM held"), lambda r: r.rows == [[tag]] * (9 - n)),
            (wire.query("CLOSE held"), lambda r: r.types == "CZ"))

    def advisory(self):
        self.tag()
        lock = f"{self.number + 1000}, {self.serial}"
        mine = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        return self.chain(
            (wire.query(f"SELECT pg_try_advisory_lock({lock})"), lambda r: r.rows == [["t"]]),
            (wire.query(mine), lambda r: r.rows == [["1"]]),
            (wire.group(f"SELECT pg_advisory_unlock({lock})"), lambda r: r.rows == [["t"]]),
            (wire.query(mine), lambda r: r.rows == [["0"]]))

    def listen(self):
        tag = self.tag()
        late = self.setup["listen_mode"] == "shared"
        return self.chain(
            (wire.query(f'LISTEN "{tag}"'), lambda r: r.types.replace("A", "") == "CZ"),
            (wire.query(f"NOTIFY \"{tag}\", '{tag}'"), lambda r: True),
            (wire.query(f"SELECT '{tag}'"), lambda r: r.rows == [[tag]] and (late or tag in self.heard)),
            (wire.query("UNLISTEN *"), lambda r: True))

    def sql_prepare(self):
        tag, name = self.tag(), self.rng.choice("uvw")
        return self.chain(
            (wire.query(f"PREPARE {name}(text) AS SELECT $1 || '{tag}'"), lambda r: r.types == "CZ"),
            (wire.query(f"EXECUTE {name}('{tag}')"), lambda r: r.rows == [[tag + tag]]),
            (wire.bind("", name, [tag]) + wire.execute() + wire.sync(), lambda r: r.rows == [[tag + tag]]),
            (wire.query(f"DEALLOCATE {name}"), lambda r: r.types == "CZ"))

    def expected(self):
        out = dict(zip(NAMES, self.virgin))
        out["application_name"] = f"c{self.number}"
        out["app.tag"] = self.value
        out.update(self.settings)
        return out

    def ask(self):
        """What the session is set to, as far as only we have set it."""
        return (wire.query("SELECT " + ", ".join(f"coalesce(current_setting('{n}', true), '')" for n in NAMES) + ", current_user::text"),
                lambda r: dict(zip(NAMES, r.rows[0])) == self.expected() and r.rows[0][-1] == (self.who or "postgres"))

    def change(self):
        """(request, what it does to self.settings)"""
        how = self.rng.randrange(9)
        name = self.rng.choice(sorted(VALUES) if self.setup["session_state"] != "off" else REPORTED[:3])
        value = self.rng.choice(VALUES[name])
        if how < 3:
            return self.either(f"SET {name} = {value}" if name in ("search_path", "DateStyle") else f"SET {name} TO '{value}'"), {name: value}
        if how == 3:
            return self.either(f"RESET {name}"), {name: None}
        if how == 4:
            return wire.group("SELECT set_config($1, $2, false)", [name, value]), {name: value}
        if how == 5:
            return self.either(f"DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); END $$"), {name: value}
        if how == 6:
            return self.either("RESET ALL"), None
        if how == 7:
            return wire.query(f"BEGIN; SET LOCAL {name} = 'nonsense'; ROLLBACK" if name == "app.other" else "SELECT 1"), {}
        return wire.query(f"SET {name} TO '{value}'; SELECT 1/0"), {}

    def either(self, text):
        return wire.query(text) if self.rng.random() < 0.5 else wire.group(text)

    def settle(self):
        """Settings of all kinds, and what the next transactions see of them."""
        steps = [self.ask()]
        for _ in range(self.rng.randint(1, 4)):
            data, does = self.change()

            def was_done(r, does=does):
                if r.errors:
                    return does == {} and not r.tags[1:]
                if does is None:
                    self.settings, self.value = {}, ""
                    if self.setup["pool_mode"] == "session": # nobody knows there what the start-up packet said
                        self.settings["application_name"] = ""
                else:
                    for k, v in does.items():
                        self.settings[k] = v
                        if v is None:
                            del self.settings[k]
                return True
            steps += [(data, was_done), self.ask()]
        return self.chain(*steps)

    def role(self):
        def become(whom):
            def run(_):
                self.who = whom
                return True
            return run
        how = self.rng.choice([("SET ROLE rover", "RESET ROLE"), ("SET SESSION AUTHORIZATION rover", "RESET SESSION AUTHORIZATION"),
                               ("SET ROLE rover", "SET ROLE NONE")])
        return self.chain((self.either(how[0]), become("rover")), self.ask(), self.simple(), (self.either(how[1]), become(None)), self.ask())

    def function(self):
        tag = self.tag()
        want = f"{tag}{tag}".encode()
        return (wire.function_call(TEXTCAT, [tag.encode(), tag.encode()]),
                lambda r: r.types == "VZ" and r.messages[0].body == struct.pack("!i", len(want)) + want)

    def flushes(self):
        """Errors behind a Flush, and requests behind the error."""
        tag = self.tag()
        return (wire.parse("SELECT $1::text") + wire.bind("", "", [tag]) + wire.execute() + wire.flush() + wire.parse(f'SELECT "{tag}"')
                + wire.bind() + wire.flush() + wire.parse("SELECT 1", "never") + wire.close("S", "never") + wire.execute() + wire.flush()
                + wire.sync(), lambda r: r.types == "12DCEZ" and r.rows == [[tag]] and tag in r.error["M"])

    def named(self):
        """Where nobody keeps names apart, one whose Close was not reached (its client died, or was cancelled) is met by the next client that has it."""
        if self.setup["max_prepared_statements"] or self.setup["pool_mode"] == "session":
            return super().named()
        return self.named_so(self.tag())

    def syncs(self):
        return [(wire.sync(), lambda r: r.types == "Z") for _ in range(self.rng.randint(1, 5))]

    def no_portal(self):
        tag = self.tag()
        return (wire.execute(tag) + wire.parse("SELECT 1") + wire.sync(), lambda r: r.types == "EZ" and tag in r.error["M"])

    def parsed_apart(self):
        tag = self.tag()
        return self.chain((wire.parse(f"SELECT $1::text || '{tag}'") + wire.sync(), lambda r: r.types == "1Z"),
                          (wire.bind("", "", [tag]) + wire.describe() + wire.execute() + wire.sync(), lambda r: r.rows == [[tag + tag]]))

    def skipped(self):
        """A statement of an earlier transaction, used in a group that an error skips, and in the one behind it."""
        tag, name = self.tag(), self.rng.choice(["", "k", "u"])
        made = wire.parse(f"SELECT '{tag}'", name) + wire.sync()
        if name == "u":
            made = wire.query(f"PREPARE u AS SELECT '{tag}'")
        end = wire.query("DEALLOCATE u") if name == "u" else wire.close("S", name) + wire.sync()
        use = wire.bind("", name) + wire.execute()
        if name == "u" and self.rng.random() < 0.5:
            use = wire.parse("EXECUTE u") + wire.bind() + wire.execute()
        return self.chain((made, lambda r: not r.errors), (wire.sync(), lambda r: True),
                          (wire.execute(tag) + use + wire.sync(), lambda r: r.types == "EZ" and tag in r.error["M"]),
                          (use + wire.sync(), lambda r: r.rows == [[tag]]), (use + wire.sync(), lambda r: r.rows == [[tag]]),
                          (end, lambda r: not r.errors))

    def meaning(self):
        """One text for everybody, which means something else under each setting."""
        self.tag()
        order, day = self.rng.choice([("MDY", "02"), ("DMY", "01")])
        ask = (wire.close("S", "d") + wire.parse("SELECT substr('01/02/2020'::date::text, 9)", "d") + wire.bind("", "d") + wire.execute() + wire.sync())
        steps = [(wire.query(f"SET DateStyle = 'ISO, {order}'"), lambda r: not r.errors), (ask, lambda r: r.rows == [[day]])]
        if self.setup["pool_mode"] != "statement" and self.rng.random() < 0.5:
            steps += [(wire.query("BEGIN; SET DateStyle = 'ISO, YMD'"), lambda r: not r.errors), (wire.query("ROLLBACK"), lambda r: not r.errors),
                      (ask, lambda r: r.rows == [[day]])]

        def was_reset(r):
            self.settings.pop("DateStyle", None)
            return not r.errors
        return self.chain(*steps, (wire.query("RESET DateStyle"), was_reset))

    def half(self):
        tag = self.tag()
        return wire.query(f"SELECT '{tag}'; SELECT 1/0; SELECT 'never'"), lambda r: r.types == "TDCEZ" and r.rows == [[tag]]

    def moving(self):
        """A statement over a table whose columns come and go."""
        tag, name = self.tag(), self.rng.choice(["m", ""])

        def same(r):
            return (r.errors and r.error["C"] in STALE) or (r.rows[0][0] == tag and len(r.rows[0]) == len(r.columns))
        ask = wire.bind("", name, [tag]) + wire.describe() + wire.execute() + wire.sync()
        return self.chain((wire.close("S", name) + wire.parse("SELECT $1::text AS tag, m.* FROM public.moving m", name) + ask, same), (ask, same), (ask, same),
                          (wire.close("S", name) + wire.sync(), lambda r: r.types == "3Z"))

    def many_rows(self):
        """Long runs of messages of one size, and others between them."""
        tag = self.tag()
        n, odd = self.rng.choice([40, 3000, 20000]), self.rng.choice([2, 9, 900])
        want = [[tag + "y" * (g if g % odd == 0 and g < 5000 else 0)] for g in range(1, n + 1)]
        return (wire.query(f"SELECT '{tag}' || CASE WHEN g % {odd} = 0 AND g < 5000 THEN repeat('y', g) ELSE '' END FROM generate_series(1, {n}) g"
                           if n < 20000 else f"SELECT '{tag}' FROM generate_series(1, {n})"),
                lambda r: r.rows == (want if n < 20000 else [[tag]] * n))

    def huge(self):
        tag = self.tag()
        n = 1 + self.rng.choice([300_000, 1_500_000]) // len(tag)
        return wire.query(f"SELECT repeat('{tag}', {n}), '{tag}'"), lambda r: r.rows == [[tag * n, tag]]

    def copies_in(self):
        """By either protocol, of many pieces, of which one may be wrong."""
        tag, n = self.tag(), self.rng.choice([1, 30, 1500])
        bad = self.rng.random() < 0.3
        rows = [wire.copy_data(f"{tag}{'z' * (self.rng.randrange(300) if n < 1500 else 3)}\n") for _ in range(n)]
        if bad:
            rows.insert(self.rng.randrange(n + 1), wire.copy_data(f"{tag}\tone too many\n"))
        data = b"".join(rows)
        good = "E" if bad else "C"
        if self.rng.random() < 0.5 and not bad: # behind an error the server skips to Sync, and a Sync within a copy is nobody's
            return (wire.parse("COPY public.tags FROM STDIN") + wire.bind() + wire.execute() + data + wire.copy_done() + wire.sync(),
                    lambda r: r.types == f"12G{good}Z" and r.tags == [f"COPY {n}"])
        return (wire.query("COPY public.tags FROM STDIN") + data + wire.copy_done(),
                lambda r: r.types == f"G{good}Z" and (bad or r.tags == [f"COPY {n}"]))

    def slow_block(self):
        tag = self.tag()
        return wire.group(f"SELECT $1::text, pg_sleep({self.rng.random() / 20})::text", [tag]), lambda r: r.rows == [[tag, ""]]

    def savepoints(self):
        tag = self.tag()
        begin = self.value
        return self.chain(
            (wire.query(f"BEGIN; SET app.tag = '{tag}'; SAVEPOINT a; SET app.tag = 'never'"), lambda r: r.status == "T"),
            (wire.query(f'SELECT "{tag}"'), lambda r: r.status == "E" and tag in r.error["M"]),
            (wire.query("ROLLBACK TO a"), lambda r: r.status == "T"),
            (wire.query("SELECT current_setting('app.tag')"), lambda r: r.rows == [[tag]]),
            (wire.query("ROLLBACK"), lambda r: r.status == "I"),
            (wire.query("SELECT coalesce(current_setting('app.tag', true), '')"), lambda r: r.rows == [[begin]]))

    SINGLE = ["flushes", "syncs", "no_portal", "half", "many_rows", "huge", "copies_in", "function", "slow_block"]
    CHAINED = ["hold", "advisory", "listen", "sql_prepare", "settle", "settle", "role", "parsed_apart", "skipped", "skipped", "meaning", "meaning", "moving", "savepoints"]

    NAMED = {"sql_prepare", "parsed_apart", "skipped", "meaning", "moving", "prepare", "prepared_again"} # with max_prepared_statements

    def batch(self):
        mode, state = self.setup["pool_mode"], self.setup["session_state"]
        if self.rng.random() < 0.4:
            kinds = [k for k in self.CHAINED + self.LASTING if not (mode == "statement" and k in ("savepoints", "timeout"))]
            if state == "off":
                kinds = ["slow_block"]
            if not self.setup["max_prepared_statements"] and mode != "session":
                kinds = [k for k in kinds if k not in self.NAMED]
            made = getattr(self, self.rng.choice(kinds))()
            return made if isinstance(made, list) else [made]
        kinds = [k for k in self.KINDS + self.SINGLE if not (mode == "statement" and k == "transaction")]
        out = []
        for _ in range(self.rng.randint(1, 8)):
            kind = self.rng.choice(kinds)
            made = getattr(self, kind)()
            out += made if isinstance(made, list) else [made]
        return out

    # --- living

    def be_born(self):
        if self.conn:
            self.conn.close()
        self.value, self.prepared, self.tired = "", {}, False
        self.settings, self.who, self.heard = {}, None, []
        self.n_cancels = self.n_cancelled = 0
        conn = wire.Conn(self.pooler.port)
        self.port = conn.sock.getsockname()[1]
        self.conn = None
        if self.setup["tls"]:
            conn.tls()
        newest = self.setup["newest"] and self.rng.random() < 0.7
        conn.send(wire.startup_packet({"user": "postgres", "database": "p0", "application_name": f"c{self.number}"},
                                      PROTOCOL_3_2 if newest else wire.PROTOCOL_3))
        conn.authenticate("postgres", None)
        if newest:
            assert len(conn.key) == 36, f"a cancel key of {len(conn.key)} bytes"
        self.batch_begins()
        self.conn = conn
        if self.setup["session_state"] == "off":
            return
        want = list(self.virgin)
        want[NAMES.index("application_name")] = f"c{self.number}"
        self.conn.send(wire.query(VIRGIN))
        self.answer(b"virgin", lambda r: r.rows == [want])

    def round(self):
        self.batch_begins()
        super().round()

    def peek(self):
        if not self.setup["tls"]: # a TLS socket has no such look
            super().peek()

    def verify(self, part, result, check):
        for m in result.messages:
            if m.type == "A":
                end = m.body.index(0, 4)
                channel = m.body[4:end].decode()
                assert channel.startswith(f"c{self.number}n"), f"another's notification: {channel}"
                self.heard.append(channel)
        if any(m.type in "AS" for m in result.messages): # these may come at any time
            result.messages = [m for m in result.messages if m.type not in "AS"]
        super().verify(part, result, check)

    def mourn(self, why):
        assert "prepared statement" not in str(why), f"the connection ended: {why}"
        super().mourn(why)

    def broken(self, result):
        if any(e["C"] == souls.CANCELLED for e in result.errors):
            if "due to user request" in result.error["M"]:
                with self.mutex:
                    self.n_cancelled += 1
                    assert self.may_be_cancelled, f"cancelled, and no cancel request was under way since it was sent: {result.error}"
                    # the postmaster sends each signal twice (to the process, to its group): under load the second may meet the next query
                    assert self.n_cancelled <= 2 * self.n_cancels, "more queries were cancelled than requests sent"
        return super().broken(result)


souls.ENDS = souls.ENDS + (ssl.SSLError, BrokenPipeError)
souls.BREAKAGE.add("55000") # DISABLE
