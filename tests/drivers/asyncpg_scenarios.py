# SPDX-License-Identifier: ISC
"""asyncpg. VARIANT: statement_cache_size."""
import asyncio
import io
import os

import asyncpg

from harness import check, main

SIZE = {"statement_cache_size": int(os.environ["VARIANT"])} if os.environ["VARIANT"] else {}
LOOP = asyncio.new_event_loop()


async def connect():
    return await asyncpg.connect(server_settings={"application_name": "drivers"}, ssl=False, **SIZE)


async def code(awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as e:
        return e.sqlstate
    raise AssertionError("no error")


async def s_connect(c, user):
    check((await c.fetchval("SELECT current_user"), await c.fetchval("SHOW application_name")), (user, "drivers"))
    check(c.get_settings().client_encoding, "UTF8")


async def s_parameters(c, _):
    for kind, value in (("text", "ü'\"\\"), ("int", 42), ("bigint", 2 ** 40), ("bool", True), ("float8", 1.5), ("bytea", bytes(range(256))),
                        ("text[]", ["a", "b"]), ("text", None), ("jsonb", '{"a": 1}')):
        check(await c.fetchval(f"SELECT $1::{kind}", value), value)
    row = await c.fetchrow("SELECT i FROM items i LIMIT 1") # a composite type: the driver asks the catalog
    check(row, None)


async def s_settings(c, _):
    await c.execute("SET work_mem = '7MB'")
    await c.execute("SET TimeZone = 'Asia/Tokyo'")
    for _ in range(10):
        check((await c.fetchval("SHOW work_mem"), await c.fetchval("SHOW TimeZone")), ("7MB", "Asia/Tokyo"))
    await c.reset()
    check(await c.fetchval("SHOW TimeZone"), "UTC")
    check(await c.fetchval("SHOW application_name"), "drivers") # what the start-up packet asked for


async def s_prepared(c, _):
    a, b = await c.prepare("SELECT $1::int + 1"), await c.prepare("SELECT $1::text || 'x'")
    for i in range(20):
        check((await a.fetchval(i), await b.fetchval(str(i))), (i + 1, f"{i}x"))
        check(await c.fetchval("SELECT $1::int + 2", i), i + 2)
    del a # the driver closes it with its next request
    check(await b.fetchval("y"), "yx")
    check(len(b.get_attributes()), 1)


async def s_batch(c, _):
    await c.executemany("INSERT INTO items (name, n) VALUES ($1, $2)", [(f"b{i}", i) for i in range(5000)])
    check(await code(c.executemany("INSERT INTO items (name, n) VALUES ($1, 1 / $2::int)", [(f"c{i}", i - 50) for i in range(100)])), "22012")
    check(await code(c.execute("SELECT 1; SELECT 1/0; SELECT 2")), "22012")
    check(await c.execute("DELETE FROM items"), "DELETE 5000")


async def s_transactions(c, _):
    async with c.transaction(isolation="serializable"):
        check(await c.fetchval("SHOW transaction_isolation"), "serializable")
        await c.execute("INSERT INTO items (name) VALUES ('kept')")
        inner = c.transaction()
        await inner.start()
        await c.execute("INSERT INTO items (name) VALUES ('undone')")
        await inner.rollback()
    outer = c.transaction()
    await outer.start()
    await c.execute("INSERT INTO items (name) VALUES ('gone')")
    check(await code(c.fetchval("SELECT 1/0")), "22012")
    check(await code(c.fetchval("SELECT 1")), "25P02")
    await outer.rollback()
    check(await c.fetchval("SELECT string_agg(name, ',') FROM items"), "kept")
    check(await c.execute("DELETE FROM items"), "DELETE 1")


async def s_cursor(c, _):
    async with c.transaction():
        total = 0
        async for row in c.cursor("SELECT generate_series(1, $1::int)", 1000, prefetch=100):
            total += row[0]
        check(total, 500500)
        cur = await c.cursor("SELECT generate_series(1, 10)")
        check([r[0] for r in await cur.fetch(3)], [1, 2, 3])
        check(await cur.forward(2), 2)


async def s_copy(c, _):
    await c.copy_records_to_table("copied", records=[(i, "row") for i in range(1000)])
    out = io.BytesIO()
    await c.copy_from_query("SELECT a FROM copied WHERE a < $1", 500, output=out)
    check(len(out.getvalue().splitlines()), 500)
    check(await code(c.copy_to_table("copied", source=io.BytesIO(b"rubbish\trow\n"))), "22P02")
    check(await c.execute("DELETE FROM copied"), "DELETE 1000")


async def s_cancel(c, _):
    task = asyncio.ensure_future(c.execute("SELECT pg_sleep(60)"))
    other = await connect()
    while not await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                                   " AND datname = current_database()"):
        await asyncio.sleep(0.01)
    await other.close()
    task.cancel() # asyncpg sends a cancel request
    try:
        await task
        raise AssertionError("not cancelled")
    except asyncio.CancelledError:
        pass
    check(await c.fetchval("SELECT 1"), 1)
    try:
        await c.execute("SELECT pg_sleep(61)", timeout=0.2)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    check(await c.fetchval("SELECT 2"), 2)


async def s_notices(c, _):
    heard = []
    c.add_log_listener(lambda _c, m: heard.append(m.message))
    check(await c.fetchval("SELECT loud($1)", "asyncpg"), "asyncpg")
    await asyncio.sleep(0)
    check(heard, ["hear asyncpg"])


async def s_notify(c, _):
    heard = LOOP.create_future()
    listener = lambda _c, _pid, channel, payload: heard.set_result((channel, payload))
    await c.add_listener("chan", listener)
    other = await connect()
    await other.execute("SELECT pg_notify('chan', $1)", "hello")
    check(await asyncio.wait_for(heard, 10), ("chan", "hello"))
    await c.remove_listener("chan", listener)
    await other.close()


async def s_large(c, _):
    text = "x" * 10_000_000
    check(await c.fetchval("SELECT $1::text", text) == text, True)
    check(len(await c.fetch("SELECT generate_series(1, 50000)")), 50000)


async def s_errors(c, _):
    check([await code(c.fetch(t)) for t in ("SELEKT", "INSERT INTO items (name) VALUES ('twice'), ('twice')", "SELECT 1/0")],
          ["42601", "23505", "22012"])
    await c.execute("SET statement_timeout = 100")
    check(await code(c.fetch("SELECT pg_sleep(60)")), "57014")
    check(await c.fetchval("SELECT 1"), 1)


async def s_ddl(c, _):
    await c.execute("CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)")
    other = await connect()
    for columns in (1, 2, 3):
        for _ in range(8):
            for _ in range(3): # what the driver had cached fails as on a direct connection
                try:
                    row = await c.fetchrow("SELECT * FROM wide")
                    break
                except (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError):
                    row = None
            check(row and len(row), columns)
        await other.execute(f"ALTER TABLE wide ADD b{columns} int")
    await other.close()


async def s_session(c, _):
    await c.execute("CREATE TEMP TABLE mine (a int)")
    await c.execute("INSERT INTO mine VALUES ($1)", 8)
    check(await c.fetchval("SELECT a FROM mine"), 8)
    await c.execute("DROP TABLE mine")
    await c.execute("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT")
    check([r[0] for r in await c.fetch("FETCH 2 FROM h")], [1, 2])
    check([r[0] for r in await c.fetch("FETCH ALL FROM h")], [3])
    await c.execute("CLOSE h")
    other = await connect()
    check(await c.fetchval("SELECT pg_try_advisory_lock(77)"), True)
    check(await other.fetchval("SELECT pg_try_advisory_lock(77)"), False)
    check(await c.fetchval("SELECT pg_advisory_unlock(77)"), True)
    check(await other.fetchval("SELECT pg_try_advisory_lock(77)"), True)
    await other.close()


async def s_reconnect(c, _):
    try:
        await c.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        raise AssertionError("no error")
    except (asyncpg.PostgresError, ConnectionError, asyncpg.InterfaceError):
        pass
    again = await connect()
    check(await again.fetchval("SELECT 1"), 1)
    await again.close()


async def s_servers(c, _):
    return len({await c.fetchval("SELECT pg_backend_pid()") for _ in range(30)})


class Blocking:
    """What harness.main calls: a connection whose scenarios run in the loop."""

    def __init__(self):
        self.conn = LOOP.run_until_complete(connect())

    def close(self):
        LOOP.run_until_complete(self.conn.close(timeout=10))


def blocking(fn):
    return lambda c, user: LOOP.run_until_complete(fn(c.conn, user))


main({k: blocking(v) for k, v in list(globals().items()) if k.startswith("s_")}, Blocking)
