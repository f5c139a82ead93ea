# SPDX-License-Identifier: ISC
"""The evidence of each finding, the schema of the JSON, and scripts that really run."""
import subprocess

import pytest
import schema

TABLE = """
CREATE TABLE events (id serial PRIMARY KEY, who int NOT NULL, kind text NOT NULL, at timestamptz NOT NULL, load numeric, note text);
INSERT INTO events (who, kind, at, load, note)
SELECT i % 4000, 'k' || i % 9, timestamptz '2025-01-01' + i * interval '1 minute', i % 700, repeat('n', 80) FROM generate_series(1, 60000) i;
"""
SERVED = "-- weight: 40\nSELECT kind, at FROM events WHERE who = 77;\n"


@pytest.fixture
def events(new_database):
    database = new_database()
    database.sql(TABLE)
    return database


def psql(database, script, *args):
    return subprocess.run(["psql", database.dsn, "-X", "-q", *args], input=script, capture_output=True, text=True, check=False, timeout=60)


def script_of(advisor, database, statements, *options):
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "sql", *options, stdin=statements)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_evidence_of_an_index(events, advise, costs):
    events.vacuum()
    (f,) = advise(events, SERVED, *costs).creates()
    (q,) = f["queries"]
    assert q["calls"] == 40 and 0.99 < q["share"] <= 1 and q["cost_after"] < q["cost_before"] / 20
    assert q["plan_before"] == "reads events whole" and "new index on events (who" in q["plan_after"]
    assert f["share"] == q["share"] and f["gain"] > 0.9 and f["write_cost"] == 0 and 0 < f["build_seconds"] < 60
    assert f["confidence"] == ("medium" if costs else "high") and f["confidence_why"]
    assert f["script"] == [f["ddl"]] and f["undo_script"] == [f["undo"]]


def test_confidence_falls_with_parameters_and_without_statistics(events, advise, costs):
    events.sql("ANALYZE events (id)")
    (f,) = advise(events, SERVED, *costs).creates()
    assert f["confidence"] == "low" and "no statistics" in f["confidence_why"]
    events.vacuum()
    assert advise(events, SERVED.replace("77", "$1"), *costs).creates()[0]["confidence"] == ("low" if costs else "medium")


def test_write_penalty_is_told(events, advise):
    events.vacuum()
    (f,) = advise(events, SERVED + "-- weight: 500\nINSERT INTO events (who, kind, at) VALUES (1, 'k1', now());").creates()
    assert f["entries_written"] == 500 and 0 < f["write_cost"] < 0.5


def test_worth_of_index_only_scans_before_and_after_vacuum(events, advise, costs):
    """Nothing is all-visible: the saving after VACUUM is larger than today's, and the text says so."""
    events.sql("ANALYZE events")
    statement = "SELECT who, at FROM events WHERE at BETWEEN '2025-01-05' AND '2025-01-08'"
    (f,) = advise(events, statement, *costs).creates()
    assert f["index_only"]["all_visible"] == 0
    assert f["index_only"]["saving_after_vacuum"] > f["index_only"]["saving_today"]
    events.vacuum()
    (f,) = advise(events, statement, *costs).creates()
    assert f["index_only"]["all_visible"] > 0.95
    assert f["index_only"]["saving_after_vacuum"] == pytest.approx(f["index_only"]["saving_today"], abs=0.05)


def test_no_word_of_visibility_where_the_row_is_needed(events, advise, costs):
    events.vacuum()
    (f,) = advise(events, "SELECT * FROM events WHERE who = 77", *costs).creates()
    assert f["index_only"] is None


def test_json_follows_its_schema(events, advise, costs):
    events.vacuum()
    events.sql("CREATE INDEX one ON events (kind, at)", "CREATE INDEX two ON events (kind, at)", "CREATE INDEX three ON events (kind)")
    script = SERVED + "SELECT count(*) FROM events WHERE note LIKE '%zz%'; SELECT * FROM missing; SELEC; SELECT f(1)"
    report = advise(events, script, *costs).report
    assert {f["kind"] for f in report["findings"]} >= {"create", "drop_duplicate", "drop_prefix"}
    assert report["unhelped"] and report["skipped"] and report["notes"]
    assert schema.problems(report) == []
    assert schema.problems(advise(events, "SELECT 1", *costs).report) == []


def test_schema_notices_what_is_not_described(events, advise):
    events.vacuum()
    report = advise(events, SERVED).report
    report["findings"][0]["surprise"] = 1
    assert schema.problems(report)
    del report["findings"][0]["surprise"], report["findings"][0]["reason"]
    assert schema.problems(report)


def test_script_runs_twice_and_clears_an_invalid_remnant(events, advisor):
    events.vacuum()
    script = script_of(advisor, events, SERVED)
    # As a build that failed half-way: an index of that name which is not valid.
    events.sql("CREATE INDEX events_who_idx ON events (who)",
               "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_who_idx'::regclass")
    for _ in range(2):
        done = psql(events, script)
        assert done.returncode == 0, done.stderr
        assert events.sql("SELECT indisvalid, indnatts FROM pg_index WHERE indexrelid = 'events_who_idx'::regclass")[0][0]


@pytest.mark.parametrize("stop", ["0", "1"])
def test_an_old_index_stays_when_the_new_one_fails(events, advisor, stop):
    """Here because of a lock; also with a client that goes on after errors."""
    events.sql("CREATE INDEX old ON events (who)")
    events.vacuum()
    script = script_of(advisor, events, "SELECT at FROM events WHERE who = 7 AND at > '2025-01-31'", "--min-gain", "0")
    assert "DROP INDEX CONCURRENTLY IF EXISTS old" in script
    with events.pg.connect(events.name) as other, other.transaction():
        other.execute("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")
        done = psql(events, script.replace("lock_timeout = '5s'", "lock_timeout = '100ms'"), "-v", f"ON_ERROR_STOP={stop}")
    assert "lock timeout" in done.stderr and ("old one stays" in done.stderr or stop == "1")
    assert events.sql("SELECT 1 FROM pg_class WHERE relname = 'old'")
    done = psql(events, script)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert not events.sql("SELECT 1 FROM pg_class WHERE relname = 'old'")


PARTITIONED = """
CREATE TABLE m (dropme int, id bigint, who int, at date NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE m_2 (at date NOT NULL, note text, who int, id bigint);
CREATE TABLE m_3 PARTITION OF m FOR VALUES FROM ('2025-03-01') TO ('2025-04-01') PARTITION BY HASH (id);
CREATE TABLE "m 3a" PARTITION OF m_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE m_3b PARTITION OF m_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE m DROP COLUMN dropme;
ALTER TABLE m ATTACH PARTITION m_2 FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
INSERT INTO m SELECT i, i % 3000, date '2025-01-01' + i % 89, repeat('n', 50) FROM generate_series(1, 90000) i;
"""


def test_partitioned_table_step_by_step(new_database, advise, advisor):
    database = new_database()
    database.sql(PARTITIONED)
    database.vacuum()
    statement = "SELECT * FROM m WHERE who = 55"
    (f,) = advise(database, statement).creates()
    assert f["script"][0].startswith("CREATE INDEX") and " ON ONLY m " in f["script"][0]
    assert sum("CONCURRENTLY" in s for s in f["script"]) == 4
    before = database.cost(statement)
    script = script_of(advisor, database, statement)
    for _ in range(2):
        done = psql(database, script)
        assert done.returncode == 0, done.stderr
    assert database.sql("SELECT bool_and(indisvalid), count(*) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^m'") == [(True, 6)]
    assert database.cost(statement) < before / 10
    for s in f["undo_script"]:
        database.sql(s)
    assert database.sql("SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^m'") == [(0,)]
    # The list runs too, each statement alone.
    for s in f["script"]:
        database.sql(s)
    assert database.sql("SELECT bool_and(indisvalid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^m'") == [(True,)]


def test_index_names_with_an_on_in_them(new_database, advise):
    database = new_database()
    database.sql('CREATE TABLE "a ON b" (id int, "x ON y" int) PARTITION BY HASH (id)',
                 'CREATE TABLE p0 PARTITION OF "a ON b" FOR VALUES WITH (MODULUS 1, REMAINDER 0)',
                 'INSERT INTO "a ON b" SELECT i, i FROM generate_series(1, 30000) i')
    database.vacuum()
    (f,) = advise(database, 'SELECT * FROM "a ON b" WHERE "x ON y" = 5').creates()
    for s in f["script"]:
        database.sql(s)
    assert len(f["script"]) == 3 and "ATTACH" in f["script"][2]
