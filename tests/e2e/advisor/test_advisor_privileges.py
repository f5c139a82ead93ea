# SPDX-License-Identifier: ISC
"""As an ordinary user, with much or little to read; and tables that cannot have an index."""
import pytest


@pytest.fixture
def database(new_database):
    d = new_database()
    d.sql("CREATE TABLE open (id serial PRIMARY KEY, a int)", "CREATE TABLE shut (id serial PRIMARY KEY, a int)",
          "INSERT INTO open (a) SELECT i FROM generate_series(1, 30000) i", "INSERT INTO shut (a) SELECT i FROM generate_series(1, 30000) i")
    d.vacuum()
    yield d
    d.sql("DROP OWNED BY u_trust")


def ask(advisor, database, statements):
    import json
    done = advisor("report", "--sql", "-", "--dsn", database.pg.dsn(database.name, "u_trust"), "--format", "json", stdin=statements)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


BOTH = "SELECT * FROM open WHERE a = 7; SELECT * FROM shut WHERE a = 7"


def test_what_cannot_be_read_is_said(database, advisor):
    database.sql("GRANT SELECT ON open TO u_trust")
    report = ask(advisor, database, BOTH)
    assert [f["table"] for f in report["findings"] if f["kind"] == "create"] == ["open"]
    (skipped,) = report["skipped"]
    assert "shut" in skipped["query"] and "permission denied" in skipped["why"]
    (note,) = [n for n in report["notes"] if "may not read" in n]
    assert "u_trust" in note and "shut" in note and "open" not in note and "pg_read_all_data" in note
    assert not any(h["table"] == "shut" and "no statistics" in h["reason"] for h in report["health"]), "unreadable is not unanalysed"


def test_with_all_to_read_nothing_is_said(database, advisor):
    database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO u_trust")
    report = ask(advisor, database, BOTH)
    assert {f["table"] for f in report["findings"] if f["kind"] == "create"} == {"open", "shut"}
    assert report["skipped"] == [] and not any("may not read" in n for n in report["notes"])


def test_with_nothing_to_read_drops_are_still_found(database, advisor):
    database.sql("CREATE INDEX one ON open (a)", "CREATE INDEX two ON open (a)")
    report = ask(advisor, database, BOTH)
    assert ("two", "drop_duplicate") in {(f["index"], f["kind"]) for f in report["findings"]}
    assert len(report["skipped"]) == 2


def test_some_columns_to_read(database, advisor):
    database.sql("GRANT SELECT (a) ON open TO u_trust")
    report = ask(advisor, database, "SELECT a FROM open WHERE a = 7; SELECT id FROM open WHERE a = 7")
    assert [f["table"] for f in report["findings"] if f["kind"] == "create"] == ["open"] and len(report["skipped"]) == 1


def test_foreign_tables_and_heirs(new_database, advise):
    d = new_database()
    d.sql("CREATE EXTENSION file_fdw", "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
          "CREATE FOREIGN TABLE far (id int, a int) SERVER files OPTIONS (filename '/dev/null')",
          "CREATE TABLE near (id int, a int)", "INSERT INTO near SELECT i, i FROM generate_series(1, 30000) i",
          "CREATE TABLE old (id int, a int)", "CREATE TABLE older () INHERITS (old)", "INSERT INTO older SELECT i, i FROM generate_series(1, 30000) i")
    d.vacuum()
    advice = advise(d, "SELECT * FROM far JOIN near USING (id) WHERE near.a = 7 AND far.a = 5; SELECT * FROM old WHERE a = 7; SELECT * FROM pg_temp.t")
    assert "far" not in {f["table"] for f in advice.creates()} and advice.creates("near")
    notes = " ".join(advice.report["notes"])
    assert "far is a foreign table" in notes and "older inherits from old" in notes
    assert any("temporary" in s["why"] for s in advice.report["skipped"])
    assert not any("near" in n for n in advice.report["notes"])


def test_a_locked_table_is_not_waited_for(database, advise):
    """A migration holds one table: the other gets its advice, and what could not be seen is said."""
    statements = BOTH + "".join(f"; SELECT id FROM shut WHERE a = {i} AND id > {i}" for i in range(4))
    with database.pg.connect(database.name) as other, other.transaction():
        other.execute("LOCK TABLE shut IN ACCESS EXCLUSIVE MODE")
        other.execute("REINDEX INDEX shut_pkey")
        report = advise(database, statements).report
    assert [f["table"] for f in report["findings"] if f["kind"] == "create"] == ["open"]
    assert report["skipped"] and all("shut" in s["query"] and "lock timeout" in s["why"] for s in report["skipped"])
    assert any("held exclusively" in n for n in report["notes"])
    assert not any("held exclusively" in n for n in advise(database, statements).report["notes"])


def test_row_security_that_does_not_apply_is_said(new_database, advise, advisor):
    """What the owner plans is not what others run; as one of them there is nothing to say."""
    d = new_database()
    d.sql("CREATE TABLE rows_of_all (id serial PRIMARY KEY, tenant int, a int)", "CREATE TABLE other (id serial PRIMARY KEY, a int)",
          "INSERT INTO rows_of_all (tenant, a) SELECT i % 50, i FROM generate_series(1, 30000) i", "ALTER TABLE rows_of_all ENABLE ROW LEVEL SECURITY",
          "CREATE POLICY own ON rows_of_all USING (tenant = current_setting('app.tenant', true)::int)", "GRANT SELECT ON rows_of_all, other TO u_trust")
    d.vacuum()
    statement = "SELECT id FROM rows_of_all WHERE a = 7"
    (note,) = [n for n in advise(d, statement).report["notes"] if "row security" in n]
    assert note.startswith("rows_of_all has row security")
    assert not any("row security" in n for n in ask(advisor, d, statement)["notes"])
    assert not any("row security" in n for n in advise(d, "SELECT id FROM other WHERE a = 7").report["notes"])
    d.sql("DROP OWNED BY u_trust")
