# SPDX-License-Identifier: ISC
"""advisor explain: needs, indexes, plans without and with the advice."""
import json

import pytest


@pytest.fixture(scope="module")
def database(new_database):
    d = new_database()
    d.sql("CREATE TABLE c (id serial PRIMARY KEY, email text)", "CREATE TABLE o (id serial PRIMARY KEY, c_id int, at timestamptz, total int, note text)",
          "INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 3000) i",
          "INSERT INTO o (c_id, at, total, note) SELECT 1 + i % 3000, timestamptz '2025-01-01' + i * interval '1 min', i, repeat('n', 50)"
          " FROM generate_series(1, 40000) i", "CREATE INDEX o_total ON o (total)")
    d.vacuum()
    return d


STATEMENT = "SELECT o.id, o.total FROM o JOIN c ON c.id = o.c_id WHERE c.email = 'e77' ORDER BY o.at DESC"


def test_text(advisor, database):
    done = advisor("explain", "--dsn", database.dsn, STATEMENT)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    for part in ("o: 40000 rows", "equality  email", "join      c_id", "order     at", "reads     id, c_id, at, total", "index     c_pkey (id)",
                 "Today (cost", "Seq Scan on o", "With the advice (cost", "[new index (c_id", "CREATE INDEX CONCURRENTLY"):
        assert part in out, (part, out)
    assert "o_total" not in out, "nothing wants an index on total"


def test_json_and_costs(advisor, database, costs):
    done = advisor("explain", "--dsn", database.dsn, "--format", "json", *costs, STATEMENT)
    e = json.loads(done.stdout)
    needs = {t["table"]: t["needs"] for t in e["tables"]}
    assert needs["c"]["equality"].startswith("email (") and needs["o"]["join"] == "c_id"
    assert e["cost_with_advice"] < e["cost_today"] / 2 and e["create"] and "Seq Scan" in e["plan_today"]
    assert (e["plan_with_advice"] is None) == bool(costs)


def test_nothing_to_add_and_why(advisor, database):
    out = advisor("explain", "--dsn", database.dsn, "SELECT * FROM c WHERE id = 7").stdout
    assert "No new index" in out and "c_pkey (id), used today" in out
    out = advisor("explain", "--dsn", database.dsn, "SELECT * FROM o WHERE total + 1 = 7").stdout
    assert "arithmetic" in out and "better: move the arithmetic" in out


def test_parameters_are_filled_in(advisor, database):
    out = advisor("explain", "--dsn", database.dsn, "SELECT * FROM o WHERE c_id = $1 LIMIT $2").stdout
    assert "planned as: SELECT * FROM o WHERE c_id = " in out and "$1" not in out.split("planned as:")[1].split("\n")[0]


def test_from_a_snapshot(advisor, database, tmp_path):
    path = tmp_path / "s.json"
    path.write_text(advisor("snapshot", "--dsn", database.dsn).stdout)
    out = advisor("explain", "--snapshot", str(path), STATEMENT).stdout
    assert "CREATE INDEX CONCURRENTLY" in out and "no server was asked" in out
    assert "new index on o (" in out and "the server's plan is shown with --dsn" in out


def test_documents(advisor, database, costs):
    """A part of a document has an index of its own; a function that no index serves has a form that one does."""
    database.sql("CREATE TABLE IF NOT EXISTS d (id serial, doc jsonb)", "TRUNCATE d", "INSERT INTO d (doc) SELECT jsonb_build_object('labels', jsonb_build_array('l' || i % 900,"
                 " 'm' || i % 700), 'text', repeat('t', 40)) FROM generate_series(1, 20000) i", "ANALYZE d")
    for operator, opclass in (("?", ""), ("@>", " jsonb_path_ops")):
        value = "'l7'" if operator == "?" else "'[\"l7\"]'"
        out = advisor("explain", "--dsn", database.dsn, *costs, f"SELECT id FROM d WHERE doc -> 'labels' {operator} {value}").stdout
        script, = [line for line in out.split("\n") if line.startswith("CREATE INDEX")]
        assert script.endswith(f"USING gin ((doc -> 'labels'){opclass});"), out
        before = database.cost(f"SELECT id FROM d WHERE doc -> 'labels' {operator} {value}")
        database.sql(script.replace("CONCURRENTLY d_expr_idx", "there"), "ANALYZE d")
        assert database.cost(f"SELECT id FROM d WHERE doc -> 'labels' {operator} {value}") < before / 2
        out = advisor("explain", "--dsn", database.dsn, *costs, f"SELECT id FROM d WHERE doc -> 'labels' {operator} {value}").stdout
        assert "CREATE INDEX" not in out, "it is there"
        database.sql("DROP INDEX there")
    out = advisor("explain", "--dsn", database.dsn, *costs, "SELECT id FROM d WHERE jsonb_path_exists(doc, '$.labels[*] ? (@ == \"l7\")')").stdout
    assert "the function jsonb_path_exists()" in out and "better: d.doc @? 'path'" in out


@pytest.mark.parametrize("args, code, text", [
    ([], 2, "one statement in quotes"), (["SELECT 1", "SELECT 2"], 2, "one statement in quotes"), (["SELEC 1"], 3, "does not parse"),
    (["SELECT 1; SELECT id FROM c"], 3, "give one statement"), ([""], 3, "no statement"), (["VACUUM"], 3, "no SELECT, INSERT, UPDATE or DELETE"),
    (["SELECT * FROM nowhere"], 3, 'no table "nowhere"'), (["--format", "sql", "SELECT 1"], 2, "must be text or json")])
def test_what_cannot_be_explained(advisor, database, args, code, text):
    done = advisor("explain", "--dsn", database.dsn, *args)
    assert done.returncode == code and text in done.stderr, done.stderr
