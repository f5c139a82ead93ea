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


def dumped(database, tmp_path, *statements):
    database.sql(*statements)
    path = tmp_path / "schema.sql"
    path.write_text(subprocess.run([f"{bindir()}/pg_dump", "--schema-only", "-d", database.dsn], capture_output=True, text=True, check=True).stdout)
    return str(path)


def advice_from(advisor, path, statements):
    done = advisor("report", "--schema", path, "--sql", "-", "--format", "json", stdin=statements)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_that_a_dump_tells(new_database, advisor, tmp_path):
    """Types, partitions, heirs and views of a dump; what is advised can be built in the database that it came from."""
    database = new_database(hypopg=False)
    path = dumped(database, tmp_path, "CREATE SCHEMA lib", "CREATE EXTENSION pg_trgm", "CREATE TYPE lib.state AS ENUM ('new', 'old', 'gone')",
                  "CREATE TABLE lib.doc (id serial PRIMARY KEY, state lib.state NOT NULL, tags text[], during daterange, title text, owner int, doc jsonb, gone date)",
                  "CREATE VIEW lib.fresh AS SELECT d.* FROM lib.doc d WHERE d.state = 'new'",
                  "CREATE MATERIALIZED VIEW lib.stat AS SELECT owner, count(*) AS n FROM lib.doc GROUP BY owner",
                  "CREATE INDEX there ON lib.doc ((doc ->> 'key'))", "CREATE INDEX partly ON lib.doc (title) WHERE state = 'gone'",
                  "CREATE TABLE entry (tenant int, at date NOT NULL, ref uuid) PARTITION BY RANGE (at)",
                  "CREATE TABLE entry_1 PARTITION OF entry FOR VALUES FROM ('2025-01-01') TO ('2025-02-01') PARTITION BY HASH (tenant)",
                  "CREATE TABLE entry_1_0 PARTITION OF entry_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    report = advice_from(advisor, path, "SELECT id FROM lib.doc WHERE tags @> ARRAY['a']; SELECT id FROM lib.doc WHERE title ILIKE '%word%';"
                         "SELECT id FROM doc WHERE during @> date '2025-01-01'; SELECT title FROM lib.fresh WHERE owner = 5; SELECT * FROM lib.stat WHERE owner = 7;"
                         "SELECT id FROM lib.doc WHERE doc ->> 'key' = 'x'; SELECT * FROM lib.doc WHERE title = 'x' AND state = 'gone';"
                         "SELECT at FROM entry WHERE ref = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'; SELECT id FROM lib.doc WHERE gone IS NULL AND owner = 3")
    assert report["skipped"] == []
    creates = [f for f in report["findings"] if f["kind"] == "create"]
    told = {(f["table"], f["method"], f["keys"][0].get("column") or f["keys"][0]["expression"]) for f in creates}
    assert {("doc", "gin", "tags"), ("doc", "gin", "title"), ("doc", "gist", "during"), ("doc", "btree", "owner"), ("stat", "btree", "owner"),
            ("entry", "btree", "ref")} <= told
    assert ("doc", "btree", "title") not in told and not any("doc ->>" in k for _, _, k in told), "they are there"
    assert all(f["where"] is None for f in creates), "nobody knows how many rows a condition leaves"
    assert not any(h["kind"] == "analyze" for h in report["health"])
    database.sql(*[s for f in creates for s in f["script"] if s.startswith(("CREATE", "ALTER INDEX"))])
    assert database.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


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
