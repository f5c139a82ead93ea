# SPDX-License-Identifier: ISC
"""What many hosts tell: summaries kept in a database, poolers asked over their consoles, and the same answer from every source."""
import glob
import json
import os

import psycopg
import pytest
from conftest import Database

from support.util import wait_until

LOG = "2026-01-02 03:04:0{i}.000 UTC [7] LOG:  duration: {ms}.000 ms  statement: SELECT * FROM t WHERE {column} = {i}\n"


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two hosts whose logs overlap in some texts."""
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "a").write_text("".join(LOG.format(i=i, ms=i + 1, column=c) for i in range(9) for c in ("a", "b", "a")))
    (folder / "b").write_text("".join(LOG.format(i=i, ms=3, column=c) for i in range(4, 8) for c in ("a", "c")) + "x ERROR:  no\nx STATEMENT:  SELECT nothing\n")
    (folder / "s.sql").write_text("CREATE TABLE t (a int, b int, c int);")
    return folder


@pytest.fixture
def store(new_database):
    return new_database(hypopg=False)


def test_the_store_adds_up(advisor, hosts, store):
    for name in "ab":
        assert ok(advisor("collect", "--log", str(hosts / name), "--store", store.dsn, "--origin", name)) == ""
    together = ok(advisor("collect", "--log", str(hosts / "a"), "--log", str(hosts / "b")))
    assert ok(advisor("merge", "--store", store.dsn)) == together
    assert store.sql("SELECT origin FROM poolwise.summary ORDER BY id") == [("a",), ("b",)]
    for form in ("text", "json"):
        reports = [ok(advisor("report", *args, "--schema", str(hosts / "s.sql"), "--format", form)) for args in
                   (("--store", store.dsn), ("--log", str(hosts / "a"), "--log", str(hosts / "b")))]
        assert reports[0] == reports[1]
    # A third one, and one taken away again.
    ok(advisor("collect", "--log", str(hosts / "a"), "--store", store.dsn))
    (hosts / "again").write_text((hosts / "a").read_text())
    assert ok(advisor("merge", "--store", store.dsn)) == ok(advisor("collect", *[str(hosts / name) for name in ("a", "b", "again")]))
    store.sql("DELETE FROM poolwise.summary WHERE origin NOT IN ('a', 'b')")
    assert ok(advisor("merge", "--store", store.dsn)) == together


def test_a_store_without_values_and_without_rights(advisor, hosts, store, pg):
    ok(advisor("collect", "--log", str(hosts / "a"), "--store", store.dsn, "--redact"))
    assert store.sql("SELECT count(*) FROM poolwise.sample WHERE text ~ '= [0-9]'") == [(0,)]
    # A host that may add and not look.
    store.sql("GRANT USAGE ON SCHEMA poolwise TO u_trust", "GRANT INSERT ON ALL TABLES IN SCHEMA poolwise TO u_trust")
    store.sql("GRANT SELECT (id) ON poolwise.summary TO u_trust")
    dsn = pg.dsn(store.name, "u_trust")
    ok(advisor("collect", "--log", str(hosts / "b"), "--store", dsn))
    done = advisor("merge", "--store", dsn)
    assert done.returncode == 4 and "permission denied" in done.stderr
    store.sql("DELETE FROM poolwise.summary")
    assert "holds no summary yet" in advisor("merge", "--store", store.dsn).stderr
    done = advisor("merge", "--store", pg.dsn("postgres"))
    assert done.returncode == 4 and "cannot use the store" in done.stderr


def test_nothing_half_stored(advisor, hosts, store):
    ok(advisor("collect", "--log", str(hosts / "a"), "--store", store.dsn))
    store.sql("ALTER TABLE poolwise.sample ADD CHECK (text NOT LIKE '%c = %')")
    done = advisor("collect", "--log", str(hosts / "b"), "--store", store.dsn)
    assert done.returncode == 4 and "violates check constraint" in done.stderr
    assert store.sql("SELECT count(*) FROM poolwise.summary") == [(1,)]


TABLES = """
CREATE TABLE c (id serial PRIMARY KEY, email text);
CREATE TABLE o (id serial PRIMARY KEY, c_id int, note text);
INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 20000) i;
INSERT INTO o (c_id, note) SELECT 1 + i % 5000, repeat('n', 40) FROM generate_series(1, 30000) i;
"""


def test_every_source_gives_the_same_recommendations(advisor, make_pooler, own_pg_factory, tmp_path):
    """One workload, sent once through a pooler to a server that logs in all its forms."""
    server = own_pg_factory()
    for setting, value in (("logging_collector", "on"), ("log_destination", "'stderr,csvlog,jsonlog'"), ("log_directory", "'log'"), ("log_filename", "'x.log'"),
                           ("log_line_prefix", "'%m [%p] %q%u@%d '"), ("log_file_mode", "'0644'"), ("shared_preload_libraries", "pg_stat_statements")):
        server.sql(f"ALTER SYSTEM SET {setting} = {value}")
    server.stop()
    server.start()
    database = Database(server, "p1")
    database.sql(*[s for s in TABLES.split(";\n") if s.strip()], "CREATE EXTENSION hypopg", "CREATE EXTENSION pg_stat_statements")
    database.vacuum()
    database.sql("SELECT pg_stat_statements_reset()")
    server.sql("ALTER DATABASE p1 SET log_min_duration_statement = 0")
    p = make_pooler(postgres=server, query_log="q.log", query_log_interval=3600)
    statements = [f"SELECT id FROM c WHERE email = 'e{i}'" for i in range(30)]
    with psycopg.connect(p.dsn("p1"), autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)
        for i in range(40):
            conn.execute("SELECT * FROM o WHERE c_id = %s ORDER BY id", (i,), prepare=False)
            statements.append(f"SELECT * FROM o WHERE c_id = {i} ORDER BY id")
    console = p.dsn("pgbouncer", user="admin")
    live = json.loads(ok(advisor("report", "--pooler", console, "--database", "p1", "--dsn", server.dsn("p1"), "--format", "json")))
    other = advisor("report", "--pooler", console, "--database", "other", "--dsn", server.dsn("p1"), "--format", "json")
    assert json.loads(other.stdout)["findings"] == []
    summary = ok(advisor("collect", "--pooler", console))
    p.stop()
    server.sql("ALTER DATABASE p1 SET log_min_duration_statement = -1")
    (tmp_path / "w.sql").write_text(";\n".join(statements))
    (tmp_path / "console.summary").write_text(summary)
    (plain,) = glob.glob(os.path.join(server.data, "log", "x.log"))
    wait_until(lambda: open(plain, encoding="utf-8").read().count("WHERE c_id") >= 40, 10)
    sources = {"console": live}
    for name, args in {"stderr": ("--log", plain), "csv": ("--log", plain.replace(".log", ".csv")), "json": ("--log", plain.replace(".log", ".json")),
                       "pooler": ("--log", os.path.join(p.dir, "q.log")), "summary": ("--log", str(tmp_path / "console.summary")), "statements": ("--pg-stat-statements",),
                       "script": ("--sql", str(tmp_path / "w.sql")), "directory": ("--log", os.path.dirname(plain))}.items():
        sources[name] = json.loads(ok(advisor("report", *args, "--dsn", server.dsn("p1"), "--format", "json")))
    found = {name: sorted((f["kind"], f["table"], json.dumps(f["keys"]), json.dumps(f["include"]), f["where"]) for f in report["findings"]) for name, report in sources.items()}
    assert len(found["stderr"]) == 2 and all(f == found["stderr"] for f in found.values()), found
    calls = {name: sorted((f["table"], sum(q["calls"] for q in f["queries"])) for f in report["findings"]) for name, report in sources.items()}
    assert all(c == [("c", 30), ("o", 40)] for c in calls.values()), calls
    database.conn.close()


def test_a_console_that_is_none(advisor, pg):
    done = advisor("collect", "--pooler", pg.dsn("postgres"))
    assert done.returncode == 4 and "SHOW QUERIES" in done.stderr and "hint" in done.stderr
    done = advisor("collect", "--pooler", "host=127.0.0.1 port=1 dbname=pgbouncer")
    assert done.returncode == 4 and "cannot connect" in done.stderr
