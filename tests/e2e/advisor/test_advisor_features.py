# SPDX-License-Identifier: ISC
"""Features that other advisors have or lack, each where it is right and where it would be wrong; the rest is in the other files."""
import pytest

TABLES = """
CREATE TABLE parts (id serial PRIMARY KEY, a int, b int, c int, d int, e int, f text, g text);
INSERT INTO parts (a, b, c, d, e, f, g)
SELECT i % 6, i / 6 % 6, i / 36 % 6, i / 216 % 6, (i::bigint * 7919) % 10000, md5(i::text), repeat('g', 60) FROM generate_series(1, 60000) i;
CREATE TABLE makers (id serial PRIMARY KEY, name text, town text);
INSERT INTO makers (name, town) SELECT 'maker ' || i, 'town ' || i % 700 FROM generate_series(1, 20000) i;
CREATE TABLE uses (part_id int, maker_id int, state text, note text);
INSERT INTO uses SELECT 1 + (i::bigint * 104729) % 60000, 1 + (i::bigint * 7919) % 20000, (ARRAY['x', 'y', 'z'])[1 + i % 3], repeat('n', 40) FROM generate_series(1, 90000) i;
"""


@pytest.fixture(scope="module")
def tables(new_database):
    database = new_database()
    database.sql(TABLES)
    database.vacuum()
    return database


ONE, OTHER = "SELECT g FROM parts WHERE f = 'x'", "SELECT note FROM uses WHERE maker_id = 5"


@pytest.mark.parametrize("heavy, table", [(ONE, "parts"), (OTHER, "uses")])
def test_calls_weigh(tables, advise, heavy, table):
    """Only one index may be made: the one of the statement that runs often."""
    texts = "".join(f"-- weight: {40 if s == heavy else 1}\n{s};\n" for s in (ONE, OTHER))
    (finding,) = advise(tables, texts, "--max-indexes", "1").creates()
    assert finding["table"] == table


@pytest.mark.parametrize("slow, table", [(ONE, "parts"), (OTHER, "uses")])
def test_measured_times_weigh(tables, advisor, slow, table, tmp_path):
    """The same calls, another time: the index goes where the time goes."""
    log = tmp_path / "server.log"
    log.write_text("".join(f"2026-01-02 03:04:0{i}.000 UTC [7] LOG:  duration: {300 if s == slow else 30}.0 ms  statement: {s}\n"
                           for i, s in enumerate((ONE, OTHER, ONE, OTHER))))
    done = advisor("report", "--log", str(log), "--dsn", tables.dsn, "--format", "sql", "--max-indexes", "1")
    assert done.returncode == 0, done.stderr
    assert f" ON {table} " in done.stdout and done.stdout.count("CREATE INDEX CONCURRENTLY IF NOT EXISTS") == 1


def test_a_wait_does_not_weigh(tables, advisor, tmp_path):
    """A look-up by key that waited a minute for a lock is no reason to forget the others."""
    log = tmp_path / "server.log"
    log.write_text("2026-01-02 03:04:00.000 UTC [7] LOG:  duration: 60000.0 ms  statement: SELECT name FROM makers WHERE id = 3\n"
                   + "".join(f"2026-01-02 03:04:01.000 UTC [7] LOG:  duration: 30.0 ms  statement: {s}\n" for s in (ONE, OTHER) for _ in range(5)))
    done = advisor("report", "--log", str(log), "--dsn", tables.dsn, "--format", "sql")
    assert " ON parts " in done.stdout and " ON uses " in done.stdout and " ON makers " not in done.stdout


def test_many_columns(tables, advise, costs):
    """Four equalities and a range, none of which is selective alone; the text has them in another order."""
    (keys, _, _), = advise(tables, "SELECT g FROM parts WHERE e BETWEEN 100 AND 300 AND d = 1 AND b = 2 AND a = 3 AND c = 4", *costs).indexes()
    assert sorted(keys[:4]) == ["a", "b", "c", "d"] and keys[4:] == ["e"]


def test_not_more_columns_than_help(tables, advise, costs):
    (keys, include, _), = advise(tables, "SELECT * FROM parts WHERE f = 'abc' AND a = 1 AND b = 2 AND c = 3", *costs).indexes()
    assert keys[0] == "f" and len(keys) <= 2 and include == []


@pytest.mark.parametrize("statement, keys", [
    ("SELECT note FROM uses WHERE maker_id IN (5, 77, 4000)", ["maker_id"]),
    ("SELECT note FROM uses WHERE maker_id = ANY (ARRAY[5, 77])", ["maker_id"]),
    ("SELECT part_id, count(*) FROM uses GROUP BY part_id ORDER BY part_id LIMIT 5", ["part_id"]),
    ("SELECT max(e) FROM parts", ["e"]),
    ("SELECT * FROM parts ORDER BY e DESC LIMIT 20", ["e"]),
    ("SELECT * FROM parts WHERE a = 3 AND (e, id) < (5000, 7) ORDER BY e DESC, id DESC LIMIT 10", ["a", "e", "id"]),
    ("SELECT * FROM parts WHERE f LIKE 'abc%'", ["f"]),
    ("WITH RECURSIVE r AS (SELECT part_id FROM uses WHERE maker_id = 5 UNION ALL SELECT u.part_id FROM uses u JOIN r ON u.maker_id = r.part_id) SELECT count(*) FROM r", ["maker_id"]),
    ("SELECT m.town FROM makers m WHERE NOT EXISTS (SELECT 1 FROM uses u WHERE u.maker_id = m.id) AND m.name = 'maker 7'", ["name", "maker_id"]),
    ("SELECT u.note FROM makers m JOIN uses u ON u.maker_id = m.id WHERE m.name = 'maker 7'", ["name", "maker_id"]),
])
def test_right(tables, advise, costs, statement, keys):
    """One index on all the columns, or one on each of them."""
    found = [k for k, _, _ in advise(tables, statement, *costs).indexes()]
    assert found == [keys] or sorted(k[0] for k in found) == sorted(keys), found


@pytest.mark.parametrize("statement", [
    "SELECT note FROM uses WHERE maker_id NOT IN (5, 77)",
    "SELECT state, count(*) FROM uses GROUP BY state",                                       # three groups
    "SELECT u.*, m.* FROM makers m JOIN uses u ON u.maker_id = m.id",                        # everything with everything: by hash
    "SELECT * FROM uses WHERE note LIKE '%n%' OR state = 'x'",
    "SELECT u.note FROM uses u JOIN parts p ON p.id = u.part_id WHERE u.maker_id = 3 OR p.e = 7",  # an OR over two tables
    "SELECT * FROM parts WHERE f IS DISTINCT FROM 'abc'",
    "SELECT * FROM parts WHERE f IS NOT DISTINCT FROM 'abc'",                                # no equality to the server
    "SELECT note FROM uses WHERE maker_id IS NOT NULL",
    "SELECT * FROM parts WHERE e + 1 = 50",
])
def test_wrong(tables, advise, costs, statement):
    assert advise(tables, statement, *costs).indexes() == []


DOCUMENTS = """
CREATE TABLE papers (id serial PRIMARY KEY, doc jsonb NOT NULL, title text, filler text);
INSERT INTO papers (doc, title, filler)
SELECT jsonb_build_object('no', 'n' || i, 'amount', (i::bigint * 7919) % 100000, 'who', jsonb_build_object('town', 't' || i % 5000)), '  Title ' || i, repeat('f', 60)
FROM generate_series(1, 40000) i;
"""


@pytest.fixture(scope="module")
def papers(new_database):
    database = new_database()
    database.sql(DOCUMENTS)
    database.vacuum()
    return database


@pytest.mark.parametrize("condition, expression", [
    ("doc ->> 'no' = 'n77'", "(doc ->> 'no')"),
    ("(doc ->> 'amount')::int = 995", "((doc ->> 'amount')::int4)"),
    ("doc -> 'who' ->> 'town' = 't7'", "((doc -> 'who') ->> 'town')"),
    ("doc #>> '{who,town}' = 't7'", "(doc #>> '{who,town}')"),
    ("lower(trim(title)) = 'title 5'", "lower(btrim(title))"),
])
def test_expressions_of_many_forms(papers, advise, costs, condition, expression):
    statement = f"SELECT filler FROM papers WHERE {condition}"
    (finding,) = advise(papers, statement, *costs).creates()
    assert [k["expression"] for k in finding["keys"]] == [expression]
    papers.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""), "ANALYZE papers")
    plan = str(papers.sql("EXPLAIN (FORMAT JSON) " + statement))
    again = advise(papers, statement, *costs)
    papers.sql(f"DROP INDEX {finding['index']}")
    assert finding["index"] in plan, "the server uses what was advised"
    assert again.indexes() == [], "the index that is there is recognised"


@pytest.mark.parametrize("condition", ["(doc ->> 'amount')::date = '2025-01-01'", "(doc ->> $1) = 'x'", "to_char(id, '999') = '5'", "(doc -> 'who')::text = '5'"])
def test_expressions_that_no_index_holds(papers, advise, costs, condition):
    assert advise(papers, f"SELECT filler FROM papers WHERE {condition}", *costs).indexes() == []


def test_twice_the_same(tables, advise):
    texts = f"{ONE}; {OTHER}; SELECT * FROM parts WHERE a = 1 AND e > 9000 ORDER BY e LIMIT 5"
    assert advise(tables, texts).report == advise(tables, texts).report


HUGE = """
CREATE TABLE events (id bigint NOT NULL, tenant int NOT NULL, at timestamp NOT NULL, body text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2025-02-01') TO ('2025-03-01') PARTITION BY RANGE (at);
CREATE TABLE events_2a PARTITION OF events_2 FOR VALUES FROM ('2025-02-01') TO ('2025-02-15');
CREATE TABLE events_2b (body text, at timestamp NOT NULL, id bigint NOT NULL, tenant int NOT NULL);
ALTER TABLE events_2 ATTACH PARTITION events_2b FOR VALUES FROM ('2025-02-15') TO ('2025-03-01');
INSERT INTO events SELECT i, (i::bigint * 7919) % 900, timestamp '2025-01-01' + i * interval '50 seconds', repeat('b', 50) FROM generate_series(1, 100000) i;
CREATE TABLE tiny (id int, k int) PARTITION BY LIST (k);
CREATE TABLE tiny_1 PARTITION OF tiny FOR VALUES IN (1);
INSERT INTO tiny SELECT i, 1 FROM generate_series(1, 50) i;
ANALYZE events_1, events_2a, events_2b, tiny_1;
"""


@pytest.fixture(scope="module")
def partitions(new_database):
    """Nobody has run ANALYZE on the partitioned tables themselves, as is usual: autovacuum does not."""
    database = new_database()
    database.sql(HUGE)
    return database


def test_partitions_add_up(partitions, advise, costs):
    (finding,) = advise(partitions, "SELECT * FROM events WHERE tenant = 77 AND at > '2025-02-02' AND at < '2025-02-10'", *costs).creates()
    assert finding["keys"][0]["column"] == "tenant"
    columns = ", ".join(k["column"] for k in finding["keys"])
    partitions.sql(f"CREATE INDEX real ON events ({columns})")
    size = partitions.sql("SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('real')")[0][0]
    partitions.sql("DROP INDEX real")
    assert 0.6 < finding["bytes"] / float(size) < 1.6


def test_expressions_on_partitions(partitions, advise, costs):
    """HypoPG does not see them."""
    statement = "SELECT * FROM events WHERE date_trunc('minute', at) = '2025-02-02'"
    assert [f["keys"][0].get("expression") for f in advise(partitions, statement, *costs).creates()] == ["date_trunc('minute', at)"]


def test_conditions_on_a_union(new_database, advise, costs):
    """The server moves them into each arm, so each needs its index; not into a recursion."""
    database = new_database()
    database.sql("CREATE TABLE sold (no int PRIMARY KEY, partner int, at date, total int)", "CREATE TABLE bought (no int PRIMARY KEY, who int, at date, total int)",
                 "INSERT INTO sold SELECT i, i % 4000, date '2025-01-01' + i % 300, i FROM generate_series(1, 40000) i",
                 "INSERT INTO bought SELECT i, i % 3000, date '2025-01-01' + i % 300, i FROM generate_series(1, 30000) i",
                 "CREATE VIEW docs AS SELECT 'S' AS kind, no, partner, at, total FROM sold UNION ALL SELECT 'B', no, who, at, total FROM bought")
    database.vacuum()
    wanted = {("sold", ("partner",)), ("bought", ("who",))}
    for statement in ("SELECT * FROM docs WHERE partner = 77", "SELECT * FROM (SELECT * FROM sold UNION SELECT * FROM bought) x WHERE partner = $1",
                      "SELECT * FROM (SELECT * FROM sold UNION ALL SELECT * FROM bought UNION ALL SELECT * FROM bought) x WHERE x.partner IN (7, 9)"):
        assert {(f["table"], tuple(k["column"] for k in f["keys"])) for f in advise(database, statement, *costs).creates()} == wanted, statement
    recursive = "WITH RECURSIVE r AS (SELECT no, partner FROM sold WHERE no = 1 UNION ALL SELECT s.no, s.partner FROM sold s JOIN r ON s.no = r.no + 1) SELECT * FROM r WHERE partner = 8"
    assert all(keys != ["partner"] for keys, _, _ in advise(database, recursive, *costs).indexes())


def test_gin_on_partitions(new_database, advise, advisor, costs):
    database = new_database()
    database.sql("CREATE TABLE hits (id bigint, at date NOT NULL, tags text[]) PARTITION BY RANGE (at)",
                 *(f"CREATE TABLE hits_{m} PARTITION OF hits FOR VALUES FROM ('2025-0{m}-01') TO ('2025-0{m + 1}-01')" for m in range(1, 5)),
                 "INSERT INTO hits SELECT i, date '2025-01-01' + i % 110, ARRAY['t' || i % 3000, 'u' || i % 7] FROM generate_series(1, 60000) i", "ANALYZE hits")
    database.vacuum()
    statement = "SELECT id FROM hits h WHERE tags @> ARRAY['t77']"
    (finding,) = advise(database, statement, *costs).creates()
    assert (finding["method"], finding["table"], finding["keys"][0]["column"]) == ("gin", "hits", "tags")
    before = database.cost(statement)
    for step in finding["script"]:
        database.sql(step)
    assert database.cost(statement) < before / 3


def test_partitions_count_against_a_budget(partitions, advise, costs):
    statement = "SELECT * FROM events WHERE tenant = 77"
    assert advise(partitions, statement, "--budget", "20MB", *costs).creates()
    assert advise(partitions, statement, "--budget", "100kB", *costs).creates() == []


def test_small_partitioned_tables_are_left_alone(partitions, advise, costs):
    assert advise(partitions, "SELECT * FROM tiny WHERE id = 7", *costs).indexes() == []


STAYS = """
CREATE TABLE stays (id serial PRIMARY KEY, room int NOT NULL, during tstzrange NOT NULL, place point, ip inet, note text);
INSERT INTO stays (room, during, place, ip, note)
SELECT i % 300, tstzrange(timestamptz '2025-01-01' + (i / 100) * interval '1 hour', timestamptz '2025-01-01' + (i / 100 + 5) * interval '1 hour'),
       point(i % 1000, (i::bigint * 7919) % 1000), ('10.' || i % 250 || '.' || (i / 250) % 250 || '.7')::inet, repeat('n', 60) FROM generate_series(1, 40000) i;
"""


@pytest.fixture(scope="module")
def stays(new_database):
    database = new_database()
    database.sql(STAYS)
    database.vacuum()
    return database


@pytest.mark.parametrize("statement, column", [
    ("SELECT id FROM stays WHERE during && tstzrange('2025-01-10', '2025-01-10 03:00')", "during"),
    ("SELECT id FROM stays WHERE during @> timestamptz '2025-01-10 05:00'", "during"),
    ("SELECT id FROM stays WHERE during && $1", "during"),
    ("SELECT id FROM stays WHERE place <@ box(point(5, 5), point(20, 20))", "place"),
])
def test_gist(stays, advise, costs, statement, column):
    (finding,) = advise(stays, statement, *costs).creates()
    assert (finding["method"], [k["column"] for k in finding["keys"]]) == ("gist", [column]) and "GiST" in finding["wrong_if"]
    stays.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""))
    size = stays.sql(f"SELECT pg_relation_size('{finding['index']}')")[0][0]
    plan = str(stays.sql("EXPLAIN (FORMAT JSON) " + statement.replace("$1", "tstzrange('2025-01-10', '2025-01-10 03:00')")))
    stays.sql(f"DROP INDEX {finding['index']}")
    assert finding["index"] in plan and 0.5 < finding["bytes"] / size < 2


@pytest.mark.parametrize("statement", [
    "SELECT id FROM stays WHERE NOT during && tstzrange('2025-01-10', '2025-01-11')",
    "SELECT a.id FROM stays a JOIN stays b ON a.during && b.during WHERE a.note = b.note",
    "SELECT id FROM stays WHERE upper(during) - lower(during) > interval '2 hours'",
])
def test_no_gist(stays, advise, costs, statement):
    assert [f for f in advise(stays, statement, *costs).creates() if f["method"] == "gist"] == []


def test_an_exclusion_constraint_is_index_enough(new_database, advise, costs):
    database = new_database()
    database.sql("CREATE TABLE slots (id serial PRIMARY KEY, during tsrange, note text, EXCLUDE USING gist (during WITH &&))",
                 "INSERT INTO slots (during, note) SELECT tsrange(timestamp '2025-01-01' + i * interval '1 hour', timestamp '2025-01-01' + (i + 1) * interval '1 hour'),"
                 " repeat('n', 50) FROM generate_series(1, 20000) i")
    database.vacuum()
    assert advise(database, "SELECT note FROM slots WHERE during && tsrange('2025-02-01', '2025-02-02')", *costs).indexes() == []


def test_networks_are_ranges_to_a_b_tree(stays, advise, costs):
    statement = "SELECT note FROM stays WHERE ip << inet '10.7.9.0/24'"
    (finding,) = advise(stays, statement, *costs).creates()
    assert (finding["method"], [k["column"] for k in finding["keys"]]) == ("btree", ["ip"])
    assert [k for k, _, _ in advise(stays, "SELECT note FROM stays WHERE inet '10.7.9.0/24' >> ip", *costs).indexes()] == [["ip"]]
    assert advise(stays, "SELECT note FROM stays WHERE ip >> inet '10.7.9.3'", *costs).indexes() == []
    stays.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""))
    plan = str(stays.sql("EXPLAIN (FORMAT JSON) " + statement))
    stays.sql(f"DROP INDEX {finding['index']}")
    assert finding["index"] in plan


@pytest.mark.parametrize("statement, says, says_not", [
    ("SELECT note FROM uses WHERE maker_id = 5 AND part_id > 100", "finds the rows by equality on maker_id", None),
    ("SELECT id FROM parts WHERE a = 1 AND b = 2 AND c = 3 AND d = 4 ORDER BY e LIMIT 3", "delivers the order of e", None),
    ("SELECT id FROM parts WHERE a IN (1, 2) AND f > 'fe' ORDER BY e LIMIT 3", None, "delivers the order of e"),
])
def test_reasons_are_true(tables, advise, statement, says, says_not):
    reasons = " ".join(f["reason"] for f in advise(tables, statement).creates())
    assert (not says or says in reasons) and (not says_not or says_not not in reasons), reasons


def test_where_costs_come_from_is_told_truly(tables, advisor, tmp_path):
    snapshot = tmp_path / "s.json"
    snapshot.write_text(advisor("snapshot", "--dsn", tables.dsn).stdout)
    heads = {where: advisor("report", "--sql", "-", *options, stdin=ONE).stdout
             for where, options in {"HypoPG": ["--dsn", tables.dsn], "--no-hypopg": ["--dsn", tables.dsn, "--no-hypopg"],
                                    "the snapshot's statistics": ["--snapshot", str(snapshot)]}.items()}
    for where, head in heads.items():
        assert where in head and "not installed" not in head


def test_a_purge_checks_every_row(new_database, advise, costs):
    """A script does not tell how many rows a DELETE removes, the server expects it: each one is looked for in the referencing table."""
    database = new_database()
    database.sql("CREATE TABLE trips (id serial PRIMARY KEY, made date)", "CREATE TABLE stops (id serial PRIMARY KEY, trip int REFERENCES trips ON DELETE CASCADE, place text)",
                 "INSERT INTO trips (made) SELECT date '2025-01-01' + i / 100 FROM generate_series(1, 20000) i",
                 "INSERT INTO stops (trip, place) SELECT 1 + i % 20000, repeat('p', 60) FROM generate_series(1, 40000) i")
    database.vacuum()
    calls = {}
    for condition in ("made < '2025-01-05'", "id = 77"):
        (finding,) = advise(database, f"DELETE FROM trips WHERE {condition}", *costs).creates("stops")
        calls[condition] = sum(q["calls"] for q in finding["queries"])
    assert calls["id = 77"] == 1 and 200 < calls["made < '2025-01-05'"] < 800
