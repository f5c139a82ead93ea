# SPDX-License-Identifier: ISC
"""Partial indexes and indexes on expressions where HypoPG does not show them: behind the first table of a statement and on partitions. Names and values are
drawn by seed."""
import random

import pytest


@pytest.fixture(scope="module", params=["hypopg", "model"])
def way(request):
    return request.param


@pytest.fixture
def costs(way):
    """Both sources of costs, each with names and values of its own."""
    return [] if way == "hypopg" else ["--no-hypopg"]


@pytest.fixture(scope="module")
def names(way):
    rng = random.Random(way)
    words = rng.sample("alder birch cedar elm fir hazel larch maple oak pine rowan spruce yew".split(), 9)
    words[0] = words[0].capitalize()     # one that needs its quotes
    words[1] = "order"                   # a reserved word
    state = rng.choice(["waiting", "it's new", "5"])
    return {"account": f'"{words[0]}"', "event": f'"{words[1]}"', "mail": words[2], "state": words[3], "rare": words[4], "ref": words[5], "at": words[6],
            "measure": words[7], "filler": words[8], "value": state.replace("'", "''"), "n": rng.randrange(60, 90)}


TABLES = """
CREATE TABLE {account} (id serial PRIMARY KEY, {mail} varchar(80) NOT NULL, {filler} text);
INSERT INTO {account} ({mail}, {filler}) SELECT 'Person' || i || '@Mail' || i % {n} || '.example', repeat('f', 60) FROM generate_series(1, 20000) i;
CREATE TABLE {event} (id serial PRIMARY KEY, {ref} int NOT NULL, {state} text NOT NULL, {rare} int, {at} timestamp NOT NULL, doc jsonb, {filler} text);
INSERT INTO {event} ({ref}, {state}, {rare}, {at}, doc, {filler})
SELECT 1 + (i::bigint * 7919) % 20000, CASE WHEN i % 300 = 0 THEN '{value}' ELSE (ARRAY['a', 'b', 'c'])[1 + i % 3] END, CASE WHEN i % {n} = 0 THEN i / {n} % 400 END,
       timestamp '2025-01-01' + (i::bigint * 104729 % 80000) * interval '5 minutes', jsonb_build_object('x', i % 300, 'y', (i::bigint * 7919) % 500),
       repeat('f', 80) FROM generate_series(1, 80000) i;
CREATE TABLE {measure} (sensor int NOT NULL, {rare} int, {at} timestamp NOT NULL, {filler} text) PARTITION BY RANGE ({at});
CREATE TABLE part_1 PARTITION OF {measure} FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE part_2 PARTITION OF {measure} FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
INSERT INTO {measure} SELECT i % 800, CASE WHEN i % {n} = 0 THEN i / {n} % 300 END, timestamp '2025-01-01' + (i::bigint * 104729 % 50000) * interval '80 seconds', repeat('f', 80)
FROM generate_series(1, 50000) i;
"""


@pytest.fixture(scope="module")
def tables(new_database, names):
    database = new_database()
    for statement in TABLES.format(**names).split(";\n"):
        if statement.strip():
            database.sql(statement)
    database.vacuum()
    return database


def build_and_plan(database, advice, statement):
    """What is advised is built and analysed: (cost before, cost after, names in the plan), and taken away again."""
    before = database.cost(statement)
    for finding in advice.creates():
        for line in finding["script"]:
            database.sql(line.replace("CONCURRENTLY ", ""))
    after, plan = database.cost(statement), str(database.sql("EXPLAIN (FORMAT JSON) " + statement))
    for finding in advice.creates():
        database.sql(f"DROP INDEX \"{finding['index']}\"")
    return before, after, plan


CASES = [
    # the second table of a join, with the order of a rare state
    ("SELECT a.{mail}, e.id FROM {account} a JOIN {event} e ON e.{ref} = a.id WHERE e.{state} = '{value}' ORDER BY e.{at} LIMIT 5", "event", "{state} = '{value}'"),
    # inside EXISTS
    ("SELECT a.{mail} FROM {account} a WHERE EXISTS (SELECT 1 FROM {event} e WHERE e.{ref} = a.id AND e.{state} = '{value}' AND e.{at} > '2025-09-20')", "event", "{state} = '{value}'"),
    # a column that few rows have a value in
    ("SELECT id, {filler} FROM {event} WHERE {rare} = 7", "event", "{rare} IS NOT NULL"),
    ("SELECT a.{mail}, e.id FROM {account} a JOIN {event} e ON e.{ref} = a.id WHERE e.{rare} = 7", "event", "{rare} IS NOT NULL"),
    ("SELECT id, {filler} FROM {event} WHERE {rare} IS NOT NULL AND {at} < '2025-01-20'", "event", "{rare} IS NOT NULL"),
    # on partitions
    ("SELECT sensor, {filler} FROM {measure} WHERE {rare} = 7", "measure", "{rare} IS NOT NULL"),
]


@pytest.mark.parametrize("statement, table, where", CASES, ids=range(len(CASES)))
def test_partial(tables, names, advise, costs, statement, table, where):
    statement = statement.format(**names)
    # A whole index on state and what follows would do as well, where there is room for it.
    advice = advise(tables, statement, *costs, "--budget", "250kB")
    where = where.format(**names)
    found = [f for f in advice.creates(names[table].strip('"')) if (f["where"] or "").replace('"', "") == where.replace('"', "")]
    assert found, advice.report["findings"]
    before, after, plan = build_and_plan(tables, advice, statement)
    assert after < before / 2 and any(f["index"] in plan or "part_1_" in plan for f in found), plan


def test_many_at_once(tables, names, advise, costs):
    """All of them over several connections, as over one: what one of them makes the others do not see."""
    statements = ";".join(statement.format(**names).replace("= 7", f"= {i}").replace("LIMIT 5", f"LIMIT {i}") for statement, _, _ in CASES for i in range(2, 14))
    one, four = (advise(tables, statements, *costs, "--connections", n).report for n in ("1", "4"))
    assert one["findings"] == four["findings"]


@pytest.mark.parametrize("statement, expression", [
    # as Django writes it, and with a LIMIT that makes the planner hope for a match among the first rows
    ("SELECT id FROM {account} WHERE UPPER({mail}::text) = UPPER('person77@mail7.example') LIMIT 21", "upper({mail})"),
    ("SELECT e.id FROM {event} e JOIN {account} a ON a.id = e.{ref} WHERE lower(a.{mail}) = 'person77@mail7.example'", "lower({mail})"),
    ("SELECT count(*) FROM {event} WHERE date({at}) = '2025-03-05' AND {state} <> 'x'", "({at}::date)"),
    ("SELECT count(*) FROM {event} WHERE date_trunc('day', {at} AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo') = '2025-03-05' AND {state} <> 'x'",
     "date_trunc('day', timezone('Asia/Tokyo', timezone('UTC', {at})))"),
])
def test_expression(tables, names, advise, costs, statement, expression):
    statement = statement.format(**names)
    advice = advise(tables, statement, *costs)
    keys = [k.replace('"', "") for f in advice.creates() for k in advice.keys(f)]
    assert expression.format(**names).replace('"', "") in keys, advice.report["findings"]
    scripts = [f["script"] for f in advice.creates() if any("(" in k for k in advice.keys(f))]
    assert all(s[-1].startswith("ANALYZE ") for s in scripts), "nothing else brings the statistics of an expression soon"
    _, after, _ = build_and_plan(tables, advice, statement)
    told = advice.report["workload"]["cost_after"]
    # What is joined to the rows is costed for as many as the planner expects.
    assert "JOIN" in statement or told < 10 * after + 20, "a sample knows how many values the expression has; the planner takes every value for one of two hundred"


def test_a_range_in_the_place_of_a_cast(tables, names, advisor):
    """A timestamptz as a date depends on the session: no index, but the form that has one."""
    tables.sql(f"ALTER TABLE {names['account']} ADD COLUMN IF NOT EXISTS made timestamptz")
    done = advisor("explain", "--dsn", tables.dsn, "SELECT id FROM {account} WHERE made::date = '2025-03-05'".format(**names))
    assert "made >= day AND" in done.stdout and "made = 'value'" not in done.stdout


@pytest.mark.parametrize("key, condition", [
    ("upper({mail})", "UPPER({mail}::text) = 'X'"),
    ("lower(coalesce({filler}, ''))", "lower(coalesce({filler}, '')) = 'x'"),
    ("date_trunc('day', made AT TIME ZONE 'UTC')", "date_trunc('day', made AT TIME ZONE 'UTC') = '2025-03-05'"),
    ("((made AT TIME ZONE 'UTC')::date)", "date(made AT TIME ZONE 'UTC') = '2025-03-05'"),  # written in another way
], ids=range(4))
def test_what_is_there_is_not_advised(tables, names, advise, costs, key, condition):
    tables.sql("ALTER TABLE {account} ADD COLUMN IF NOT EXISTS made timestamptz".format(**names))
    statement = f"SELECT id FROM {names['account']} WHERE {condition.format(**names)}"
    tables.sql(f"CREATE INDEX there ON {names['account']} (({key.format(**names)}))", f"ANALYZE {names['account']}")
    advice = advise(tables, statement, *costs)
    tables.sql("DROP INDEX there")
    assert advice.creates() == [] and "there" not in advice.drops()


def test_two_keys_of_one_document(tables, names, advise, costs):
    """Each alone leaves hundreds of rows."""
    statement = "SELECT id FROM {event} WHERE doc ->> 'x' = '7' AND doc ->> 'y' = '33'".format(**names)
    (keys, _, _), = advise(tables, statement, *costs).indexes()
    assert sorted(keys) == ["(doc ->> 'x')", "(doc ->> 'y')"]


@pytest.mark.parametrize("statement", [
    "SELECT count(*) FROM {event} WHERE date({at} AT TIME ZONE 'UTC') = '2025-03-05'",      # depends on the session's time zone
    "SELECT id FROM {event} WHERE {rare} IS NULL AND {state} = 'a'",                        # the others
    "SELECT a.id, e.id FROM {account} a LEFT JOIN {event} e ON e.{rare} = a.id",            # nothing is chosen
])
def test_nothing(tables, names, advise, costs, statement):
    assert [w for _, _, w in advise(tables, statement.format(**names), *costs).indexes() if w] == []
