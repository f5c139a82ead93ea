# SPDX-License-Identifier: ISC
"""Which indexes may go, and which never: duplicates, prefixes, unused and invalid ones; constraints, identity, foreign keys."""
import pytest

from support.util import wait_until

TABLE = """
CREATE TABLE t (id int, a int NOT NULL, b int NOT NULL, c text, d text);
INSERT INTO t SELECT i, i, i % 100, 'c' || i, 'd' || i FROM generate_series(1, 20000) i;
"""
NOTHING = "SELECT 1"


@pytest.fixture
def table(new_database):
    database = new_database()
    database.sql(TABLE)
    return database


def finding(advice, index):
    (f,) = [f for f in advice.report["findings"] if f.get("index") == index]
    return f


def test_a_unique_index_is_no_prefix_of_a_longer_one(table, advise):
    table.sql("CREATE UNIQUE INDEX u ON t (a)", "CREATE INDEX wide ON t (a, b)", "CREATE INDEX narrow ON t (a)")
    table.vacuum()
    drops = advise(table, NOTHING).drops()
    assert "u" not in drops
    assert drops["narrow"] == "drop_duplicate"


def test_of_two_equal_ones_stays_what_enforces_something(table, advise):
    table.sql("CREATE INDEX older ON t (a)", "CREATE UNIQUE INDEX u ON t (a)",
              "CREATE INDEX b1 ON t (b)", "CREATE INDEX b2 ON t (b)")
    table.vacuum()
    advice = advise(table, NOTHING)
    assert advice.drops()["older"] == "drop_duplicate" and "u" not in advice.drops()
    assert "u stays because it is unique" in finding(advice, "older")["reason"]
    assert "b1 stays because it is older" in finding(advice, "b2")["reason"] and "b1" not in [
        i for i, k in advice.drops().items() if k == "drop_duplicate"]


def test_two_unique_ones(table, advise):
    """The second of two unique indexes on the same columns enforces nothing more; that of a constraint stays."""
    table.sql("CREATE UNIQUE INDEX first ON t (a)", "ALTER TABLE t ADD CONSTRAINT con UNIQUE (a)",
              "CREATE UNIQUE INDEX nulls ON t (c)", "CREATE UNIQUE INDEX nulls_not ON t (c) NULLS NOT DISTINCT")
    table.vacuum()
    advice = advise(table, NOTHING)
    assert advice.drops() == {"first": "drop_duplicate"}, "the two on c forbid different rows"
    assert finding(advice, "first")["undo"].startswith("CREATE UNIQUE INDEX CONCURRENTLY")
    assert "serves a constraint" in finding(advice, "first")["reason"]


def test_a_deferrable_constraint_does_not_replace_an_immediate_one(table, advise):
    table.sql("CREATE UNIQUE INDEX now ON t (a)", "ALTER TABLE t ADD CONSTRAINT later UNIQUE (a) DEFERRABLE")
    table.vacuum()
    assert advise(table, NOTHING).drops() == {}


def test_target_of_a_foreign_key_stays(table, advise):
    """A foreign key may point at a unique index that is no constraint."""
    table.sql("CREATE UNIQUE INDEX target ON t (a)", "CREATE TABLE child (a int REFERENCES t (a))", "CREATE UNIQUE INDEX again ON t (a)")
    table.vacuum()
    assert advise(table, NOTHING).drops() == {"again": "drop_duplicate"}


def test_identity_and_cluster_stay(table, advise):
    table.sql("CREATE UNIQUE INDEX identity ON t (a)", "ALTER TABLE t REPLICA IDENTITY USING INDEX identity",
              "CREATE UNIQUE INDEX again ON t (a)", "CREATE INDEX physical ON t (d)", "CLUSTER t USING physical",
              "CREATE EXTENSION btree_gist", "ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING gist (c WITH =)")
    table.vacuum()
    assert advise(table, NOTHING).drops() == {"again": "drop_duplicate"}


def test_partial_and_expression_are_no_duplicates(table, advise):
    table.sql("CREATE INDEX p1 ON t (d) WHERE b = 1", "CREATE INDEX p2 ON t (d) WHERE b = 2", "CREATE INDEX e1 ON t (lower(d))",
              "CREATE INDEX e2 ON t (upper(d))", "CREATE INDEX o ON t (d text_pattern_ops)", "CREATE INDEX h ON t USING hash (d)",
              "CREATE INDEX h2 ON t USING hash (d)")
    table.vacuum()
    kinds = advise(table, NOTHING).drops()
    assert {k for k, v in kinds.items() if v in ("drop_duplicate", "drop_prefix")} == {"h2"}


def test_unused_tells_its_age_and_the_planner_s_loss(table, advise):
    table.sql("CREATE INDEX never ON t (c)", "CREATE INDEX expr ON t (lower(d))")
    table.vacuum()
    advice = advise(table, NOTHING)
    f = finding(advice, "never")
    assert f["kind"] == "drop_unused" and f["confidence"] == "low" and " old" in f["confidence_why"]
    assert "--replica-dsn" in f["wrong_if"] and "ago" in f["reason"]
    assert "statistics of its expression" in finding(advice, "expr")["wrong_if"]


def test_an_index_used_on_a_replica_stays(table, advise, new_database):
    """Databases of the same schema stand for the replicas: what counts is the usage that each of them reports."""
    table.sql("CREATE INDEX here ON t (c)", "CREATE INDEX there ON t (d)", "CREATE INDEX nowhere ON t (id)")
    table.vacuum()
    copies = []
    for _ in range(2):
        copy = new_database(hypopg=False)
        copy.sql(TABLE, "CREATE INDEX here ON t (c)", "CREATE INDEX there ON t (d)", "CREATE INDEX nowhere ON t (id)", "ANALYZE t")
        copies.append(copy)
    assert set(advise(table, NOTHING).drops()) == {"here", "there", "nowhere"}
    copies[1].sql("SELECT * FROM t WHERE d = 'd77'", "SELECT pg_stat_force_next_flush()")
    wait_until(lambda: copies[1].sql("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'there'")[0][0] > 0, 10)
    advice = advise(table, NOTHING, "--replica-dsn", copies[0].dsn, "--replica-dsn", copies[1].dsn)
    assert set(advice.drops()) == {"here", "nowhere"}
    assert "on 2 other servers" in finding(advice, "here")["reason"]


def test_a_replica_that_is_none(table, advisor, new_database):
    table.sql("CREATE INDEX here ON t (c)")
    other = new_database(hypopg=False)
    done = advisor("report", "--sql", "-", "--dsn", table.dsn, "--replica-dsn", other.dsn, stdin=NOTHING)
    assert done.returncode == 4 and "only 0 of the 1 indexes" in done.stderr
    done = advisor("report", "--sql", "-", "--dsn", table.dsn, "--replica-dsn", "host=/nowhere", stdin=NOTHING)
    assert done.returncode == 4 and "cannot connect" in done.stderr


def test_invalid_unless_something_builds_it(table, advise):
    table.sql("CREATE INDEX broken ON t (c)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
              "CREATE UNIQUE INDEX broken_u ON t (c)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_u'::regclass")
    table.vacuum()
    assert advise(table, NOTHING).drops() == {"broken": "drop_invalid", "broken_u": "drop_invalid"}
    with table.pg.connect(table.name) as other, other.transaction():
        other.execute("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")  # as CREATE INDEX CONCURRENTLY does
        advice = advise(table, NOTHING)
    assert advice.drops() == {} and any("not valid" in n for n in advice.report["notes"])


def test_tables_of_extensions_are_left_alone(new_database, advise):
    database = new_database()
    database.sql(TABLE, "CREATE INDEX one ON t (c)", "CREATE INDEX two ON t (c)")
    database.vacuum()
    assert advise(database, NOTHING).drops()["two"] == "drop_duplicate"
    database.sql("ALTER EXTENSION hypopg ADD TABLE t")
    assert advise(database, NOTHING).drops() == {}


def test_an_index_for_the_other_arm_of_an_or_stays(new_database, advise, costs):
    """Nothing uses it today, since the OR reads the table whole; with the index advised for the other arm it is needed."""
    database = new_database()
    database.sql("CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL, phone text NOT NULL, filler text)",
                 "INSERT INTO people SELECT g, 'u' || g || '@x', '0' || g, repeat('f', 60) FROM generate_series(1, 30000) g",
                 "CREATE INDEX people_email ON people (email)", "CREATE INDEX people_filler ON people (filler, email)")
    database.vacuum()
    advice = advise(database, "SELECT id FROM people WHERE phone = '0471' OR email = 'u99@x';", *costs)
    assert [keys for keys, _, _ in advice.indexes("people")] == [["phone"]]
    assert "people_email" not in advice.drops() and advice.drops()["people_filler"] == "drop_unused"
