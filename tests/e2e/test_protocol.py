# SPDX-License-Identifier: ISC
"""Everything a client may say, and PostgreSQL's answer through the pooler unchanged."""
import random
import re
import select
import struct
import threading

import pytest

from support import wire
from support.util import wait_until

PID = "SELECT pg_backend_pid()"


def int4(n):
    return struct.pack("!i", n)


def direct(pg):
    return wire.Conn(pg.port).login("postgres", "p0")


CONVERSATIONS = {
    "simple": [wire.query("SELECT 1 AS a, 'x' AS b")],
    "empty": [wire.query("")],
    "only a comment": [wire.query("-- nothing\n;")],
    "multi": [wire.query("SELECT 1; SELECT 2; SELECT 3")],
    "multi with an error in the middle": [wire.query("SELECT 1; SELECT 1/0; SELECT 3")],
    "multi with its own transaction": [wire.query("BEGIN; SELECT 1; COMMIT; SELECT 2")],
    "syntax error": [wire.query("SELEKT")],
    "notice": [wire.query("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'there'; END $$")],
    "error in a transaction": [wire.query("BEGIN"), wire.query("SELECT 1/0"), wire.query("SELECT 1"), wire.query("ROLLBACK")],
    "extended": [wire.group("SELECT $1::text", ["v"])],
    "extended without rows": [wire.group("SELECT 1 WHERE false")],
    "extended empty": [wire.group("")],
    "extended null": [wire.group("SELECT $1::text IS NULL", [None])],
    "sync alone": [wire.sync()],
    "describe": [wire.parse("SELECT $1::int AS n", "", []), wire.describe("S"), wire.bind("", "", ["5"]), wire.describe("P"),
                 wire.execute(), wire.sync()],
    "pipeline of five": [wire.group(f"SELECT {i}") for i in range(5)],
    "pipeline with an error in the third": [wire.group(f"SELECT 1/{i}") for i in (1, 2, 0, 3, 4)],
    "skip until sync": [wire.parse("SELECT 1/0"), wire.bind(), wire.execute(), wire.parse("SELECT 2"), wire.bind(),
                        wire.execute(), wire.sync(), wire.group("SELECT 3")],
    "error then simple query in one batch": [wire.parse("SELEKT"), wire.bind(), wire.execute(), wire.sync(),
                                             wire.query("SELECT 4")],
    "two executes in one group": [wire.parse("SELECT 1"), wire.bind(), wire.execute(), wire.bind(), wire.execute(), wire.sync()],
    "several syncs": [wire.sync(), wire.sync(), wire.group("SELECT 1"), wire.sync()],
    "bind to an unknown portal": [wire.describe("P", "nosuch"), wire.sync(), wire.query("SELECT 1")],
    "portal suspended": [wire.query("BEGIN"), wire.parse("SELECT generate_series(1,5)"), wire.bind("c1"),
                         wire.execute("c1", 2), wire.execute("c1", 2), wire.execute("c1", 2), wire.sync(),
                         wire.query("COMMIT")],
    "flush": [wire.parse("SELECT 7"), wire.flush(), wire.bind(), wire.flush(), wire.execute(), wire.flush(), wire.sync()],
    "close": [wire.parse("SELECT 8"), wire.close("S"), wire.close("P", "nosuch"), wire.sync()],
    "simple query between parse and sync": [wire.parse("SELECT 9"), wire.query("SELECT 10"), wire.sync()],
    "function call": [wire.function_call(1397, [int4(-5)])],  # pg_catalog.int4abs
    "function call that fails": [wire.function_call(154, [int4(1), int4(0)]), wire.query("SELECT 1")],  # int4div
    "unknown function": [wire.function_call(999999, []), wire.query("SELECT 1")],
    "rows of 100 kB": [wire.query("SELECT repeat('x', 100000) FROM generate_series(1, 5)")],
    "set and show": [wire.query("BEGIN; SET LOCAL DateStyle = 'German'; SELECT date '2020-02-01'; COMMIT")],
    "copy out": [wire.query("COPY (SELECT generate_series(1, 100)) TO STDOUT")],
    "copy out that fails": [wire.query("COPY (SELECT 1/(50 - g) FROM generate_series(1, 100) g) TO STDOUT")],
    "copy in": [wire.query("COPY pg_temp.nosuch FROM STDIN"), wire.query("SELECT 1")],
    "begin in extended": [wire.group("BEGIN"), wire.group("SELECT 1"), wire.group("COMMIT")],
    "query without a group after an error": [wire.query("SELECT 1/0"), wire.query("SELECT 1")],
}


def same(msg):
    """Messages without what may differ between two servers' sessions."""
    if msg.type in "EN":
        fields = wire.fields_of(msg.body)
        return (msg.type, {k: v for k, v in fields.items() if k not in "L"})
    return (msg.type, msg.body)


def owed(parts):
    """ReadyForQuery messages that a conversation brings."""
    joined = b"".join(parts)
    n, pos = 0, 0
    while pos < len(joined):
        (length,) = struct.unpack_from("!i", joined, pos + 1)
        n += chr(joined[pos]) in "QSF"
        pos += length + 1
    return n


def talk(conn, parts, one_by_one):
    out = []
    if one_by_one:
        for part in parts:
            conn.send(part)
            for _ in range(owed([part])):
                out += conn.until_ready().messages
    else:
        conn.send(*parts)
        for _ in range(owed(parts)):
            out += conn.until_ready().messages
    return [same(m) for m in out if m.type != "S"]


@pytest.mark.parametrize("one_by_one", [False, True], ids=["at once", "step by step"])
def test_same_answers_as_postgres(make_pooler, pg, one_by_one, workers):
    """Each conversation on a direct connection and through the pooler: the same messages, byte for byte."""
    p = make_pooler(default_pool_size=2, **workers)
    through, straight = p.client(), direct(pg)
    for name, parts in CONVERSATIONS.items():
        want = talk(straight, parts, one_by_one)
        try:
            got = talk(through, parts, one_by_one)
        except (wire.Closed, TimeoutError, OSError) as e:
            raise AssertionError(f"in '{name}': {e!r}") from e
        assert got == want, name
    straight.close()
    row = p.console().pool()
    assert (row["sv_active"], row["cl_waiting"]) == (0, 0), "a server was not released"


@pytest.mark.newer
def test_unknown_statement_with_tracking_off(make_pooler):
    """max_prepared_statements = 0: names go to the server untouched, and its own error comes back."""
    p = make_pooler(max_prepared_statements=0)
    c = p.client()
    c.send(wire.bind("", "nosuch"), wire.execute(), wire.sync())
    assert c.until_ready().error["C"] == "26000"
    assert c.one("SELECT 1") == "1"


def test_byte_by_byte(make_pooler):
    """Message headers split at every place."""
    p = make_pooler()
    c = p.client()
    for b in wire.group("SELECT $1::text", ["split"]) + wire.query("SELECT 'two'"):
        c.send(bytes([b]))
    assert c.until_ready().rows == [["split"]]
    assert c.until_ready().rows == [["two"]]


@pytest.mark.parametrize("size", [4000, 4096, 5000, 70000, 3_000_000])
def test_large_messages_both_ways(make_pooler, size):
    p = make_pooler()
    c = p.client()
    text = "x" * size
    assert c.one(f"SELECT '{text}'") == text
    c.send(wire.group("SELECT $1::text", [text]))
    assert c.until_ready().rows == [[text]]


def test_a_slow_reader_holds_up_only_itself(make_pooler, pg):
    """60 MB that nobody reads: back-pressure to its server, the other client is served."""
    p = make_pooler(default_pool_size=2)
    slow, quick = p.client(), p.client()
    slow.send(wire.query("SELECT repeat('x', 60000) FROM generate_series(1, 1000)"))
    wait_until(slow.readable)

    def stuck():
        return pg.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%repeat%'") == 1
    wait_until(lambda: all(stuck() for _ in range(200)))
    for i in range(50):
        assert quick.one(f"SELECT {i}") == str(i)
    assert stuck()
    assert len(slow.until_ready().rows) == 1000


def test_pipelining_far_ahead_of_reading(make_pooler):
    """Both directions are full at once: neither may stop the other (odyssey #1475)."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    text = "y" * 2000
    n = 5000
    writer = threading.Thread(target=lambda: c.sock.sendall(wire.group(f"SELECT '{text}'") * n), daemon=True)
    c.sock.settimeout(60)
    writer.start()
    wait_until(c_has_data(c))
    for _ in range(n):
        r = wire.Result()
        while r.status is None:
            r.add(recv_shared(c))
        assert r.rows == [[text]]
    writer.join(10)
    assert not writer.is_alive()


def c_has_data(c):
    return lambda: select.select([c.sock], [], [], 0)[0]


def recv_shared(c):
    """recv() without touching the socket's timeout, which the writing thread shares."""
    while len(c.buf) < 5 or len(c.buf) < struct.unpack_from("!i", c.buf, 1)[0] + 1:
        data = c.sock.recv(1 << 16)
        assert data
        c.buf += data
    (length,) = struct.unpack_from("!i", c.buf, 1)
    msg = wire.Msg(chr(c.buf[0]), c.buf[5:length + 1])
    c.buf = c.buf[length + 1:]
    return msg


def test_large_object_by_fast_path(make_pooler, pg):
    """What pgjdbc and libpq's lo_* do: FunctionCall within a transaction."""
    p = make_pooler()
    c = p.client()
    c.ok("BEGIN")
    oid = int(c.one("SELECT lo_creat(-1)"))

    def call(name, *args):
        c.send(wire.function_call(pg.one("SELECT oid FROM pg_proc WHERE proname = %s AND pronamespace = 'pg_catalog'::regnamespace",
                                         name), args))
        msg = c.until_ready().messages[0]
        assert msg.type == "V", msg
        return msg.body[4:]
    fd = call("lo_open", struct.pack("!I", oid), int4(0x60000))
    data = bytes(range(256)) * 100
    assert call("lowrite", fd, data) == int4(len(data))
    assert call("lo_lseek", fd, int4(0), int4(0)) == int4(0)
    assert call("loread", fd, int4(len(data))) == data
    call("lo_close", fd)
    assert c.query("COMMIT").status == "I"
    c.ok(f"SELECT lo_unlink({oid})")


def test_error_in_an_open_group_keeps_the_server_until_sync(make_pooler):
    """The error came, its Sync has not: nobody else may use this server (PgBouncer #714)."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.send(wire.parse("SELECT 1/0"), wire.bind(), wire.execute(), wire.flush())
    a.expect("1E")  # the constant is folded at Bind
    b.send(wire.query("SELECT 'b'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    assert not b.readable()
    a.send(wire.sync())
    assert a.until_ready().status == "I"
    assert b.until_ready().rows == [["b"]]


def test_parse_without_sync_keeps_the_server(make_pooler):
    p = make_pooler(default_pool_size=1)
    a, b = p.client(), p.client()
    a.send(wire.parse("SELECT 1"), wire.flush())
    assert a.recv().type == "1"
    b.send(wire.query("SELECT 'b'"))
    con = p.console()
    wait_until(lambda: con.pool()["cl_waiting"] == 1)
    a.send(wire.bind(), wire.execute(), wire.sync())
    assert a.until_ready().rows == [["1"]]
    assert b.until_ready().rows == [["b"]]


def test_no_reply_of_one_client_reaches_another(make_pooler, workers):
    """Many clients, few servers, pipelines with and without errors; each answer carries its asker's name."""
    p = make_pooler(default_pool_size=3, **workers)
    problems = []

    def work(n):
        rnd = random.Random(n)
        try:
            c = wire.Conn(p.port).login("postgres", "p0")
            for turn in range(40):
                kind = rnd.randrange(5)
                tag = f"c{n}t{turn}"
                if kind == 0:
                    assert c.query(f"SELECT '{tag}'").rows == [[tag]]
                elif kind == 1:
                    k = rnd.randrange(1, 6)
                    c.send(*[wire.group("SELECT $1::text", [f"{tag}.{i}"]) for i in range(k)])
                    for i in range(k):
                        assert c.until_ready().rows == [[f"{tag}.{i}"]]
                elif kind == 2:
                    c.send(wire.group(f"SELECT '{tag}', 1/0"), wire.group(f"SELECT '{tag}'"))
                    assert c.until_ready().error["C"] == "22012"
                    assert c.until_ready().rows == [[tag]]
                elif kind == 3:
                    c.ok("BEGIN")
                    c.ok(f"SELECT set_config('application_name', '{tag}', true)")
                    assert c.one("SELECT current_setting('application_name')") == tag
                    c.ok("ROLLBACK")
                else:
                    r = c.query(f"DO $$ BEGIN RAISE EXCEPTION '{tag}'; END $$")
                    assert r.error["M"] == tag
            c.close()
        except Exception as e:  # collected for the assertion
            problems.append((n, repr(e)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems


def test_garbage_instead_of_a_message(make_pooler):
    p = make_pooler()
    c = p.client()
    c.send(b"\xff\x00\x00\x00\x08abcd")
    result = c.until_closed()
    assert not result.error or result.error["C"] == "08P01"
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.0\r\n\r\n", b"\x00\x00\x00\x00", b"\x00\x00\x00\x04", b"\xff\xff\xff\xff\x00\x03\x00\x00",
                                  b"\x7f\xff\xff\xff\x00\x03\x00\x00user\x00x\x00\x00", struct.pack("!ii", 8, 196608),
                                  struct.pack("!ii", 9, 196608) + b"\0", struct.pack("!ii", 12, 131072) + b"abc\0"])
def test_garbage_instead_of_a_startup_packet(make_pooler, junk):
    p = make_pooler(client_login_timeout=2)
    c = p.raw()
    c.send(junk)
    result = c.until_closed()
    assert "Z" not in result.types
    assert p.client().one("SELECT 1") == "1"


def test_oversized_startup_packet_is_refused_before_it_is_read(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.send(struct.pack("!ii", 1_000_000, 196608) + b"user\0x\0" * 10)
    result = c.until_closed(5)
    assert "Z" not in result.types


def test_ssl_and_gss_requests_are_declined(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.send(wire.SSL_REQUEST)
    assert c.recv_byte() == b"N"
    c.send(wire.GSSENC_REQUEST)
    assert c.recv_byte() == b"N"
    assert c.login("postgres", "p0").one("SELECT 1") == "1"


def test_old_protocol(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.send(wire.startup_packet({"user": "postgres", "database": "p0"}, 131072))
    err = c.fatal()
    assert err["C"] == "08P01" and err["M"] == "old V2 protocol not supported"


def test_unknown_protocol(make_pooler):
    c = make_pooler().raw()
    packet = wire.startup_packet({"user": "postgres", "database": "p0"}, 4 << 16)
    c.send(packet)
    err = c.fatal()
    assert (err["C"], err["M"]) == ("08P01", f"bad packet header: '{packet[:8].hex()}'")


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("message, text", [
    (b"!\0\0\0\x04", "unknown pkt"), (b"p\0\0\0\x05x", "unknown pkt"), (b"P\0\0\0\x04", "failed to parse packet"),
    (b"B\0\0\0\x04", "failed to parse packet"), (b"D\0\0\0\x04", "failed to parse packet"), (b"C\0\0\0\x04", "failed to parse packet"),
    (b"Q\0\0\0\x03xyz", "bad packet header: '510000000378797a'"), (b"Q\0\0\0\x00", "bad packet header: '5100000000'"),
    (b"Q\xff\xff\xff\xffabcdefgh", "bad packet header: '51ffffffff616263'")])
def test_broken_messages(make_pooler, message, text, in_transaction):
    """Read off PgBouncer 1.24."""
    p = make_pooler()
    c = p.client()
    if in_transaction:
        c.ok("BEGIN")
    c.send(message)
    err = c.fatal()
    assert (err["S"], err["C"], err["M"]) == ("FATAL", "08P01", text)
    p.wait_log(f"closing because: {text}")


@pytest.mark.newer
def test_newer_minor_protocol_is_negotiated_down(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.send(wire.startup_packet({"user": "postgres", "database": "p0", "_pq_.colour": "blue"}, 196610))
    types = ""
    while "Z" not in types:
        msg = c.recv()
        types += msg.type
        if msg.type == "v":
            version, n = struct.unpack_from("!ii", msg.body)
            assert (version & 0xffff, n) == (0, 1) and b"_pq_.colour" in msg.body
    assert types.count("v") == 1
    assert c.one("SELECT 1") == "1"


def minor_of(p, minor, **params):
    """The minor version that a client gets that asks for `minor`, and whether it was told so; its connection."""
    c = p.raw()
    c.send(wire.startup_packet({"user": "postgres", "database": "p0", **params}, wire.PROTOCOL_3 + minor))
    told = []
    while True:
        msg = c.recv()
        assert msg.type != "E", wire.fields_of(msg.body)
        if msg.type == "v":
            told.append(struct.unpack_from("!i", msg.body)[0] & 0xffff)
        if msg.type == "K":
            c.key = msg.body
        if msg.type == "Z":
            assert len(told) < 2, told
            return (told[0] if told else None), c


@pytest.mark.newer
def test_every_minor_version_is_answered_with_3_0(make_pooler):
    p = make_pooler()
    assert [minor_of(p, minor)[0] for minor in (0, 1, 2, 3, 9999)] == [None, 0, 0, 0, 0]
    assert len(minor_of(p, 2)[1].key) == 8


@pytest.mark.poolwise
def test_protocol_3_2_gives_long_cancel_keys(make_pooler, pg, workers):
    p = make_pooler(client_max_protocol_version="3.2", **workers)
    # 3.1 is reserved and answered as PostgreSQL 18 does
    assert [minor_of(p, minor)[0] for minor in (0, 1, 2, 3, 9999)] == [None, None, None, 2, 2]
    assert [len(minor_of(p, minor)[1].key) for minor in (0, 1, 2, 3)] == [8, 8, 36, 36]
    _, c = minor_of(p, 2)
    c.send(wire.query("SELECT pg_sleep(600)"))
    wait_until(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%%' AND state = 'active'"
                              " AND datname = 'p0'"))
    wrong = wire.Conn(p.port)
    wrong.key = c.key[:-1] + bytes([c.key[-1] ^ 1])
    wrong.cancel(p.port)
    wrong.key = c.key[:8]
    wrong.cancel(p.port)
    assert not c.readable()
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"


@pytest.mark.poolwise
def test_protocol_3_2_and_unknown_options(make_pooler):
    p = make_pooler(client_max_protocol_version="3.2")
    assert minor_of(p, 2, **{"_pq_.colour": "blue"})[0] == 2
    assert minor_of(p, 0, **{"_pq_.colour": "blue"})[0] == 0


@pytest.mark.newer
def test_negotiation_is_told_once_when_auth_query_comes_between(make_pooler, pg):
    p = make_pooler(auth_file={"postgres": ""}, auth_user="postgres", auth_query="SELECT usename, 'x' FROM pg_user WHERE usename=$1")
    c = p.raw()
    c.send(wire.startup_packet({"user": "u_trust", "database": "p0", "_pq_.colour": "blue"}, wire.PROTOCOL_3 + 3))
    types = ""
    while "Z" not in types:
        types += c.recv().type
    assert types.count("v") == 1 and types[0] == "v"


@pytest.mark.poolwise
@pytest.mark.parametrize("answers", [0, 1])
def test_servers_are_asked_for_3_2_when_told_to(make_pooler, fake, answers):
    p = make_pooler(databases={"p0": f"host=127.0.0.1 port={fake.port} dbname=p0"}, server_max_protocol_version="3.2")
    c = p.raw()
    c.startup(user="postgres", database="p0")
    s = fake.accept_raw()
    assert s.startup_code == wire.PROTOCOL_3 + 2
    if answers:
        s.send(wire.message("v", struct.pack("!ii", wire.PROTOCOL_3, 0)))
    secret = bytes(range(4 if answers else 256))
    s.welcome(key_data=struct.pack("!i", 4711) + secret)
    c.authenticate("postgres", None)
    c.send(wire.query("SELECT 1"))
    assert s.recv().type == "Q"
    with wire.Conn(p.port) as canceller:
        canceller.send(struct.pack("!ii", 16, 80877102) + c.key)
        fake.listener.settimeout(20)
        sock, _ = fake.listener.accept()
        want = struct.pack("!iii", 12 + len(secret), 80877102, 4711) + secret
        got = b""
        while len(got) < len(want):
            got += sock.recv(1000)
        assert got == want
        sock.close()
        canceller.until_closed()
    s.close()


def test_unsupported_startup_parameter(make_pooler, reference):
    p = make_pooler()
    c = p.raw()
    c.startup(user="postgres", database="p0", work_mem="1MB")
    told = c.fatal()
    assert told["M"] == "unsupported startup parameter: work_mem"
    if not reference:
        hint = "in the pooler's configuration ignore_startup_parameters drops it, track_extra_parameters sets it"
        assert told["H"] == hint
        p.wait_log(r"pooler error: unsupported startup parameter: work_mem \(hint: " + re.escape(hint))


def test_ignore_startup_parameters(make_pooler):
    p = make_pooler(ignore_startup_parameters="extra_float_digits, work_mem")
    assert p.client(work_mem="1MB", extra_float_digits="3").one("SHOW work_mem") == "4MB"


def test_no_user(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.startup(database="p0")
    assert c.fatal()["M"] == "no username supplied"


def test_database_defaults_to_the_user(make_pooler, pg):
    p = make_pooler(databases={"u_trust": pg.line("p0")})
    assert p.raw().login("u_trust").one("SELECT current_database()") == "p0"


def test_no_such_database(make_pooler):
    p = make_pooler()
    c = p.raw()
    c.startup(user="postgres", database="nosuch")
    err = c.fatal()
    assert (err["S"], err["C"]) == ("FATAL", "08P01")
    assert err["M"] in ("no such database: nosuch",)


@pytest.mark.newer
def test_database_missing_on_the_server(make_pooler, pg):
    p = make_pooler(databases={"ghost": pg.line("ghost")})
    c = p.raw()
    c.startup(user="postgres", database="ghost")
    err = c.fatal()
    assert (err["C"], err["M"]) == ("3D000", 'database "ghost" does not exist')
