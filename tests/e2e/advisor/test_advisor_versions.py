# SPDX-License-Identifier: ISC
"""Other PostgreSQL versions, without HypoPG: every command reads their catalogs. The servers come from npm."""
import json

import pytest
import schema
from conftest import Database

from support.npm_postgres import VERSIONS, NpmPostgres, Unavailable

TABLES = """
CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, twice text GENERATED ALWAYS AS (email || email) STORED);
CREATE TABLE o (id bigserial PRIMARY KEY, c_id int NOT NULL REFERENCES c, at timestamptz, tags text[], doc jsonb);
CREATE TABLE p (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 5000) i;
INSERT INTO o (c_id, at, tags, doc) SELECT 1 + i % 5000, timestamptz '2025-01-01' + i * interval '1 min', ARRAY['a'], '{}' FROM generate_series(1, 30000) i;
INSERT INTO p SELECT i, date '2025-01-01' + i % 360 FROM generate_series(1, 20000) i;
CREATE INDEX o_at ON o (at); CREATE INDEX o_at_again ON o (at);
CREATE MATERIALIZED VIEW m AS SELECT * FROM o;
CREATE STATISTICS s ON c_id, at FROM o;
"""
STATEMENTS = ("SELECT id FROM c WHERE email = $1; SELECT * FROM o WHERE c_id = 7 ORDER BY at DESC LIMIT 5; SELECT * FROM p WHERE id = $1;"
              "SELECT count(*) FROM m WHERE c_id = 5; DELETE FROM c WHERE id = 5; UPDATE o SET at = now() WHERE id = $1")


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def server(request, tmp_path_factory):
    try:
        programs = NpmPostgres(request.param, tmp_path_factory.mktemp("npm-pg"))
    except Unavailable as e:
        pytest.skip(str(e))
    try:
        yield programs.postgres.create()
    finally:
        programs.remove()


@pytest.fixture(scope="module")
def database(server):
    d = Database(server, "p0")
    d.sql(*[s for s in TABLES.split(";\n") if s.strip()])
    d.vacuum()
    yield d
    d.conn.close()


def test_report(database, advise, server):
    advice = advise(database, STATEMENTS)
    assert advice.report["server_version"].startswith(tuple(VERSIONS)) and schema.problems(advice.report) == []
    assert advice.report["cost_source"] == "model" and any("hypopg" in n for n in advice.report["notes"])
    assert advice.report["skipped"] == []
    assert {f["table"] for f in advice.creates()} >= {"c", "o", "p", "m"}
    assert advice.drops()["o_at_again"] == "drop_duplicate"
    for f in advice.creates():
        for statement in f["script"]:
            database.sql(statement)
        for statement in f["undo_script"]:
            database.sql(statement)


def test_other_commands(database, advisor, tmp_path):
    snapshot = tmp_path / "s.json"
    done = advisor("snapshot", "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    snapshot.write_text(done.stdout)
    assert json.loads(done.stdout)["tables"]
    assert "CREATE INDEX" in advisor("report", "--sql", "-", "--snapshot", str(snapshot), stdin=STATEMENTS).stdout
    assert "CREATE INDEX" in advisor("explain", "--dsn", database.dsn, "SELECT * FROM o WHERE c_id = 7").stdout
    migration = tmp_path / "m.sql"
    migration.write_text("CREATE INDEX CONCURRENTLY i ON o (at)")
    assert advisor("check", "--migration", str(migration), "--dsn", database.dsn).returncode == 1
    done = advisor("verify", "--sql", "-", "--scratch-dsn", database.dsn, stdin=STATEMENTS)
    assert done.returncode == 0 and "Everything was taken back" in done.stdout, done.stdout + done.stderr
