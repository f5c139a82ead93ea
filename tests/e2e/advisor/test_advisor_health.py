# SPDX-License-Identifier: ISC
"""What else hurts, each with a case where saying it would be wrong."""
import pytest
import schema

from support.util import wait_until


def kinds(advice, table=None):
    return [h["kind"] for h in advice.report["health"] if table in (None, h["table"])]


def the(advice, kind):
    (h,) = [h for h in advice.report["health"] if h["kind"] == kind]
    return h


@pytest.fixture
def database(new_database):
    return new_database()


def flush(database, condition):
    """Waits for the usage counters to say it."""
    def told():
        database.sql("SELECT pg_stat_force_next_flush()")
        return database.sql(condition)[0][0]
    wait_until(told, 10)


def test_analyze(database, advise):
    database.sql("CREATE TABLE t (id int, a int)", "INSERT INTO t SELECT i, i FROM generate_series(1, 50000) i")
    advice = advise(database, "SELECT * FROM t WHERE a = 7")
    h = the(advice, "analyze")
    assert h["script"] == ["ANALYZE t;"] and h["confidence"] == "high" and schema.problems(advice.report) == []
    database.sql(*h["script"])
    assert "analyze" not in kinds(advise(database, "SELECT * FROM t WHERE a = 7"))
    database.sql("UPDATE t SET a = a + 1 WHERE id < 30000")
    flush(database, "SELECT n_mod_since_analyze > 20000 FROM pg_stat_user_tables")
    assert "changed since" in the(advise(database, "SELECT * FROM t WHERE a = 7"), "analyze")["reason"]


def test_no_analyze_for_rows_that_are_counted_late(database, advise):
    """A session reports its changes about once a second: those of a load may arrive after the ANALYZE that follows it."""
    database.sql("CREATE TABLE t (id int, a int)")
    with database.pg.connect(database.name) as loader:
        loader.execute("SELECT pg_stat_force_next_flush()")
        loader.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 10) i")  # told at once; what follows is not
        loader.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 50000) i")
        database.sql("ANALYZE t")
        loader.execute("SELECT pg_stat_force_next_flush()")
    flush(database, "SELECT n_mod_since_analyze > 20000 FROM pg_stat_user_tables")
    assert "analyze" not in kinds(advise(database, "SELECT * FROM t WHERE a = 7"))


def test_analyze_of_a_partitioned_table(database, advise):
    database.sql("CREATE TABLE p (id int, a int) PARTITION BY HASH (id)", "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
                 "INSERT INTO p SELECT i, i FROM generate_series(1, 30000) i", "VACUUM ANALYZE p0")
    assert "autovacuum never makes them" in the(advise(database, "SELECT * FROM p WHERE a = 7"), "analyze")["reason"]
    database.sql("ANALYZE p")
    assert kinds(advise(database, "SELECT * FROM p WHERE a = 7")) == []


def test_no_analyze_of_small_or_unused_tables(database, advise):
    database.sql("CREATE TABLE small (a int)", "INSERT INTO small SELECT i FROM generate_series(1, 50) i",
                 "CREATE TABLE unused (a int)", "INSERT INTO unused SELECT i FROM generate_series(1, 50000) i")
    assert kinds(advise(database, "SELECT * FROM small WHERE a = 7")) == []


def test_vacuum(database, advise):
    database.sql("CREATE TABLE t (id int, a int, f text)", "INSERT INTO t SELECT i, i, repeat('f', 60) FROM generate_series(1, 40000) i", "ANALYZE t")
    advice = advise(database, "SELECT * FROM t WHERE a = 7")
    assert the(advice, "vacuum")["script"] == ["VACUUM (ANALYZE) t;"] and "all-visible" in the(advice, "vacuum")["reason"]
    database.vacuum()
    assert "vacuum" not in kinds(advise(database, "SELECT * FROM t WHERE a = 7"))
    database.sql("UPDATE t SET a = a + 1")
    flush(database, "SELECT n_dead_tup > 30000 FROM pg_stat_user_tables")
    assert "are dead" in the(advise(database, "SELECT * FROM t WHERE a = 7"), "vacuum")["reason"]


FK = """
CREATE TABLE parent (id int PRIMARY KEY, x int);
CREATE TABLE child (id int, parent_id int REFERENCES parent, note text);
INSERT INTO parent SELECT i, i FROM generate_series(1, 5000) i;
INSERT INTO child SELECT i, 1 + i % 5000, 'n' FROM generate_series(1, 40000) i;
"""


def test_foreign_key_without_index_after_deletes(database, advise):
    database.sql(FK)
    database.vacuum()
    # Nothing is deleted, and the table is of middling size: no word.
    assert kinds(advise(database, "SELECT 1")) == []
    database.sql("INSERT INTO parent VALUES (9001, 1), (9002, 2)", "DELETE FROM parent WHERE id > 9000")
    flush(database, "SELECT n_tup_del > 0 FROM pg_stat_user_tables WHERE relname = 'parent'")
    h = the(advise(database, "SELECT 1"), "fk_without_index")
    assert (h["table"], h["columns"], h["confidence"]) == ("child", ["parent_id"], "high") and "2 rows were deleted" in h["reason"]
    database.sql(*h["script"])
    assert "fk_without_index" not in kinds(advise(database, "SELECT 1"))


@pytest.mark.parametrize("index, found", [
    ("CREATE INDEX i ON child (parent_id, note)", False), ("CREATE INDEX i ON child (note, parent_id)", True),
    ("CREATE INDEX i ON child (parent_id) WHERE note = 'n'", True)])
def test_foreign_key_and_what_serves_it(database, advise, index, found):
    database.sql(FK, index)
    database.vacuum()
    advice = advise(database, "SELECT * FROM parent WHERE id = 7; DELETE FROM parent WHERE x = 3 AND id = 5 AND false", "--min-gain", "100", "--max-indexes", "1")
    served = [f for f in advice.creates("child") if f["keys"][0]["column"] == "parent_id"]
    assert ("fk_without_index" in kinds(advice) or bool(served)) == found


def test_foreign_key_that_the_advice_serves_is_not_told_twice(database, advise):
    database.sql(FK)
    database.vacuum()
    advice = advise(database, "-- weight: 50\nDELETE FROM parent WHERE id = 7")
    assert advice.indexes("child") and "fk_without_index" not in kinds(advice)


def test_bloat_of_index_and_table(database, advise):
    database.sql("CREATE TABLE t (id int PRIMARY KEY, a int, f text)", "INSERT INTO t SELECT i, i, repeat('f', 40) FROM generate_series(1, 200000) i",
                 "CREATE INDEX t_a ON t (a)")
    database.vacuum()
    assert kinds(advise(database, "SELECT * FROM t WHERE a = 7")) == []
    database.sql("DELETE FROM t WHERE id % 10 <> 0")
    database.vacuum()
    advice = advise(database, "SELECT * FROM t WHERE a = 7")
    assert {h["index"] for h in advice.report["health"] if h["kind"] == "reindex"} == {"t_pkey", "t_a"}
    h = the(advice, "table_bloat")
    assert h["script"] == [] and "pg_repack" in h["remedy"] and h["bytes"] > 10e6
    assert schema.problems(advice.report) == []
    for h in advice.report["health"]:
        database.sql(*h["script"])
    database.sql("VACUUM FULL t")
    database.vacuum()
    assert kinds(advise(database, "SELECT * FROM t WHERE a = 7")) == []


def test_random_order_and_fill_factor_are_no_bloat(database, advise):
    database.sql("CREATE TABLE t (id int PRIMARY KEY, a text) WITH (fillfactor = 50)", "CREATE INDEX t_a ON t (a)",
                 "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 60000) i")
    database.vacuum()
    assert kinds(advise(database, "SELECT * FROM t WHERE a = 'x'")) == []


def test_partial_index_is_no_bloat_and_can_be(database, advise):
    database.sql("CREATE TABLE t (id int, a int, s int)", "INSERT INTO t SELECT i, i, i % 2 FROM generate_series(1, 200000) i",
                 "CREATE INDEX t_part ON t (a) WHERE s = 1")
    database.vacuum()
    assert kinds(advise(database, "SELECT * FROM t WHERE a = 7 AND s = 1")) == []


def test_cluster(database, advise):
    database.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int, f text)", "INSERT INTO t SELECT i, (i::bigint * 7919 % 100000)::int, i, repeat('f', 120)"
                 " FROM generate_series(1, 100000) i", "CREATE INDEX t_a ON t (a)", "CREATE INDEX t_b ON t (b)")
    database.vacuum()
    h = the(advise(database, "-- weight: 20\nSELECT * FROM t WHERE a BETWEEN 1000 AND 3000"), "cluster")
    assert h["index"] == "t_a" and h["columns"] == ["a"] and "CLUSTER t USING t_a" in h["remedy"] and h["script"] == []
    assert "cluster" not in kinds(advise(database, "-- weight: 20\nSELECT * FROM t WHERE b BETWEEN 1000 AND 3000")), "it lies in order"
    assert "cluster" not in kinds(advise(database, "SELECT * FROM t WHERE a = 1000")), "one row needs no order"


def test_brin_instead_of_a_btree(database, advise):
    database.sql("CREATE TABLE t (id int, at timestamptz, f text)", "INSERT INTO t SELECT i, timestamptz '2025-01-01' + i * interval '1 s', repeat('f', 100)"
                 " FROM generate_series(1, 300000) i", "CREATE INDEX t_at ON t (at)")
    database.vacuum()
    ranges = "SELECT count(f) FROM t WHERE at BETWEEN '2025-01-02' AND '2025-01-02 03:00'"
    h = the(advise(database, ranges), "brin")
    assert "USING brin (at)" in h["script"][0] and "DROP INDEX CONCURRENTLY t_at" in h["remedy"]
    assert "brin" not in kinds(advise(database, ranges + "; SELECT * FROM t ORDER BY at DESC LIMIT 5")), "the order needs the b-tree"
    assert "brin" not in kinds(advise(database, ranges + "; SELECT * FROM t WHERE at = '2025-01-02'"))


CITIES = """
CREATE TABLE t (id serial PRIMARY KEY, city int, country int, free int, f text);
INSERT INTO t (city, country, free, f) SELECT c, c / 10, (i::bigint * 48271 % 65521 % 97)::int, repeat('f', 30)
FROM (SELECT i, (i::bigint * 7919 % 1000)::int AS c FROM generate_series(1, 60000) i) s;
"""


def test_extended_statistics_for_dependent_columns(database, advise):
    database.sql(CITIES)
    database.vacuum()
    both = "SELECT * FROM t WHERE city = 37 AND country = 3"
    before = database.sql("EXPLAIN (FORMAT JSON) " + both)[0][0][0]["Plan"]["Plan Rows"]
    advice = advise(database, both)
    h = the(advice, "create_statistics")
    assert h["columns"] == ["city", "country"] and schema.problems(advice.report) == []
    database.sql(*h["script"])
    after = database.sql("EXPLAIN (FORMAT JSON) " + both)[0][0][0]["Plan"]["Plan Rows"]
    real = database.sql("SELECT count(*) FROM t WHERE city = 37 AND country = 3")[0][0]
    assert abs(after - real) < real / 2 < abs(before - real), (before, after, real)
    assert "create_statistics" not in kinds(advise(database, both)), "they are there"
    database.sql(*h["undo_script"])
    assert "create_statistics" in kinds(advise(database, both))
    assert "create_statistics" not in kinds(advise(database, both, "--no-sample"))


def test_the_dearest_pairs_are_looked_at_first(database, advise):
    """Twelve pairs are counted at most; fifteen cheap ones come first in the order of the statements."""
    database.sql(CITIES)
    database.sql("CREATE TABLE u AS SELECT id, city, country, " + ", ".join(f"hashint4(id + 1000000 * {i}) % 100 AS c{i}" for i in range(6)) + ", f FROM t")
    database.vacuum()
    cheap = [f"SELECT c0 FROM u WHERE c{i} = 1 AND c{k} = 1" for i in range(6) for k in range(i)]
    dear = "-- weight: 20\nSELECT id FROM u WHERE city = 37 AND country = 3"
    assert the(advise(database, ";".join(cheap + [dear])), "create_statistics")["columns"] == ["city", "country"]


def test_no_extended_statistics_for_independent_columns(database, advise):
    database.sql(CITIES)
    database.vacuum()
    assert "create_statistics" not in kinds(advise(database, "SELECT * FROM t WHERE city = 37 AND free = 5"))
    assert "create_statistics" not in kinds(advise(database, "SELECT * FROM t WHERE id = 37 AND country = 3"))
    assert "create_statistics" not in kinds(advise(database, "SELECT * FROM t WHERE city = 37 OR country = 3"))


def test_sequence_of_one_by_one_statements(database, advise):
    database.sql(FK)
    database.vacuum()
    one_by_one = ";".join(f"SELECT * FROM child WHERE parent_id = {i}" for i in range(30))
    h = the(advise(database, one_by_one), "n_plus_one")
    assert h["table"] == "child" and "ANY ($1)" in h["remedy"] and "30 statements" in h["reason"]
    mixed = ";".join(f"SELECT * FROM child WHERE parent_id = {i}; SELECT x FROM parent WHERE id = {i}" for i in range(30))
    assert "n_plus_one" not in kinds(advise(database, mixed))
    assert "n_plus_one" not in kinds(advise(database, ";".join(["SELECT * FROM child WHERE parent_id = 7"] * 30))), "the same again is another matter"
    assert "n_plus_one" not in kinds(advise(database, "-- weight: 9000\nSELECT * FROM child WHERE parent_id = 7"))


UNHELPED = """
CREATE TABLE e (id bigint PRIMARY KEY, at timestamptz NOT NULL, name text, amount int, tags int[], other numeric);
INSERT INTO e SELECT i, timestamptz '2025-01-01' + i * interval '1 minute', 'name ' || i, i % 1000, ARRAY[i % 7], i FROM generate_series(1, 40000) i;
CREATE TABLE f (id int PRIMARY KEY, e_id int, y int);
INSERT INTO f SELECT i, i, i FROM generate_series(1, 40000) i;
"""


@pytest.fixture(scope="module")
def unhelped(new_database):
    database = new_database()
    database.sql(UNHELPED)
    database.vacuum()
    # What is too long to be hashed here needs millions of rows elsewhere.
    database.sql(f"ALTER DATABASE {database.name} SET work_mem = '64kB'")
    return database


@pytest.mark.parametrize("statement, why, rewrite", [
    ("SELECT * FROM e WHERE to_char(at, 'YYYY-MM') = '2025-01'", "to_char()", "range of the column itself"),
    ("SELECT * FROM e WHERE amount + 1 > 999", "arithmetic", "other side"),
    ("SELECT * FROM e WHERE name LIKE '%77'", "wildcard", "gin_trgm_ops"),
    ("SELECT * FROM e WHERE id = 5.0", "is an integer and is compared with the numeric 5.0", "::bigint"),
    ("SELECT * FROM e JOIN f ON e.other = f.e_id WHERE f.y > 0", "are joined: the integer is cast", "same type"),
    ("SELECT * FROM e JOIN f ON f.e_id = e.id WHERE e.amount = 5 OR f.y = 7", "OR over two tables", "UNION"),
    ("SELECT * FROM e WHERE id NOT IN (SELECT e_id FROM f)", "NOT IN", "NOT EXISTS"),
    ("SELECT * FROM e ORDER BY random() LIMIT 5", "random()", "TABLESAMPLE"),
    ("SELECT * FROM e ORDER BY id LIMIT 10 OFFSET 30000", "OFFSET 30000", "last row seen"),
])
def test_what_no_index_helps_and_the_form_that_one_would(unhelped, advise, statement, why, rewrite):
    advice = advise(unhelped, statement)
    (u,) = advice.report["unhelped"]
    assert why in u["why"] and rewrite in u["rewrite"], u
    assert schema.problems(advice.report) == []


@pytest.mark.parametrize("statement", [
    "SELECT * FROM e WHERE id = 5", "SELECT * FROM e WHERE at >= '2025-01-05' AND at < '2025-01-06'", "SELECT * FROM e WHERE name LIKE 'name 77%'",
    "SELECT * FROM e WHERE NOT EXISTS (SELECT 1 FROM f WHERE f.e_id = e.id) AND e.id = 7", "SELECT * FROM e ORDER BY id LIMIT 10 OFFSET 5",
    "SELECT * FROM e WHERE other = 5.5", "SELECT * FROM e WHERE id NOT IN (SELECT e_id FROM f WHERE f.id = 7) AND id = 9", "SELECT * FROM e WHERE amount = 5 OR id = 7"])
def test_nothing_is_said_of_good_forms(unhelped, advise, statement):
    assert advise(unhelped, statement).report["unhelped"] == []


def test_the_rewrites_are_better(unhelped, advise):
    """By the server's own plans, with the indexes that are there."""
    unhelped.sql("CREATE INDEX e_at ON e (at)", "CREATE INDEX e_name ON e (name)")
    unhelped.sql("SET work_mem = '64kB'")
    pairs = [("SELECT * FROM e WHERE to_char(at, 'YYYY-MM-DD') = '2025-01-05'", "SELECT * FROM e WHERE at >= '2025-01-05' AND at < '2025-01-06'"),
             ("SELECT * FROM e WHERE id = 5.0", "SELECT * FROM e WHERE id = (5.0)::bigint"),
             ("SELECT * FROM e WHERE id NOT IN (SELECT e_id FROM f WHERE y < 9000)", "SELECT * FROM e WHERE NOT EXISTS (SELECT 1 FROM f WHERE f.e_id = e.id AND y < 9000)"),
             ("SELECT * FROM e ORDER BY id LIMIT 10 OFFSET 30000", "SELECT * FROM e WHERE id > 30000 ORDER BY id LIMIT 10")]
    for bad, good in pairs:
        assert unhelped.cost(good) < unhelped.cost(bad) / 1.2, bad
        assert sorted(unhelped.sql(bad)) == sorted(unhelped.sql(good)), bad
    unhelped.sql("DROP INDEX e_at, e_name")


def test_the_script_holds_the_remedies(database, advisor):
    database.sql(FK, "CREATE TABLE t (id int, a int)", "INSERT INTO t SELECT i, i FROM generate_series(1, 50000) i")
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "sql", stdin="SELECT * FROM t WHERE a = 7")
    assert "\nANALYZE t;\n" in done.stdout
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, stdin="SELECT * FROM t WHERE a = 7")
    assert "ANALYZE t" in done.stdout and "What else hurts" in done.stdout
