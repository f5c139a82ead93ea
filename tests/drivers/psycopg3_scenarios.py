# SPDX-License-Identifier: ISC
"""psycopg 3. VARIANT: prepare_threshold, or 'none'."""
import os
import threading
import time

import psycopg

from harness import check, main, raises

THRESHOLD = None if os.environ["VARIANT"] == "none" else int(os.environ["VARIANT"])


def connect(autocommit=True):
    return psycopg.connect("application_name=drivers", autocommit=autocommit, prepare_threshold=THRESHOLD)


def one(c, text, args=None, **more):
    return c.execute(text, args, **more).fetchone()[0]


def code(fn):
    return raises(psycopg.Error, fn).sqlstate


def s_connect(c, user):
    check((one(c, "SELECT current_user"), one(c, "SHOW application_name")), (user, "drivers"))
    check(c.info.parameter_status("client_encoding"), "UTF8")


def s_parameters(c, _):
    for binary in (False, True):
        for value in ("ü'\"\\", 42, 2 ** 40, True, 1.5, bytes(range(256)), [1, 2]):
            check(c.cursor(binary=binary).execute("SELECT %s", (value,)).fetchone()[0], value)
    check(one(c, "SELECT %s::text", (None,)), None)


def s_settings(c, _):
    c.execute("SET work_mem = '7MB'")
    c.execute("SET TimeZone = 'Asia/Tokyo'")
    for _ in range(10):
        check((one(c, "SHOW work_mem"), one(c, "SHOW TimeZone")), ("7MB", "Asia/Tokyo"))
    c.execute("SET client_encoding = 'LATIN1'")
    check(one(c, "SELECT %s", ("ü",)), "ü")
    check(c.info.encoding, "iso8859-1")


def s_prepared(c, _):
    more = {} if THRESHOLD is None else {"prepare": True}
    for i in range(20):
        check((one(c, "SELECT %s::int + 1", (i,)), one(c, "SELECT %s::text || 'x'", (str(i),), **more)), (i + 1, f"{i}x"))
    c.prepared_max = 2 # the driver now deallocates by SQL
    for i in range(40):
        check(one(c, f"SELECT %s::int + {i % 5}", (i,), **more), i + i % 5)
    if THRESHOLD is None:
        c.execute("PREPARE own AS SELECT 7")
        c.execute("DEALLOCATE ALL")
        check(code(lambda: c.execute("EXECUTE own")), "26000")


def s_batch(c, _):
    if not psycopg.Pipeline.is_supported():
        c.cursor().executemany("INSERT INTO items (name, n) VALUES (%s, %s)", [(f"b{i}", i) for i in range(200)])
        return
    with c.pipeline():
        got = [c.execute("SELECT %s::int", (i,)) for i in range(50)]
        c.cursor().executemany("INSERT INTO items (name, n) VALUES (%s, %s)", [(f"b{i}", i) for i in range(200)])
    check([g.fetchone()[0] for g in got], list(range(50)))

    def failing():
        with c.pipeline():
            c.execute("INSERT INTO items (name) VALUES ('first')")
            c.execute("SELECT 1/0")
            c.execute("INSERT INTO items (name) VALUES ('last')")
    check(code(failing), "22012")
    check(c.execute("DELETE FROM items").rowcount >= 200, True)


def s_transactions(c, _):
    c.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with c.transaction():
        check(one(c, "SHOW transaction_isolation"), "serializable")
        c.execute("INSERT INTO items (name) VALUES ('kept')")
        with c.transaction() as inner:
            c.execute("INSERT INTO items (name) VALUES ('undone')")
            raise psycopg.Rollback(inner)
    with c.transaction() as outer:
        c.execute("INSERT INTO items (name) VALUES ('gone')")
        raise psycopg.Rollback(outer)
    check(one(c, "SELECT string_agg(name, ',') FROM items"), "kept")
    c.execute("BEGIN")
    check(code(lambda: c.execute("SELECT 1/0")), "22012")
    check(code(lambda: c.execute("SELECT 1")), "25P02")
    c.execute("ROLLBACK")
    check(c.execute("DELETE FROM items").rowcount, 1)


def s_cursor(c, _):
    with c.transaction(), c.cursor("named") as cur:
        cur.itersize = 100
        cur.execute("SELECT generate_series(1, %s)", (1000,))
        check(sum(r[0] for r in cur), 500500)
    check(sum(r[0] for r in c.cursor().stream("SELECT generate_series(1, 1000)")), 500500)


def s_copy(c, _):
    cur = c.cursor()
    with cur.copy("COPY copied FROM STDIN") as copy:
        for i in range(1000):
            copy.write_row((i, "row"))
    with cur.copy("COPY copied TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        check(sum(1 for _ in copy.rows()), 1000)

    def bad():
        with cur.copy("COPY copied FROM STDIN") as copy:
            copy.write("rubbish\trow\n")
    check(code(bad), "22P02")

    def given_up():
        with cur.copy("COPY copied FROM STDIN") as copy:
            copy.write("1\trow\n")
            raise ZeroDivisionError
    raises(Exception, given_up)
    check(c.execute("DELETE FROM copied").rowcount, 1000)


def s_cancel(c, _):
    def later():
        with connect() as other:
            while not one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                                 " AND datname = current_database()"):
                time.sleep(0.01)
            c.cancel()
    t = threading.Thread(target=later)
    t.start()
    check(code(lambda: one(c, "SELECT pg_sleep(60)")), "57014")
    t.join()
    check(one(c, "SELECT 1"), 1)


def s_notices(c, _):
    heard = []
    c.add_notice_handler(lambda d: heard.append(d.message_primary))
    check(one(c, "SELECT loud(%s)", ("psycopg",)), "psycopg")
    check(heard, ["hear psycopg"])


def s_notify(c, _):
    c.execute("LISTEN chan")
    with connect() as other:
        other.execute("SELECT pg_notify('chan', %s)", ("hello",))
        check(next(c.notifies()).payload, "hello")
    c.execute("UNLISTEN chan")


def s_large(c, _):
    text = "x" * 10_000_000
    check(one(c, "SELECT %s", (text,)) == text, True)
    check(len(c.execute("SELECT generate_series(1, 50000)").fetchall()), 50000)


def s_errors(c, _):
    check([code(lambda t=t: c.execute(t)) for t in ("SELEKT", "INSERT INTO items (name) VALUES ('twice'), ('twice')", "SELECT 1/0")],
          ["42601", "23505", "22012"])
    c.execute("SET statement_timeout = 100")
    check(code(lambda: one(c, "SELECT pg_sleep(60)")), "57014")
    check(one(c, "SELECT 1"), 1)


def s_ddl(c, _):
    c.execute("CREATE TABLE wide (a int)")
    c.execute("INSERT INTO wide VALUES (1)")
    with connect() as other:
        for columns in (1, 2, 3):
            for _ in range(8):
                c = right_width(c, columns)
            other.execute(f"ALTER TABLE wide ADD b{columns} int")


def right_width(c, columns):
    """Only the error that a direct connection gives after ALTER TABLE may come; the driver keeps the statement then until the
    connection ends. The connection to go on with."""
    try:
        check(len(c.execute("SELECT * FROM wide").fetchone()), columns)
        return c
    except psycopg.errors.FeatureNotSupported:
        c.close()
        return connect()


def s_session(c, _):
    c.execute("CREATE TEMP TABLE mine (a int)")
    c.execute("INSERT INTO mine VALUES (8)")
    check(one(c, "SELECT a FROM mine"), 8)
    c.execute("DROP TABLE mine")
    with connect() as other:
        with c.cursor("held", withhold=True) as held:
            held.execute("SELECT generate_series(1, 3)")
            check([r[0] for r in held.fetchmany(2)], [1, 2])
            check([r[0] for r in held.fetchall()], [3])
        check(one(c, "SELECT pg_try_advisory_lock(77)"), True)
        check(one(other, "SELECT pg_try_advisory_lock(77)"), False)
        check(one(c, "SELECT pg_advisory_unlock(77)"), True)
        check(one(other, "SELECT pg_try_advisory_lock(77)"), True)


def s_reconnect(c, _):
    raises(psycopg.OperationalError, lambda: c.execute("SELECT pg_terminate_backend(pg_backend_pid())").fetchone())
    check(c.broken, True)
    with connect() as again:
        check(one(again, "SELECT 1"), 1)


def s_servers(c, _):
    return len({one(c, "SELECT pg_backend_pid()") for _ in range(30)})


main(globals(), connect)
