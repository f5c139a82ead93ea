# SPDX-License-Identifier: ISC
"""Random streams of messages - pipelines with errors, flushes, portals, copies, function calls, transactions - for PostgreSQL directly and
for the pooler, and what of the replies must be the same."""
import re
import struct

from . import wire

TEXTS = ["SELECT 1", "SELECT $1::int + 1", "SELECT $1::text, $2::int", "SELECT generate_series(1, 5)", "SELECT g, repeat('x', g) FROM generate_series(1, 4) g",
         "SELECT 1/0", "SELECT 1/$1::int", "SELEKT", "", "-- nothing", "INSERT INTO stream VALUES ($1::int, 'row') RETURNING a", "INSERT INTO stream VALUES (1, 'one')",
         "SELECT count(*), max(a) FROM stream", "UPDATE stream SET b = b || '.' WHERE a = 1", "DELETE FROM stream WHERE a > $1::int", "SELECT * FROM stream ORDER BY a, b LIMIT 3",
         "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "SET work_mem = '7MB'", "SHOW work_mem", "SET LOCAL work_mem = '9MB'", "RESET work_mem",
         "SET TimeZone = 'Asia/Tokyo'", "SELECT timestamptz '2020-02-01 00:00+00'", "RESET TimeZone", "SELECT loud('stream')",
         "COPY (SELECT generate_series(1, 3)) TO STDOUT", "COPY (SELECT 1/(2 - g) FROM generate_series(1, 4) g) TO STDOUT", "DECLARE c CURSOR FOR SELECT generate_series(1, 9)",
         "FETCH 2 FROM c", "CLOSE c", "PREPARE sq AS SELECT 'sq'", "EXECUTE sq", "DEALLOCATE sq", "SELECT $1", "LOCK nosuch", "SELECT pg_advisory_xact_lock(5)"]
SIMPLE = TEXTS + ["COPY stream FROM STDIN", "SELECT 1; SELECT 2", "SELECT 1; SELECT 1/0; SELECT 3", "BEGIN; SELECT 1", "SELECT 1; COMMIT", "INSERT INTO stream VALUES (2, 'two'); SELECT 1/0", ";;",
                  "COPY stream FROM STDIN; SELECT 'behind the copy'", "SET work_mem = '5MB'; ROLLBACK", "CREATE TEMP TABLE mine (a int) ON COMMIT DROP; INSERT INTO mine VALUES (1)"]
STATEMENTS, PORTALS = ["", "s1", "s2"], ["", "p1", "p2"]
NAMING = ("PREPARE", "EXECUTE", "DEALLOCATE")
ROWS = [b"1\tone\n", b"2\ttwo\n3\tthree\n", b"rubbish\n", b"4\t", b"four\n"]


def int4(n):
    return struct.pack("!i", n)


def some_messages(rng, texts=TEXTS, simple=SIMPLE, table="stream", any_portal=True, statements=STATEMENTS, whole=False):
    """One to a few messages: (what, bytes). `whole`: nothing but requests that need none before them."""
    text, statement, portal = rng.choice(texts), rng.choice(statements), rng.choice(PORTALS)
    params = [rng.choice([0, 1, 7, "x", None]) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
    kind = rng.choice([0, 3, 4, 15, 16]) if whole else rng.randrange(19)
    if text.startswith(NAMING): # what a named portal does to names is not followed
        portal = statement = ""
    if kind < 3:
        text = rng.choice(simple)
        return [(f"Query {text}", wire.query(text))]
    if kind < 7: # what drivers send
        params = [rng.choice([0, 1, 7]) for _ in range(text.count("$"))]
        close = [(f"Close {statement}", wire.close("S", statement))] if statement else []
        return close + [(f"Parse {statement} {text}", wire.parse(text, statement)), (f"Bind {portal} {statement} {params}", wire.bind(portal, statement, params)),
                        (f"Describe {portal}", wire.describe("P", portal)), (f"Execute {portal}", wire.execute(portal)), ("Sync", wire.sync())]
    if kind == 7:
        return [(f"Parse {statement} {text}", wire.parse(text, statement))]
    if kind in (8, 9):
        portal = ""
        return [(f"Bind {portal} {statement} {params}", wire.bind(portal, statement, params)), (f"Execute {portal}", wire.execute(portal, rng.choice([0, 0, 1, 2])))]
    if kind == 10:
        return [(f"Describe S {statement}", wire.describe("S", statement))]
    if kind == 11 and any_portal:
        return [(f"Describe P {portal}", wire.describe("P", portal))]
    if kind == 12 and any_portal:
        return [(f"Execute {portal} 2", wire.execute(portal, 2))]
    if kind == 13:
        return [rng.choice([(f"Close S {statement}", wire.close("S", statement)), (f"Close P {portal}", wire.close("P", portal))])]
    if kind == 14:
        return [("Flush", wire.flush())]
    if kind == 15:
        oid, args = rng.choice([(1397, [int4(-5)]), (154, [int4(1), int4(0)]), (999999, [])])
        return [(f"FunctionCall {oid}", wire.function_call(oid, args))]
    if kind == 16: # a copy as it should be, simple or extended
        data = [("CopyData", wire.copy_data(rng.choice(ROWS))) for _ in range(rng.randint(0, 3))]
        end = rng.choice([("CopyDone", wire.copy_done()), ("CopyFail", wire.copy_fail("enough"))])
        if rng.random() < 0.5:
            return [("Query COPY", wire.query(f"COPY {table} FROM STDIN"))] + data + [end]
        return [("COPY", wire.parse(f"COPY {table} FROM STDIN") + wire.bind() + wire.execute())] + data + [end, ("Sync", wire.sync())]
    return [("Sync", wire.sync())]


def some_stream(rng, **grammar):
    """Some messages; what a statement's name means is changed once. (The pooler reads what is sent ahead as if the requests before it
    did not fail. Which meaning a name has that is given several, one of them skipped, only replies tell: no driver goes on without.)"""
    stream, changed = [], False
    for _ in range(rng.randint(1, 8)):
        some = some_messages(rng, **grammar)
        changes = any(re.match("(Close|Close S|Parse) s[12]|.*(PREPARE|DEALLOCATE)", what) for what, _ in some)
        # nor does one send a Query into an open group, where nothing can be brought along for it
        names = re.match("Query (PREPARE|EXECUTE|DEALLOCATE)", some[0][0])
        is_open = stream and not stream[-1][0].startswith(("Sync", "Query", "FunctionCall"))
        if changes and changed or names and is_open:
            continue
        changed |= changes
        stream += some
    return stream


class End:
    """One connection that gets the streams."""

    def __init__(self, connect):
        self.connect = connect
        self.conn = connect()

    def replies(self, number):
        """All messages up to the end of stream `number`, without what may differ."""
        out = []
        mark = f"end of {number}".encode()
        while True:
            try:
                msg = self.conn.recv()
            except wire.Closed: # a server that lost track of the protocol says FATAL and goes; the pooler adds a word of its own
                fatal = [i for i, m in enumerate(out) if m and m[0] == "E" and m[1] == "FATAL"]
                return [m for m in out[:fatal[0] + 1] if m] + ["closed"] if fatal else ["closed without a word", *out]
            out.append(self.seen(msg))
            if msg.type == "D" and msg.body.endswith(mark):
                out += [self.seen(self.conn.recv()) for _ in range(2)]
                return [m for m in out if m]

    @staticmethod
    def seen(msg):
        if msg.type == "S": # parameters: told at other times, not other ones
            return None
        if msg.type in "EN":
            fields = wire.fields_of(msg.body)
            # statements have other names on servers, and a Parse may go ahead of what uses one
            text = re.sub('"[^"]*"', '""', fields.get("M", ""))
            return msg.type, fields.get("S"), fields.get("C"), re.sub("message type 0x.. during COPY", "message during COPY", text)
        if msg.type == "T": # without the table's oid
            body, pos = bytearray(msg.body), 2
            for _ in range(struct.unpack_from("!h", body, 0)[0]):
                pos = body.index(0, pos) + 1
                body[pos:pos + 4] = bytes(4)
                pos += 18
            return msg.type, bytes(body)
        return msg.type, msg.body


def difference(want, got):
    """None, or what the pooler said first that PostgreSQL did not."""
    for w, g in zip(want, got):
        # a Parse of a name that is taken, and of a text that is wrong: PostgreSQL looks at the text first, the pooler at the name; and in a
        # failed transaction what is brought along fails before what it is for
        if w != g and not (w[0] == g[0] == "E" and g[2] in ("42P05", "25P02")):
            return g
    return None if len(want) == len(got) else "length"


def send_cut(conn, data, rng):
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 3])))
    for a, b in zip([0] + cuts, cuts + [len(data)]):
        conn.send(data[a:b])
