# SPDX-License-Identifier: ISC
"""The size model against indexes that PostgreSQL has really built."""
import math
import os
import pathlib
import random
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

TABLES = """
CREATE TYPE size_mood AS ENUM ('calm', 'busy', 'angry');
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE kinds (id bigint, small smallint, few int, skewed int, clustered int, parent int REFERENCES parents, word text, name varchar(60), long text, code char(12),
                    price numeric(10,2), ratio float8, day date, at timestamptz, key uuid, flag boolean, mood size_mood, sparse int, note text, ip inet,
                    country text, city text, tags text[], doc jsonb, words tsvector);
"""


def fill(rows, seed):
    return f"""
INSERT INTO parents SELECT generate_series(1, {rows // 5 + 1});
SELECT setseed({seed / 100});
INSERT INTO kinds SELECT i, (random() * 300)::int, (random() * 40)::int, (power(random(), 4) * {rows // 3})::int, i / 4, 1 + i / 5,
 'w' || (random() * {rows // 20})::int, 'customer name ' || md5(i::text), repeat(md5((i % 500)::text), 2 + i % 3), 'C' || i % 9000, (random() * 50000)::numeric(10,2),
 random(), date '2020-01-01' + (random() * 900)::int, timestamptz '2020-01-01' + i * interval '1 minute', md5(i::text)::uuid, random() < 0.1,
 (ARRAY['calm','busy','angry'])[1 + (random() * 2)::int]::size_mood, CASE WHEN random() < 0.2 THEN (random() * {rows})::int END,
 CASE WHEN random() < 0.5 THEN 'note ' || (random() * 5000)::int END, ('10.' || i % 200 || '.' || i % 250 || '.1')::inet, 'country ' || i % 40, 'city ' || i % 40 || ' ' || i / 40 % 25,
 ARRAY['t' || (random() * 300)::int, 't' || (random() * 300)::int, 't' || (random() * 30)::int],
 jsonb_build_object('plan', 'p' || i % 7, 'n', (random() * 900)::int, 'u', i), to_tsvector('simple', md5(i::text) || ' word' || i % 300 || ' common text')
FROM generate_series(1, {rows}) i;
"""


BTREES = ["(id)", "(small)", "(few)", "(skewed)", "(clustered)", "(parent)", "(word)", "(name)", "(long)", "(code)", "(price)", "(ratio)", "(day)", "(at)", "(key)",
          "(flag)", "(mood)", "(sparse)", "(note)", "(ip)", "(country)", "(city)", "(country, city)", "(few, small)", "(small, word)", "(day, few)", "(few, day, flag)",
          "(parent, small)", "(clustered, few)", "(skewed, few)", "(sparse, note)", "(mood, price)", "(word, id)", "(flag, at)", "(id, name)",
          "(few) INCLUDE (price)", "(day) INCLUDE (few, small)", "(skewed) INCLUDE (word, ratio)", "(id) INCLUDE (name, at)", "(sparse) INCLUDE (note)",
          "(id) WHERE flag", "(skewed) WHERE few < 10", "(at, few) WHERE note IS NULL", "(word) WHERE mood = 'calm'",
          "(lower(name))", "(upper(word))", "((doc ->> 'plan'))", "((doc ->> 'u'))", "(left(name, 18))", "((at AT TIME ZONE 'UTC'))", "(md5(word))",
          "(few DESC, day)", "(name text_pattern_ops)", "(city, price DESC)", "(substr(city, 1, 6), day)"]
OTHERS = ["USING hash (name)", "USING hash (few)", "USING hash (key)", "USING brin (at)", "USING brin (at, id)", "USING gin (tags)", "USING gin (words)",
          "USING gin (doc jsonb_path_ops)", "USING gin (doc)", "USING gin (name gin_trgm_ops)"]


def measure(database):
    tool = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build/asan")) / "tests/unit/advisor/index_sizes"
    out = subprocess.run([tool, database.dsn], capture_output=True, text=True, check=True).stdout
    return {name: float(guess) / float(real) for name, real, guess in (line.split("\t") for line in out.splitlines())}


def build(database, definitions, prefix):
    database.sql(*(f"CREATE INDEX {prefix}{n} ON kinds {d}" for n, d in enumerate(definitions)))


def geometric(ratios):
    return math.exp(sum(abs(math.log(r)) for r in ratios) / len(ratios))


@pytest.mark.parametrize("seed", [1, random.SystemRandom().randrange(2, 99)])
def test_sizes_of_b_trees(new_database, seed):
    rng = random.Random(seed)
    database = new_database(hypopg=False)
    database.sql(TABLES, fill(80000 + rng.randrange(60000), seed), "ANALYZE")
    build(database, BTREES, "b")
    ratios = {BTREES[int(n[1:])]: r for n, r in measure(database).items() if n[0] == "b"}
    far = sorted(((round(r, 2), d) for d, r in ratios.items() if not 1 / 1.15 < r < 1.15), reverse=True)
    assert len(ratios) >= 40
    assert geometric(ratios.values()) <= 1.08, (seed, far)
    assert all(1 / 1.6 <= r <= 1.6 for r in ratios.values()), (seed, far)


def test_sizes_of_other_methods(new_database):
    """No rule gives these exactly; they must be of the right size, and HypoPG knows none of them."""
    database = new_database(hypopg=False)
    database.sql("CREATE EXTENSION pg_trgm", TABLES, fill(120000, 7), "ANALYZE")
    build(database, OTHERS, "o")
    ratios = {OTHERS[int(n[1:])]: r for n, r in measure(database).items() if n[0] == "o"}
    far = {d: round(r, 2) for d, r in ratios.items() if not 1 / 1.6 <= r <= 1.6}
    assert not far


@pytest.mark.parametrize("budget", ["3MB", "12MB"])
def test_a_budget_is_in_bytes_on_disk(new_database, advise, budget):
    """What is advised for a budget, really built, takes no more than that (and a twentieth)."""
    database = new_database()
    database.sql(TABLES, fill(100000, 3))
    database.vacuum()
    advice = advise(database, """SELECT id, price FROM kinds WHERE few = 3 AND day > '2022-01-01'; SELECT word, count(*) FROM kinds WHERE small = 5 GROUP BY word;
        SELECT * FROM kinds WHERE name = 'customer name x'; SELECT price FROM kinds WHERE skewed = 77 ORDER BY at DESC LIMIT 5; SELECT id FROM kinds WHERE country = 'country 3' AND city = 'city 3 4';
        SELECT count(*) FROM kinds WHERE at > '2020-03-01' AND flag; SELECT sum(price) FROM kinds WHERE word = 'w55'""", "--budget", budget)
    assert advice.creates()
    for n, f in enumerate(advice.creates()):
        database.sql(f["ddl"].split("\n")[0].replace("CONCURRENTLY IF NOT EXISTS ", "").replace("CONCURRENTLY ", ""))
    real = database.sql("SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = 'kinds'::regclass")[0][0]
    assert real <= int(budget.removesuffix("MB")) * 1024 * 1024 * 1.05
