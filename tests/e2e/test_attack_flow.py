# SPDX-License-Identifier: ISC
"""The data path at its seams: large requests while others wait, copies that fail under back-pressure, clients
that vanish in the middle of things. Servers must come back, and nobody may hang."""
import struct
import threading

import pytest

from support import wire
from support.tap import fake_line
from support.util import wait_until

CREATE = "CREATE TABLE IF NOT EXISTS attack (i int); TRUNCATE attack"


def sleep_in_queue(pooler, console, clients, database="p0"):
    """Waits until `clients` clients of a database are queued."""
    wait_until(lambda: console.pool(database)["cl_waiting"] == clients, what=f"{clients} clients wait")


def released(console, database="p0"):
    """Waits until no client holds a server."""
    wait_until(lambda: console.pool(database)["sv_active"] == 0, what="no server is linked")


@pytest.mark.parametrize("size", [40_000, 200_000, 2_000_000])
def test_large_query_while_somebody_waits(make_pooler, size):
    """A request that is streamed passes whole even when it is the last of its turn."""
    p = make_pooler(default_pool_size=1)
    console, a, b = p.console(), p.client(), p.client()
    a.ok("BEGIN")
    b.send(wire.query("SELECT 'b'"))
    sleep_in_queue(p, console, 1)
    text = "x" * size
    assert a.one(f"SELECT '{text}'") == text
    a.ok("COMMIT")
    assert b.until_ready().rows == [["b"]]
    released(console)


def test_large_query_in_pieces_while_somebody_waits(make_pooler):
    """The same, with the rest arriving only after the turn was held, and the next request in its tail."""
    p = make_pooler(default_pool_size=1)
    console, a, b = p.console(), p.client(), p.client()
    a.ok("BEGIN")
    b.send(wire.query("SELECT 'b'"))
    sleep_in_queue(p, console, 1)
    text = "y" * 100_000
    data = wire.query(f"SELECT '{text}'") + wire.query("SELECT 'tail'") + wire.query("COMMIT")
    for at in range(0, len(data), 30_011):
        a.send(data[at:at + 30_011])
    assert a.until_ready().rows == [[text]]
    assert a.until_ready().rows == [["tail"]]
    assert a.until_ready().status == "I"
    assert b.until_ready().rows == [["b"]]
    released(console)


@pytest.mark.parametrize("chunk", [1000, 60_000])
def test_copy_that_fails_under_back_pressure(make_pooler, chunk):
    """The server refuses the first row while megabytes of the copy are still on their way to it."""
    p = make_pooler(default_pool_size=1)
    console, c = p.console(), p.client()
    c.ok(CREATE)
    c.copy_in_start("COPY attack FROM STDIN")
    c.send(wire.copy_data("1\n" * 200_000 + "no number\n"))
    row = "2\n" * (chunk // 2)
    for _ in range(8_000_000 // len(row)):
        c.send(wire.copy_data(row))
    c.send(wire.copy_done())
    assert c.until_ready().error["C"] == "22P02"
    released(console)
    assert c.one("SELECT 'alive'") == "alive"
    d = p.client()
    assert d.one("SELECT 'other'") == "other"


def stuck_copy(make_pooler, fake, chunk, **settings):
    """A client whose copy goes to a server that does not read, until every buffer on the way is full; then the server
    refuses the copy all the same. Returns pooler, client, server and what is unsent of a message cut somewhere."""
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, server_check_query="", **settings)
    c, s = fake.login(p)
    c.send(wire.query("COPY t FROM STDIN"))
    s.expect("Q")
    s.send(wire.message("G", b"\0\0\0"))
    c.expect("G")
    row = memoryview(wire.copy_data("x" * chunk))
    c.sock.settimeout(0.5)
    rest = b""
    for _ in range(40_000_000 // chunk):
        try:
            sent = c.sock.send(row)
        except TimeoutError:
            break
        if sent < len(row):
            rest = bytes(row[sent:])
            break
    else:
        pytest.fail("40 MB went nowhere without back-pressure")
    s.error("no", "22P02")
    s.send(wire.message("Z", b"I"))
    assert c.until_ready().error["C"] == "22P02"
    return p, c, s, rest


def read_past_copy_data(s):
    """The first message that is no CopyData; large ones are not collected."""
    while True:
        while len(s.buf) < 5:
            data = s.sock.recv(1 << 20)
            if not data:
                raise EOFError("the pooler closed the connection")
            s.buf += data
        (length,) = struct.unpack_from("!i", s.buf, 1)
        if s.buf[:1] != b"d":
            return s.recv()
        left = length + 1 - len(s.buf)
        s.buf = s.buf[length + 1:]
        while left > 0:
            data = s.sock.recv(min(1 << 20, left))
            if not data:
                raise EOFError("the pooler closed the connection")
            left -= len(data)


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("chunk", [1000, 60_000, 39_000_000])
def test_copy_refused_by_a_server_that_does_not_read(make_pooler, fake, chunk):
    """ErrorResponse and ReadyForQuery overtake copied data; the client finishes its message and goes on."""
    _, c, s, rest = stuck_copy(make_pooler, fake, chunk)
    t = in_background(c.send, rest, wire.copy_done(), wire.query("SELECT 'next'"))
    msg = read_past_copy_data(s)
    while msg.type == "c":
        msg = s.recv()
    assert (msg.type, msg.body) == ("Q", b"SELECT 'next'\0")
    s.answer("next")
    t.join()
    assert c.until_ready().rows == [["next"]]


@pytest.mark.parametrize("workers_of", [1, 4])
@pytest.mark.parametrize("chunk", [1000, 39_000_000])
def test_stray_copy_data_is_out_before_the_server_is_lent(make_pooler, fake, chunk, workers_of):
    """What is buffered towards a server is its client's: nobody else's request may follow before it is out."""
    p, c, s, rest = stuck_copy(make_pooler, fake, chunk, worker_threads=workers_of)
    others = [p.client() for _ in range(workers_of)]
    for i, other in enumerate(others):
        other.send(wire.query(f"SELECT '{i}'"))
    t = in_background(c.send, rest)
    if chunk == 1000:
        wait_until(lambda: [r["state"] for r in p.console().servers()] == ["tested"], what="held until it is out")
    asked = set()
    for _ in others:
        msg = read_past_copy_data(s)
        assert msg.type == "Q"
        asked.add(msg.body)
        s.answer(msg.body.split(b"'")[1].decode())
    t.join()
    assert len(asked) == len(others)
    for i, other in enumerate(others):
        assert other.until_ready().rows == [[str(i)]]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_dies_while_its_stray_copy_data_is_stuck(make_pooler, fake, how):
    """Cut in the middle of CopyData that nobody wants: the server is closed, not given to the next client."""
    p, c, s, rest = stuck_copy(make_pooler, fake, 60_000)
    other = p.client()
    other.send(wire.query("SELECT 'other'"))
    getattr(c, how)()
    try:
        msg = read_past_copy_data(s)
        assert not rest, "another client's request followed half a message"
    except (EOFError, ConnectionResetError):
        s = fake.accept()
        msg = read_past_copy_data(s)
    assert (msg.type, msg.body) == ("Q", b"SELECT 'other'\0")
    s.answer("other")
    assert other.until_ready().rows == [["other"]]


def run_fake(make_pooler, fake, **settings):
    p = make_pooler(databases={"p0": fake_line(fake)}, default_pool_size=1, server_check_query="", **settings)
    c, s = fake.login(p)
    return p, c, s


def test_notification_behind_ready_for_query(make_pooler, fake):
    """Asynchronous messages in one piece with ReadyForQuery, whole and cut, do not keep the server."""
    p, c, s = run_fake(make_pooler, fake)
    console, other = p.console(), p.client()
    note = wire.message("A", struct.pack("!i", 7) + b"ch\0payload\0")
    for cut in (len(note), 3, 8):
        c.send(wire.query("SELECT 1"))
        s.expect("Q")
        s.send(wire.message("C", b"SELECT 0\0"), wire.message("Z", b"I"), note[:cut])
        c.until_ready()
        if cut < len(note):
            s.send(note[cut:])
        assert c.recv().type == "A"
        released(console)
        other.send(wire.query("SELECT 2"))
        s.expect("Q")
        s.answer("2")
        assert other.until_ready().rows == [["2"]]


def test_large_notice_right_after_our_own_settings(make_pooler):
    """A notice that is streamed arrives whole, also behind replies that the client does not see."""
    p = make_pooler(default_pool_size=1)
    a, b = p.client(application_name="a"), p.client(application_name="b")
    for _ in range(3):
        for c, size in ((a, 200_000), (b, 70_000)):
            result = c.query(f"DO $$ BEGIN RAISE NOTICE '%', repeat('n', {size}); END $$")
            assert [len(n["M"]) for n in result.notices] == [size]
            assert result.types == "NCZ"


@pytest.mark.parametrize("missing", [1, 2, 3, 5, 6])
def test_half_sent_query_is_never_run(make_pooler, pg, missing):
    """A client dies a few bytes before the end of a streamed Query: nothing that the pooler sends may complete it,
    and it is closed at once, not when its recovery took too long."""
    p = make_pooler(default_pool_size=1, server_recovery_timeout=600)
    c = p.client()
    c.ok(CREATE)
    text = wire.query("INSERT INTO attack VALUES (1) --" + "c" * 100_000)
    c.send(text[:-missing])
    wait_until(lambda: p.console().pool()["sv_active"] == 1, what="the beginning went to the server")
    c.reset()
    wait_until(lambda: not p.console().servers(), what="its server is closed")
    d = p.client()
    wait_until(lambda: not pg.sql("SELECT 1 FROM pg_stat_activity WHERE datname = 'p0' AND pid <> pg_backend_pid()"
                                  " AND query LIKE 'INSERT%'"), what="its backend is gone")
    assert d.one("SELECT count(*) FROM attack") == "0"


COPY_GROUP = wire.parse("COPY attack FROM STDIN") + wire.bind() + wire.execute()


@pytest.mark.parametrize("at", ["before the answer", "simple", "extended", "extended after sync", "second copy", "done"])
def test_client_dies_in_a_copy(make_pooler, at):
    """Its server is recovered, long before server_recovery_timeout: the same backend serves the next client."""
    p = make_pooler(default_pool_size=1, server_recovery_timeout=60)
    d = p.client()
    d.ok(CREATE)
    pid = d.one("SELECT pg_backend_pid()")
    c = p.client()
    if at == "before the answer":
        c.send(wire.query("COPY attack FROM STDIN"))
    elif at == "simple":
        c.copy_in_start("COPY attack FROM STDIN")
        c.send(wire.copy_data("1\n"))
    elif at == "extended":
        c.send(COPY_GROUP, wire.flush())
        c.expect("12G")
    elif at == "extended after sync":
        c.send(COPY_GROUP, wire.sync())
        c.expect("12G")
        c.send(wire.copy_data("1\n"))
    elif at == "second copy":
        c.copy_in_start("COPY attack FROM STDIN; COPY attack FROM STDIN")
        c.send(wire.copy_data("1\n"), wire.copy_done())
        c.expect("CG")
    else:
        c.send(wire.query("BEGIN"))
        c.until_ready()
        c.copy_in_start("COPY attack FROM STDIN")
        c.send(wire.copy_data("1\n"), wire.copy_done())
    c.reset()
    assert d.one("SELECT count(*) FROM attack") == "0"
    if at != "extended after sync":  # whether that Sync counted is not known: a new server is as good
        assert d.one("SELECT pg_backend_pid()") == pid
    released(p.console())


def test_copy_in_the_extended_protocol_that_fails_at_once(make_pooler, pg):
    """As libpq sends it (Sync behind Execute), refused after CopyInResponse and before anything was read."""
    p = make_pooler(default_pool_size=1)
    c = p.client()
    c.ok("DROP VIEW IF EXISTS attack_view; " + CREATE + "; CREATE VIEW attack_view AS SELECT i + 1 AS j FROM attack")
    for _ in range(3):
        c.send(wire.parse("COPY attack_view FROM STDIN"), wire.bind(), wire.execute(), wire.sync())
        assert c.until_ready().types == "12GEZ"
        assert c.one("SELECT 'on'") == "on"
    other = p.client()
    assert other.one("SELECT 'other'") == "other"
    released(p.console())


def test_copy_in_the_extended_protocol_with_a_bad_row(make_pooler):
    p = make_pooler(default_pool_size=1)
    c, other = p.client(), p.client()
    c.ok(CREATE)
    for _ in range(3):
        c.send(COPY_GROUP, wire.sync())
        c.expect("12G")
        c.send(wire.copy_data("1\n"), wire.copy_data("no\n"))
        c.expect("E")
        c.send(wire.copy_done(), wire.sync())
        c.expect("Z")
        assert other.one("SELECT 'other'") == "other"
        assert c.one("SELECT count(*) FROM attack") == "0"
    released(p.console())


def test_every_ordinary_copy_gives_its_server_back(make_pooler):
    p = make_pooler(default_pool_size=1)
    console, c = p.console(), p.client()
    c.ok(CREATE)
    c.copy_in_start("COPY attack FROM STDIN")
    c.send(wire.copy_data("1\n"), wire.copy_done())
    c.until_ready()
    released(console)
    c.send(wire.query("COPY attack FROM STDIN"), wire.copy_data("2\n"), wire.copy_done())
    assert c.until_ready().types == "GCZ"
    released(console)
    c.send(wire.query("COPY attack FROM STDIN; COPY attack FROM STDIN; SELECT count(*) FROM attack"),
           wire.copy_data("3\n"), wire.copy_done(), wire.copy_data("4\n"), wire.copy_done())
    assert c.until_ready().rows == [["4"]]
    released(console)
