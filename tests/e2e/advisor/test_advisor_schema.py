# SPDX-License-Identifier: ISC
"""Advice from a schema alone: what pg_dump writes, without a server and without statistics."""
import json
import subprocess

import pytest

from support.postgres import bindir

TABLES = """
CREATE TABLE c (id serial PRIMARY KEY, email text NOT NULL UNIQUE, name varchar(40), active boolean);
CREATE TABLE o (id bigserial PRIMARY KEY, c_id int NOT NULL REFERENCES c, at timestamptz, total numeric(10,2), note text);
CREATE TABLE "Odd Name" ("a b" int, at date) PARTITION BY RANGE (at);
CREATE INDEX o_total ON o (total);
CREATE INDEX o_total_again ON o (total);
CREATE VIEW v AS SELECT * FROM o;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""
STATEMENTS = ("SELECT * FROM o WHERE c_id = $1 ORDER BY at DESC LIMIT 10; SELECT id FROM c WHERE name = 'x'; SELECT * FROM c WHERE email = 'e';"
              "SELECT 1 FROM o WHERE total = 5; DELETE FROM c WHERE id = $1; SELECT * FROM c WHERE active")


@pytest.fixture
def dump(new_database, tmp_path):
    database = new_database(hypopg=False)
    database.sql(*[s for s in TABLES.split(";\n") if s.strip()])
    out = subprocess.run([f"{bindir()}/pg_dump", "--schema-only", "-d", database.dsn], capture_output=True, text=True, check=True)
    path = tmp_path / "schema.sql"
    path.write_text("\\restrict 9Yu6dQqkzY\n\n" + out.stdout)  # as newer ones begin
    return str(path)


def test_advice_from_a_dump(dump, advisor):
    done = advisor("report", "--schema", dump, "--sql", "-", "--format", "json", stdin=STATEMENTS)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    creates = {(f["table"], tuple(k["column"] for k in f["keys"])) for f in report["findings"] if f["kind"] == "create"}
    assert ("o", ("c_id", "at")) in creates and ("c", ("name",)) in creates
    assert not any(t == "c" and k[0] in ("id", "email", "active") for t, k in creates), "keys are there, a flag is no help"
    assert not any(t == "o" and k[0] == "total" for t, k in creates)
    assert all(f["confidence"] == "low" for f in report["findings"] if f["kind"] == "create")
    assert {(f["kind"], f["index"]) for f in report["findings"] if f["kind"] != "create"} == {("drop_duplicate", "o_total_again")}
    assert any("sizes and values are assumed" in n for n in report["notes"]) and report["skipped"] == []


def test_check_and_explain(dump, advisor, tmp_path):
    migration = tmp_path / "m.sql"
    migration.write_text("CREATE INDEX CONCURRENTLY x ON o (c_id, at);\nCREATE INDEX y ON public.o (total)")
    done = advisor("check", "--schema", dump, "--sql", "-", "--migration", str(migration), stdin="SELECT * FROM o WHERE c_id = 1 ORDER BY at")
    assert done.returncode == 1 and ":2: error: the index y" in done.stdout and "missing-index" not in done.stdout, done.stdout
    assert "CREATE INDEX CONCURRENTLY" in advisor("explain", "--schema", dump, "SELECT * FROM o WHERE c_id = 7").stdout


@pytest.mark.parametrize("text, why", [("", "makes no table"), ("SELECT 1", "makes no table"), ("CREATE TABEL x (a int)", "does not parse")])
def test_what_is_no_schema(advisor, tmp_path, text, why):
    path = tmp_path / "s.sql"
    path.write_text(text)
    done = advisor("report", "--schema", str(path), "--sql", "-", stdin="SELECT 1")
    assert done.returncode == 3 and why in done.stderr
    done = advisor("report", "--schema", str(path), "--snapshot", "x", "--sql", "-", stdin="SELECT 1")
    assert done.returncode == 2 and "only one of" in done.stderr
