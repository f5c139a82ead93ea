# SPDX-License-Identifier: ISC
"""advisor check: what fails a build and what does not; text, JSON and SARIF; advisor diff."""
import json

import pytest

TABLES = """
CREATE TABLE c (id serial PRIMARY KEY, email text);
CREATE TABLE o (id serial PRIMARY KEY, c_id int, total int, note text);
INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 20000) i;
INSERT INTO o (c_id, total, note) SELECT 1 + i % 20000, i, repeat('n', 50) FROM generate_series(1, 40000) i;
CREATE INDEX o_total_note ON o (total, note);
"""


@pytest.fixture(scope="module")
def database(new_database):
    d = new_database()
    d.sql(TABLES)
    d.vacuum()
    return d


@pytest.fixture
def check(advisor, database, tmp_path):
    """check(statements, migration, *options): exit code and problems as (rule, line)."""
    def run(statements=None, migration=None, *options):
        args = ["check", "--dsn", database.dsn, "--format", "json", *options]
        for option, text in (("--sql", statements), ("--migration", migration)):
            if text is not None:
                path = tmp_path / (option.strip("-") + ".sql")
                path.write_text(text)
                args += [option, str(path)]
        done = advisor(*args)
        assert done.returncode in (0, 1), done.stderr
        answer = json.loads(done.stdout)
        assert answer["version"] == 1
        run.answer = answer
        return done.returncode, [(p["rule"], p["line"]) for p in answer["problems"]]
    return run


def test_statement_that_needs_an_index(check):
    assert check("SELECT 1;\nSELECT * FROM o\nWHERE id = 3;\nSELECT id FROM c WHERE email = 'e5'") == (1, [("missing-index", 4)])
    (p,) = check.answer["problems"]
    assert p["file"].endswith("sql.sql") and "c (email)" in p["message"] and "CONCURRENTLY" in p["hint"] and p["level"] == "error"


def test_good_statements_pass(check):
    assert check("SELECT * FROM o WHERE id = 3; SELECT * FROM o WHERE total = 5; INSERT INTO c (email) VALUES ('x')") == (0, [])


def test_a_migration_that_brings_the_index(check):
    statement = "SELECT id FROM c WHERE email = 'e5'"
    assert check(statement, "CREATE INDEX CONCURRENTLY c_email ON c (email)") == (0, [])
    assert check(statement, "CREATE INDEX CONCURRENTLY c_email ON c (lower(email))")[0] == 1


@pytest.mark.parametrize("migration, expected", [
    ("CREATE INDEX CONCURRENTLY i ON o (total)", [("redundant-index", 1)]),
    ("CREATE INDEX CONCURRENTLY i ON o (note)", []),
    ("CREATE INDEX CONCURRENTLY i ON o (total) WHERE note = 'x'", []),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON o (total)", []),
    ("\n\nCREATE INDEX i ON o (note)", [("blocking-create", 3)]),
    ("CREATE TABLE n (a int); CREATE INDEX i ON n (a)", []),
    ("CREATE TABLE n (a int PRIMARY KEY);\nCREATE INDEX i ON n (a)", [("redundant-index", 2)]),
    ("CREATE INDEX CONCURRENTLY i ON o (note); CREATE INDEX CONCURRENTLY k ON o (note, id)", [("redundant-index", 1)]),
    ("DROP INDEX o_pkey", [("drops-needed-index", 1)]),
    ("DROP INDEX nowhere", []),
    ("CREATE INDEX CONCURRENTLY i ON o (total, note, id);\nDROP INDEX o_total_note", []),
    ("ALTER TABLE o ADD CONSTRAINT fk FOREIGN KEY (c_id) REFERENCES c", [("foreign-key-unindexed", 1)]),
    ("ALTER TABLE o ADD FOREIGN KEY (c_id) REFERENCES c (id);\nCREATE INDEX CONCURRENTLY i ON o (c_id)", []),
    ("CREATE TABLE n (id int PRIMARY KEY,\n o_id int REFERENCES o)", [("foreign-key-unindexed", 1)]),
    ("CREATE TABLE n (o_id int PRIMARY KEY REFERENCES o)", []),
    ("ALTER TABLE c ADD COLUMN o_id int REFERENCES o (id)", [("foreign-key-unindexed", 1)]),
    ("CREATE INDEX i ON gone (a)", [("not-checked", 1)]), ("SELEC 1;\nBEGIN; COMMIT", [("not-checked", 1)]),
    ("UPDATE o SET total = 1; ALTER TABLE o ALTER total SET NOT NULL; DROP TABLE IF EXISTS x", []),
])
def test_migrations(check, migration, expected):
    code, found = check(None, migration)
    assert found == expected
    assert code == int(any(p["level"] == "error" for p in check.answer["problems"]))


def test_dropping_what_a_statement_uses(check):
    assert check("SELECT * FROM o WHERE total = 5", "DROP INDEX o_total_note") == (1, [("drops-used-index", 1)])
    assert check("SELECT * FROM o WHERE id = 5", "DROP INDEX o_total_note")[0] == 0


def test_what_is_in_the_database_is_only_noted(check, database):
    database.sql("CREATE INDEX double ON o (total, note)", "CREATE TABLE k (o_id int REFERENCES o, f text)",
                 "INSERT INTO k SELECT i, 'f' FROM generate_series(1, 40000) i", "DELETE FROM o WHERE id > 39999 AND id NOT IN (SELECT o_id FROM k)", "ANALYZE k")
    code, found = check("DELETE FROM c WHERE id = -1; SELECT * FROM o WHERE total + 1 = 5")
    database.sql("DROP INDEX double", "DROP TABLE k")
    assert code == 0 and ("redundant-index-exists", None) in found and ("no-index-helps", 1) in found


def test_level_that_fails(check):
    blocking = "CREATE INDEX i ON o (note)"
    assert check(None, blocking)[0] == 0 and check(None, blocking, "--fail-on", "warning")[0] == 1
    assert check("SELECT * FROM gone", None, "--fail-on", "note")[0] == 1 and check("SELECT * FROM gone", None)[0] == 0
    assert check("SELECT id FROM c WHERE email = 'e5'", None, "--fail-on", "none")[0] == 0


def test_text_form(advisor, database, tmp_path):
    path = tmp_path / "q.sql"
    path.write_text("SELECT 1;\nSELECT id FROM c WHERE email = 'e5'")
    done = advisor("check", "--sql", str(path), "--dsn", database.dsn)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}:2: error: the statement lacks an index on c (email") and "[missing-index]" in done.stdout
    assert done.stdout.endswith("1 errors, 0 warnings, 0 notes\n")


def test_sarif(advisor, database, tmp_path):
    path = tmp_path / "m.sql"
    path.write_text("\nCREATE INDEX i ON o (total)")
    done = advisor("check", "--migration", str(path), "--dsn", database.dsn, "--format", "sarif")
    assert done.returncode == 1
    sarif = json.loads(done.stdout)
    (run,) = sarif["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert sarif["version"] == "2.1.0" and run["tool"]["driver"]["name"] == "poolwise advisor" and len({r["id"] for r in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["level"] in ("error", "warning", "note") and result["message"]["text"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": str(path)}, "region": {"startLine": 2}}


def test_check_from_a_snapshot(advisor, database, tmp_path):
    snapshot, path = tmp_path / "s.json", tmp_path / "q.sql"
    snapshot.write_text(advisor("snapshot", "--dsn", database.dsn).stdout)
    path.write_text("SELECT id FROM c WHERE email = 'e5'")
    done = advisor("check", "--sql", str(path), "--snapshot", str(snapshot))
    assert done.returncode == 1 and "missing-index" in done.stdout


@pytest.mark.parametrize("args, text", [([], "give statements with --sql or --log, or a migration"), (["--sql", "x", "--format", "sql"], "text, json or sarif"),
                                        (["--sql", "x", "--fail-on", "panic"], "none, note, warning or error"), (["--sql", "x", "y"], "not an option")])
def test_wrong_use(advisor, args, text):
    done = advisor("check", *args)
    assert done.returncode == 2 and text in done.stderr
    assert "Exit status" in advisor("check", "--help").stdout


def report(advisor, database, statements, path):
    path.write_text(advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "json", stdin=statements).stdout)
    return str(path)


def test_diff(advisor, database, tmp_path):
    first = report(advisor, database, "SELECT id FROM c WHERE email = 'e5'", tmp_path / "1.json")
    second = report(advisor, database, "SELECT id FROM c WHERE email = 'e5'; SELECT * FROM o WHERE note = 'x'", tmp_path / "2.json")
    done = advisor("diff", first, second)
    assert done.returncode == 1 and "+ create index on public.o using btree (note" in done.stdout and "\n- " not in done.stdout
    done = advisor("diff", second, first)
    assert done.returncode == 0 and "- create index on public.o using btree (note" in done.stdout
    done = advisor("diff", first, first, "--format", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["new"] == [] == json.loads(done.stdout)["gone"]
    answer = json.loads(advisor("diff", first, second, "--format", "json").stdout)
    assert "CREATE INDEX" in answer["new"][0]["ddl"] and answer["cost_before"][1] > answer["cost_before"][0]
    assert answer["changed"] and answer["changed"][0]["gain_now"] < answer["changed"][0]["gain_before"]


@pytest.mark.parametrize("text, why", [("{}", "no report"), ("[", "no report"), ('{"version": 9, "findings": [], "workload": {}}', "another version")])
def test_diff_of_what_is_no_report(advisor, tmp_path, text, why):
    path = tmp_path / "x.json"
    path.write_text(text)
    done = advisor("diff", str(path), str(path))
    assert done.returncode == 3 and why in done.stderr
    assert advisor("diff", str(path)).returncode == 2 and advisor("diff", "/nowhere", str(path)).returncode == 3
