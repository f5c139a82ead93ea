# SPDX-License-Identifier: ISC
"""psycopg2. VARIANT is not used: it has one way to talk to the server (simple queries)."""
import io
import select
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from harness import check, main, raises


def connect(autocommit=True):
    c = psycopg2.connect(application_name="drivers")
    c.autocommit = autocommit
    return c


def one(c, text, args=None):
    with c.cursor() as cur:
        cur.execute(text, args)
        return cur.fetchone()[0]


def code(fn):
    return raises(psycopg2.Error, fn).pgcode


def s_connect(c, user):
    check((one(c, "SELECT current_user"), one(c, "SHOW application_name")), (user, "drivers"))
    check(c.info.parameter_status("client_encoding"), "UTF8")


def s_parameters(c, _):
    for value in ("ü'\"\\", 42, 2 ** 40, None, True, 1.5, ["a", "b"]):
        check(one(c, "SELECT %s", (value,)), value)
    check(bytes(one(c, "SELECT %s::bytea", (psycopg2.Binary(bytes(range(256))),))), bytes(range(256)))


def s_settings(c, _):
    with c.cursor() as cur:
        cur.execute("SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'")
    for _ in range(10):
        check((one(c, "SHOW work_mem"), one(c, "SHOW TimeZone")), ("7MB", "Asia/Tokyo"))
    c.set_client_encoding("LATIN1")
    check(one(c, "SELECT %s", ("ü",)), "ü")
    check(one(c, "SHOW client_encoding"), "LATIN1")


def s_prepared(c, _):
    with c.cursor() as cur:
        cur.execute("PREPARE a(int) AS SELECT $1 + 1; PREPARE b(text) AS SELECT $1 || 'x'")
    for i in range(20):
        check((one(c, "EXECUTE a(%s)", (i,)), one(c, "EXECUTE b(%s)", (str(i),))), (i + 1, f"{i}x"))
    with c.cursor() as cur:
        cur.execute("DEALLOCATE ALL")
    check(code(lambda: one(c, "EXECUTE a(1)")), "26000")


def s_batch(c, _):
    with c.cursor() as cur:
        psycopg2.extras.execute_batch(cur, "INSERT INTO items (name, n) VALUES (%s, %s)", [(f"b{i}", i) for i in range(200)])
        psycopg2.extras.execute_values(cur, "INSERT INTO items (name, n) VALUES %s", [(f"v{i}", i) for i in range(200)])
        check(code(lambda: cur.execute("SELECT 1; SELECT 1/0; SELECT 2")), "22012")
        cur.execute("DELETE FROM items")
        check(cur.rowcount, 400)


def s_transactions(c, _):
    c.autocommit = False
    c.set_session(isolation_level="SERIALIZABLE")
    check(one(c, "SHOW transaction_isolation"), "serializable")
    with c.cursor() as cur:
        cur.execute("INSERT INTO items (name) VALUES ('gone')")
        c.rollback()
        cur.execute("INSERT INTO items (name) VALUES ('kept')")
        cur.execute("SAVEPOINT s")
        cur.execute("INSERT INTO items (name) VALUES ('undone')")
        cur.execute("ROLLBACK TO s")
        c.commit()
        check(one(c, "SELECT string_agg(name, ',') FROM items"), "kept")
        check(code(lambda: cur.execute("SELECT 1/0")), "22012")
        check(code(lambda: cur.execute("SELECT 1")), "25P02")
        c.rollback()
        cur.execute("DELETE FROM items")
        c.commit()


def s_cursor(c, _):
    c.autocommit = False
    with c.cursor("named") as cur:
        cur.itersize = 100
        cur.execute("SELECT generate_series(1, 1000)")
        check(sum(r[0] for r in cur), 500500)
    c.commit()


def s_copy(c, _):
    with c.cursor() as cur:
        cur.copy_expert("COPY copied FROM STDIN", io.StringIO("".join(f"{i}\trow\n" for i in range(1000))))
        out = io.StringIO()
        cur.copy_expert("COPY copied TO STDOUT", out)
        check(len(out.getvalue().splitlines()), 1000)
        check(code(lambda: cur.copy_expert("COPY copied FROM STDIN", io.StringIO("rubbish\trow\n"))), "22P02")
        cur.execute("DELETE FROM copied")
        check(cur.rowcount, 1000)


def s_cancel(c, _):
    def later():
        other = connect()
        while not one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                             " AND datname = current_database()"):
            time.sleep(0.01)
        c.cancel()
        other.close()
    t = threading.Thread(target=later)
    t.start()
    check(code(lambda: one(c, "SELECT pg_sleep(60)")), "57014")
    t.join()
    check(one(c, "SELECT 1"), 1)


def s_notices(c, _):
    check(one(c, "SELECT loud('psycopg2')"), "psycopg2")
    check([n.strip() for n in c.notices], ["NOTICE:  hear psycopg2"])


def s_notify(c, _):
    other = connect()
    with c.cursor() as cur, other.cursor() as o:
        cur.execute("LISTEN chan")
        o.execute("NOTIFY chan, 'hello'")
        select.select([c], [], [], 10)
        c.poll()
        check([n.payload for n in c.notifies], ["hello"])
        cur.execute("UNLISTEN chan")
    other.close()


def s_large(c, _):
    text = "x" * 10_000_000
    check(one(c, "SELECT %s", (text,)) == text, True)
    with c.cursor() as cur:
        cur.execute("SELECT generate_series(1, 50000)")
        check(len(cur.fetchall()), 50000)


def s_errors(c, _):
    check([code(lambda t=t: one(c, t)) for t in ("SELEKT", "INSERT INTO items (name) VALUES ('twice'), ('twice')", "SELECT 1/0")],
          ["42601", "23505", "22012"])
    one(c, "SELECT set_config('statement_timeout', '100', false)")
    check(code(lambda: one(c, "SELECT pg_sleep(60)")), "57014")
    check(one(c, "SELECT 1"), 1)


def s_ddl(c, _):
    with c.cursor() as cur:
        cur.execute("CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)")
        for columns in (1, 2, 3):
            cur.execute("SELECT * FROM wide")
            check(len(cur.fetchone()), columns)
            cur.execute(f"ALTER TABLE wide ADD b{columns} int")


def s_session(c, _):
    other = connect()
    with c.cursor() as cur:
        cur.execute("CREATE TEMP TABLE mine (a int)")
        cur.execute("INSERT INTO mine VALUES (8)")
        check(one(c, "SELECT a FROM mine"), 8)
        cur.execute("DROP TABLE mine")
        c.autocommit = False
        held = c.cursor("held", withhold=True)
        held.execute("SELECT generate_series(1, 3)")
        c.commit()
        check([r[0] for r in held.fetchmany(2)], [1, 2])
        c.commit()
        check([r[0] for r in held.fetchall()], [3])
        held.close()
        c.commit()
        c.autocommit = True
    check(one(c, "SELECT pg_try_advisory_lock(77)"), True)
    check(one(other, "SELECT pg_try_advisory_lock(77)"), False)
    check(one(c, "SELECT pg_advisory_unlock(77)"), True)
    check(one(other, "SELECT pg_try_advisory_lock(77)"), True)
    other.close()


def s_reconnect(c, _):
    raises(psycopg2.Error, lambda: one(c, "SELECT pg_terminate_backend(pg_backend_pid())"))
    check(c.closed != 0, True)
    again = connect()
    check(one(again, "SELECT 1"), 1)
    again.close()


def s_servers(c, _):
    return len({one(c, "SELECT pg_backend_pid()") for _ in range(30)})


main(globals(), connect)
