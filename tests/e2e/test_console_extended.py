# SPDX-License-Identifier: ISC
"""The extended query protocol on the admin console, as drivers use it. PgBouncer closes such a connection."""
import random
import struct
import threading

import psycopg
import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


@pytest.fixture
def con(make_pooler):
    p = make_pooler()
    p.client().ok("SELECT 1")
    c = p.client("pgbouncer", "admin")
    c.pooler = p
    return c


def bind_formats(*codes, portal="", statement="", params=()):
    body = wire.cstr(portal) + wire.cstr(statement) + struct.pack(">HH", 0, len(params))
    for value in params:
        body += struct.pack(">I", len(value)) + value
    return wire.message("B", body + struct.pack(f">H{len(codes)}H", len(codes), *codes))


def test_one_command(con):
    con.send(wire.parse("SHOW POOLS"), wire.bind(), wire.describe("P"), wire.execute(), wire.sync())
    result = con.until_ready()
    assert result.types.startswith("12T") and result.types.endswith("CZ"), result.types
    assert result.tags == ["SHOW"] and result.status == "I"
    simple = con.query("SHOW POOLS")
    assert result.columns == simple.columns and len(result.rows) == len(simple.rows)


def test_describe_of_a_statement(con):
    """pgx and JDBC ask before they bind."""
    con.send(wire.parse("SHOW VERSION", "s"), wire.describe("S", "s"), wire.sync())
    result = con.until_ready()
    assert result.types == "1tTZ" and result.columns == [("version", 25)]
    con.send(wire.parse("RELOAD", "r"), wire.describe("S", "r"), wire.sync())
    assert con.until_ready().types == "1tnZ"
    con.send(wire.bind("", "r"), wire.execute(), wire.sync())
    result = con.until_ready()
    assert result.types == "2CZ" and result.tags == ["RELOAD"]


def test_named_statements_live_on_and_are_closed(con):
    con.send(wire.parse("SHOW STATE", "s"), wire.sync())
    con.until_ready()
    for _ in range(3):
        con.send(wire.bind("", "s"), wire.execute(), wire.sync())
        assert [r[0] for r in con.until_ready().rows] == ["active", "paused", "suspended"]
    con.send(wire.parse("SHOW STATE", "s"), wire.sync())
    assert con.until_ready().error["C"] == "42P05"
    con.send(wire.close("S", "s"), wire.sync())
    assert con.until_ready().types == "3Z"
    con.send(wire.bind("", "s"), wire.sync())
    assert con.until_ready().error["C"] == "26000"
    con.send(wire.execute("nosuch"), wire.sync())
    assert con.until_ready().error["C"] == "34000"


def test_rows_in_portions(con):
    """JDBC with a fetch size: the portal keeps what was not asked for, until it is at its end."""
    total = len(con.query("SHOW CONFIG").rows)
    con.send(wire.parse("SHOW CONFIG"), wire.bind("p"), wire.execute("p", 40), wire.flush())
    got, suspended = [], 0
    while True:
        kind, body = con.recv()
        if kind == "D":
            got.append(body)
        elif kind == "s":
            suspended += 1
            con.send(wire.execute("p", 40), wire.flush())
        elif kind == "C":
            break
    con.send(wire.sync())
    con.until_ready()
    assert len(got) == total and suspended == (total - 1) // 40
    con.send(wire.execute("p"), wire.sync())
    assert con.until_ready().error["C"] == "34000", "Sync ends portals"


def test_an_error_skips_to_sync(con):
    con.send(wire.parse("NONSENSE"), wire.bind(), wire.execute(), wire.query("SHOW POOLS"), wire.sync())
    result = con.until_ready()
    assert result.types == "EZ" and result.error["C"] == "08P01"
    con.send(wire.parse("RESUME"), wire.bind(), wire.execute(), wire.parse("SHOW STATE"), wire.sync())
    result = con.until_ready()
    assert result.types == "12EZ" and "not paused" in result.error["M"]
    assert con.query("SHOW STATE").tags == ["SHOW"]


def test_binary_results(con):
    con.send(wire.parse("SHOW LISTS"), bind_formats(1), wire.describe("P"), wire.execute(), wire.sync())
    binary = {}
    while True:
        kind, body = con.recv()
        if kind == "T":
            assert body.endswith(b"\x00\x01")
        if kind == "D":
            (n,) = struct.unpack(">I", body[2:6])
            binary[body[6:6 + n].decode()] = struct.unpack(">Ii", body[6 + n:])
        if kind == "Z":
            break
    text = {r[0]: int(r[1]) for r in con.query("SHOW LISTS").rows}
    assert binary == {k: (4, v) for k, v in text.items()}


def test_formats_that_do_not_fit(con):
    con.send(wire.parse("SHOW LISTS"), bind_formats(1, 0, 1), wire.execute(), wire.sync())
    assert con.until_ready().error["C"] == "08P01"
    con.send(wire.parse("SHOW LISTS"), bind_formats(2), wire.execute(), wire.sync())
    assert con.until_ready().error["C"] == "08P01"


def test_parameters_are_refused(con):
    con.send(wire.parse("SHOW LISTS"), wire.bind(params=("x",)), wire.execute(), wire.sync())
    assert con.until_ready().error["C"] == "08P01"


def test_a_command_that_waits(con):
    """What comes behind an Execute that waits is held until its answer."""
    p = con.pooler
    holder = p.client()
    holder.ok("BEGIN")
    con.send(wire.parse("PAUSE"), wire.bind(), wire.execute(), wire.sync(), wire.query("SHOW STATE"))
    wait_until(lambda: p.console().show("STATE")[1]["value"] == "yes")
    holder.ok("COMMIT")
    assert con.until_ready().types == "12CZ"
    assert con.until_ready().rows[1] == ["paused", "yes"]
    con.send(wire.parse("RESUME"), wire.bind(), wire.execute(), wire.sync())
    assert con.until_ready().tags == ["RESUME"]


@pytest.mark.parametrize("text", ["", ";", "-- ping"])
def test_empty_commands(con, text):
    con.send(wire.query(text))
    assert con.until_ready().types == "IZ"
    con.send(wire.parse(text), wire.bind(), wire.describe("P"), wire.execute(), wire.sync())
    assert con.until_ready().types == "12nIZ"


def test_transactions_of_drivers(con):
    for word in ("BEGIN", "commit", "ROLLBACK"):
        result = con.query(word)
        assert result.tags == [word.upper()] and result.status == "I"
    assert con.query("BEGIN READ WRITE").tags == ["BEGIN"], "lib/pq"


def test_broken_messages(con):
    con.send(wire.message("B", b"x"))
    result = con.until_closed()
    assert result.errors[-1]["C"] == "08P01"


def test_stats_user_is_held_to_show(con):
    c = con.pooler.client("pgbouncer", "stats")
    c.send(wire.parse("SHUTDOWN"), wire.bind(), wire.execute(), wire.sync())
    assert "admin access needed" in c.until_ready().error["M"]
    assert con.pooler.running()


def test_psycopg_with_everything_extended(con):
    """Prepared from the first time on, with binary results, inside and outside of its transactions."""
    conn = con.pooler.psycopg("pgbouncer", "admin", autocommit=False, prepare_threshold=0)
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            for _ in range(3):
                pools = cur.execute("SHOW POOLS").fetchall()
                assert ("p0", "postgres") in [r[:2] for r in pools]
            stats = {r[0]: r for r in cur.execute("SHOW STATS").fetchall()}
            assert stats["p0"][2] >= 1
    conn.commit()
    with conn.cursor() as cur:
        cur.execute("SET query_timeout = 5")
        assert cur.statusmessage == "SET query_timeout=5"
        with pytest.raises(psycopg.errors.ProtocolViolation):
            cur.execute("NONSENSE")
    conn.rollback()


def test_many_consoles_at_once(con):
    errors = []

    def work():
        try:
            c = wire.Conn(con.pooler.port).login("admin", "pgbouncer")
            for i in range(30):
                c.send(wire.parse("SHOW CLIENTS", f"s{i}"), wire.bind("", f"s{i}"), wire.execute("", 2), wire.sync())
                assert not c.until_ready().errors
            c.close()
        except Exception as e:  # kept for the assertion
            errors.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert not errors


def test_random_messages(con):
    """Whole messages with wrong insides: an error, a close, never more than that."""
    rng = random.Random(20261125)
    good = [wire.parse("SHOW LISTS", "s"), wire.bind("p", "s"), wire.describe("S", "s"), wire.describe("P", "p"), wire.execute("p", 3),
            wire.close("P", "p"), wire.sync(), wire.flush(), wire.query("SHOW STATE"), wire.function_call(1, ()),
            wire.copy_data(b"x"), wire.copy_done(), wire.copy_fail("no")]
    for _ in range(150):
        c = wire.Conn(con.pooler.port).login("admin", "pgbouncer")
        for _ in range(rng.randrange(1, 12)):
            message = bytearray(rng.choice(good))
            for _ in range(rng.randrange(3)):
                if len(message) > 5:
                    at = rng.randrange(5, len(message))
                    message[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
            message[1:5] = struct.pack(">I", len(message) - 1)
            try:
                c.send(bytes(message))
            except OSError:
                break
        c.close()
    assert con.query("SHOW STATE").tags == ["SHOW"]
