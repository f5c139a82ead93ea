# SPDX-License-Identifier: ISC
"""The command line: help, errors with a way out, exit codes, forms of the report, the query log as input."""
import json
import os

import pytest


@pytest.fixture(scope="module")
def database(new_database):
    d = new_database()
    d.sql("CREATE TABLE t (id serial PRIMARY KEY, a int, b text)",
          "INSERT INTO t (a, b) SELECT i, 'b' || i FROM generate_series(1, 30000) i", "VACUUM ANALYZE t")
    return d


def test_help_and_version(advisor):
    done = advisor("--help")
    assert done.returncode == 0 and "Examples:" in done.stdout and "--budget" in done.stdout and "Exit status" in done.stdout
    assert advisor("--version").stdout.startswith("advisor (Poolwise) ")


@pytest.mark.parametrize("args, text", [
    ([], "say what to do"), (["repot"], 'unknown command "repot"'), (["report"], "no workload"),
    (["snapshot", "x.sql"], '"x.sql" is not an option'), (["report", "--budget", "lots", "--sql", "x"], "500MB"),
    (["report", "--format", "yaml", "--sql", "x"], "text, json or sql"), (["report", "--max-indexes", "0", "--sql", "x"], "above 0"),
    (["report", "--min-gain", "101", "--sql", "x"], "0 to 100"), (["report", "--bugdet", "1"], "--bugdet"),
])
def test_wrong_options(advisor, args, text):
    done = advisor(*args)
    command = f"{args[0]} " if args and args[0] != "repot" else ""
    assert done.returncode == 2 and text in done.stderr and f'see "advisor {command}--help"' in done.stderr and not done.stdout


def test_unreadable_input(advisor, tmp_path, database):
    assert "No such file" in advisor("report", "--sql", str(tmp_path / "none.sql")).stderr
    assert advisor("report", "--sql", str(tmp_path / "none.sql")).returncode == 3
    assert advisor("report", "--log", str(tmp_path / "none.log")).returncode == 3
    script = tmp_path / "script"  # a name that does not tell
    script.write_text("SELECT 1;\n")
    done = advisor("report", "--log", str(script), "--dsn", database.dsn)
    assert done.returncode == 3 and "--sql" in done.stderr


def test_unreachable_database(advisor):
    done = advisor("report", "--sql", "-", "--dsn", "host=/nowhere dbname=x", stdin="SELECT 1")
    assert done.returncode == 4 and "cannot connect" in done.stderr and "hint:" in done.stderr


def test_text_form(advisor, database):
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, stdin="-- weight: 12\nSELECT * FROM t WHERE b = 'b7';")
    assert done.returncode == 0, done.stderr
    for part in ("1. CREATE an index on t (b)", "why", "serves    12 x SELECT * FROM t", "wrong if", "size", "CREATE INDEX CONCURRENTLY t_b_idx ON t (b);",
                 "DROP INDEX CONCURRENTLY IF EXISTS t_b_idx;"):
        assert part in done.stdout


def test_statements_that_do_not_fit(advisor, database):
    """Broken, unknown, forbidden: named, and the rest is advised on."""
    script = "SELEC 1; SELECT * FROM missing WHERE a = 1; CREATE TABLE x (a int); BEGIN; SELECT * FROM t WHERE b = 'b9'; SELECT nofunc(a) FROM t"
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "json", stdin=script)
    report = json.loads(done.stdout)
    assert [f["index"] for f in report["findings"]] == ["t_b_idx"]
    why = " ".join(s["why"] for s in report["skipped"])
    assert 'no table "missing"' in why and "nofunc" in why
    assert any("1 statements (25.0 % of the calls) do not parse" in n for n in report["notes"]), report["notes"]
    assert any(s["query"] == "SELEC 1" and "does not parse" in s["why"] for s in report["skipped"])


def test_the_session_is_read_only(advisor, database):
    """A function with side effects in a statement is planned, never run."""
    database.sql("CREATE SEQUENCE s", "SELECT nextval('s')")
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, stdin="SELECT nextval('s') FROM t WHERE a = nextval('s')")
    assert done.returncode == 0
    assert database.sql("SELECT last_value FROM s")[0][0] == 1


def test_a_parameter_that_no_statement_can_have(advisor, database):
    """Its number was taken for how many there are: a list of 2,000,000,000 NULLs."""
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "json", stdin="SELECT * FROM t WHERE nothing($2000000000) = a; SELECT * FROM t WHERE a = 7")
    assert done.returncode == 0, done.stderr
    assert [s["query"] for s in json.loads(done.stdout)["skipped"]] == ["SELECT * FROM t WHERE nothing($2000000000) = a"]


def test_quoted_and_odd_texts(advisor, database):
    script = "SELECT * FROM t WHERE b = 'a;b--c' /* ; */ AND a = 5; -- ; x\n$x$;\n;; SELECT E'\\';' FROM t"
    assert advisor("report", "--sql", "-", "--dsn", database.dsn, stdin=script).returncode == 0
    assert advisor("report", "--sql", "-", "--dsn", database.dsn, stdin="").returncode == 0
    assert advisor("report", "--sql", "-", "--dsn", database.dsn, stdin="SELECT 'open").returncode == 0


@pytest.mark.poolwise
def test_query_log_of_the_pooler(make_pooler, pg, advisor):
    """What the pooler writes is what the advisor reads."""
    with pg.connect("p0") as conn:
        conn.execute("DROP TABLE IF EXISTS adv_log")
        conn.execute("CREATE TABLE adv_log (id serial PRIMARY KEY, who int, what text)")
        conn.execute("INSERT INTO adv_log (who, what) SELECT i, 'w' || i FROM generate_series(1, 30000) i")
        conn.execute("ANALYZE adv_log")
    pooler = make_pooler(query_log="queries.log", query_log_interval=1)
    with pooler.psycopg() as conn:
        for i in range(20):
            conn.execute(f"SELECT what FROM adv_log WHERE who = {i}")
    pooler.stop()
    done = advisor("report", "--log", os.path.join(pooler.dir, "queries.log"), "--dsn", pg.dsn("p0"), "--format", "json")
    pg.connect("p0").execute("DROP TABLE adv_log")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (finding,) = [f for f in report["findings"] if f["kind"] == "create" and f["table"] == "adv_log"]
    assert finding["keys"][0]["column"] == "who"
    assert finding["queries"][0]["calls"] == 20 and finding["queries"][0]["measured_ms"] > 0
