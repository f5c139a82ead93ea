# SPDX-License-Identifier: ISC
"""Kinds of indexes: where each is right, and where it would be wrong. With HypoPG and with the advisor's own model."""
import pytest

DOCUMENTS = """
CREATE EXTENSION pg_trgm;
CREATE TABLE docs (id serial PRIMARY KEY, kind text, body text, attrs jsonb, tags text[], words tsvector, token varchar(200), title text);
INSERT INTO docs (kind, body, attrs, tags, words, token, title)
SELECT 'k' || i % 5, 'some text ' || md5(i::text) || ' and more ' || md5((i * 7)::text), jsonb_build_object('sku', 's' || i, 'plan', 'p' || i % 3),
       ARRAY['t' || i % 900, 'u' || i % 700], to_tsvector('english', 'word' || i % 2000 || ' common ' || md5((i % 3000)::text)),
       repeat(md5(i::text), 3), 'title ' || md5((i * 3)::text) FROM generate_series(1, 40000) i;
CREATE TABLE log (id bigserial, at timestamp NOT NULL, host int, line text, shuffled timestamp);
INSERT INTO log (at, host, line, shuffled) SELECT timestamp '2024-01-01' + i * interval '10 seconds', i % 50, repeat('x', 80),
       timestamp '2024-01-01' + (i::bigint * 104729 % 400000) * interval '10 seconds' FROM generate_series(1, 400000) i;
CREATE TABLE small_log (id bigserial, at timestamp NOT NULL, line text);
INSERT INTO small_log (at, line) SELECT timestamp '2024-01-01' + i * interval '1 minute', 'x' FROM generate_series(1, 20000) i;
"""


@pytest.fixture(scope="module")
def documents(new_database):
    database = new_database()
    database.sql(DOCUMENTS)
    database.vacuum()
    return database


def kinds(advice, table=None):
    return [(f["method"], advice.keys(f), f["keys"][0].get("operator_class")) for f in advice.creates(table)]


@pytest.mark.parametrize("statement, keys, opclass", [
    ("SELECT id FROM docs WHERE attrs @> '{\"sku\": \"s77\"}'", ["attrs"], "jsonb_path_ops"),
    ("SELECT id FROM docs WHERE attrs ? 'rare'", ["attrs"], None),
    ("SELECT id FROM docs WHERE tags @> ARRAY['t7']", ["tags"], None),
    ("SELECT id FROM docs WHERE tags && ARRAY['t7', 'u9']", ["tags"], None),
    ("SELECT id FROM docs WHERE words @@ to_tsquery('english', 'word77')", ["words"], None),
    ("SELECT id FROM docs WHERE to_tsvector('english', body) @@ to_tsquery('english', 'word')", ["to_tsvector('english', body)"], None),
    ("SELECT id FROM docs WHERE body LIKE '%c4ca4238%'", ["body"], "gin_trgm_ops"),
    ("SELECT id FROM docs WHERE body ILIKE '%C4CA4238%'", ["body"], "gin_trgm_ops"),
    ("SELECT id FROM docs WHERE body ~ 'c4ca[0-9]+'", ["body"], "gin_trgm_ops"),
    ("SELECT id FROM docs WHERE attrs @> $1", ["attrs"], "jsonb_path_ops"),
    ("SELECT id FROM docs, plainto_tsquery('english', 'word77') q WHERE words @@ q", ["words"], None),
])
def test_gin(documents, advise, costs, statement, keys, opclass):
    advice = advise(documents, statement, *costs)
    assert kinds(advice) == [("gin", keys, opclass)]
    finding = advice.creates()[0]
    assert "USING gin" in finding["ddl"] and finding["bytes"] > 0
    documents.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""))
    plan = str(documents.sql("EXPLAIN (FORMAT JSON) " + statement.replace("$1", "'{\"sku\": \"s9\"}'")))
    documents.sql(f"DROP INDEX {finding['index']}")
    assert finding["index"] in plan, "the server uses what was advised"


@pytest.mark.parametrize("statement", [
    "SELECT id FROM docs WHERE attrs <@ '{\"a\": 1}'",            # no operator of the class
    "SELECT id FROM docs WHERE 't7' = ANY (tags)",                 # the server makes no use of GIN for it
    "SELECT id FROM docs WHERE body LIKE '%a%'",                   # too short for a trigram
    "SELECT id FROM docs WHERE NOT attrs @> '{\"sku\": \"s1\"}'",  # the others are nearly all
    "SELECT id FROM docs WHERE to_tsvector(body) @@ to_tsquery('word')",  # depends on the session's configuration
])
def test_no_gin(documents, advise, costs, statement):
    assert kinds(advise(documents, statement, *costs)) == []


def test_existing_gin_is_enough(documents, advise, costs):
    documents.sql("CREATE INDEX docs_attrs ON docs USING gin (attrs)")
    advice = advise(documents, "SELECT id FROM docs WHERE attrs @> '{\"sku\": \"s77\"}'", *costs)
    documents.sql("DROP INDEX docs_attrs")
    assert kinds(advice) == []


def test_gin_beside_an_index_that_finds_many(documents, advise, costs):
    """Today's plan reads a fifth of the table by the index on kind: GIN finds the few rows at once."""
    documents.sql("CREATE INDEX docs_kind ON docs (kind)")
    advice = advise(documents, "SELECT id FROM docs WHERE attrs @> '{\"sku\": \"s77\"}' AND kind = 'k2'", *costs)
    ordered = advise(documents, "SELECT * FROM docs WHERE attrs @> '{\"plan\": \"p1\"}' ORDER BY id LIMIT 3", *costs)
    documents.sql("DROP INDEX docs_kind")
    assert kinds(advice) == [("gin", ["attrs"], "jsonb_path_ops")]
    assert costs or kinds(ordered) == [], "below a LIMIT the scan ends after a few rows"


def test_writes_are_dear_with_gin(documents, advise, costs):
    """Each row brings many keys: a table that is written much more than searched gets none."""
    read = "SELECT id FROM docs WHERE body LIKE '%c4ca4238%';"
    write = "-- weight: 3000\nINSERT INTO docs (kind, body) VALUES ('a', 'text');"
    assert kinds(advise(documents, read, *costs)) and not kinds(advise(documents, read + write, *costs))


def test_brin_for_a_large_table_in_order(documents, advise, costs):
    statement = "SELECT sum(host), max(line) FROM log WHERE at >= '2024-01-10' AND at < '2024-01-20'"
    assert kinds(advise(documents, statement, "--budget", "1MB", *costs)) == [("brin", ["at"], None)]


@pytest.mark.parametrize("statement", [
    "SELECT sum(host), max(line) FROM log WHERE shuffled >= '2024-01-10' AND shuffled < '2024-01-20'",
    "SELECT line FROM small_log WHERE at >= '2024-01-10' AND at < '2024-01-11'",
    "SELECT line FROM log WHERE at = '2024-01-10 00:00:10'",
])
def test_no_brin(documents, advise, costs, statement):
    assert all(method != "brin" for method, _, _ in kinds(advise(documents, statement, *costs)))


def test_no_brin_beside_a_btree(documents, advise, costs):
    """The b-tree finds the same rows; a second condition does not make a BRIN of its column worth having (the planner would AND the two)."""
    documents.sql("CREATE INDEX log_at ON log (at)")
    advice = advise(documents, "SELECT sum(length(line)) FROM log WHERE at >= '2024-01-10' AND host = 7", *costs)
    documents.sql("DROP INDEX log_at")
    assert "brin" not in [method for method, _, _ in kinds(advice)]


def assert_size_is_told(database, advice):
    """The one index that is advised is made, and has about the size that was said."""
    (finding,) = advice.creates()
    database.sql(finding["script"][0].replace("CONCURRENTLY ", ""))
    (size,), = database.sql(f"SELECT pg_relation_size('{finding['index']}')")
    assert 0.5 < finding["bytes"] / size < 2


def test_size_of_gin_on_documents_that_are_mostly_alike(new_database, advise, costs):
    """Four of five are empty: they bring no keys."""
    database = new_database()
    database.sql("CREATE TABLE p (id serial PRIMARY KEY, attrs jsonb, filler text)",
                 "INSERT INTO p (attrs, filler) SELECT CASE WHEN i % 5 = 0 THEN jsonb_build_object('client', i % 3, 'ip', '10.0.' || i % 251 || '.' || i % 241) ELSE '{}' END, repeat('f', 90)"
                 " FROM generate_series(1, 60000) i")
    database.vacuum()
    assert_size_is_told(database, advise(database, "SELECT id FROM p WHERE attrs @> '{\"ip\": \"10.0.7.7\"}'", *costs))


def test_size_of_gin_on_few_words(new_database, advise, costs):
    """Texts of the same thirty words: long lists of rows, in a byte a row."""
    database = new_database()
    database.sql("CREATE TABLE p (id serial PRIMARY KEY, words tsvector, filler text)",
                 "INSERT INTO p (words, filler) SELECT to_tsvector('simple', concat_ws(' ', CASE WHEN i % 400 = 0 THEN 'rare' END, 'a' || i % 3, 'b' || i % 5, 'c' || i % 7, 'd' || i % 11)), repeat('f', 90)"
                 " FROM generate_series(1, 60000) i")
    database.vacuum()
    assert_size_is_told(database, advise(database, "SELECT id FROM p WHERE words @@ to_tsquery('simple', 'rare')", *costs))


@pytest.mark.parametrize("condition", ["upper(title) LIKE upper('%c4ca42%')", "UPPER(title::text) LIKE UPPER('%C4ca42%')"])
def test_patterns_without_case(documents, advise, costs, condition):
    """As ORMs write ILIKE: the index is on the expression, and the pattern is known although a function is around it."""
    assert kinds(advise(documents, f"SELECT id FROM docs WHERE {condition}", *costs)) == [("gin", ["upper(title)"], "gin_trgm_ops")]
    assert kinds(advise(documents, f"SELECT id FROM docs WHERE {condition}".replace("c4ca42", "c").replace("C4ca42", "c"), *costs)) == []


def test_hash_for_long_keys(documents, advise, costs):
    """Equality only, on values of a hundred bytes: the hash index is much smaller than a copy of all values."""
    statement = "SELECT id FROM docs WHERE token = 'abc'"
    assert kinds(advise(documents, statement, *costs)) == [("hash", ["token"], None)]
    ordered = statement + "; SELECT id FROM docs WHERE token > 'ff' ORDER BY token LIMIT 5"
    assert {method for method, _, _ in kinds(advise(documents, ordered, *costs))} == {"btree"}


def test_short_keys_get_no_hash(documents, advise, costs):
    assert [m for m, _, _ in kinds(advise(documents, "SELECT id FROM docs WHERE title = 'abc'", *costs))] == ["btree"]


@pytest.mark.parametrize("order, desc, nulls_first", [("ORDER BY kind, id DESC", True, True), ("ORDER BY kind DESC NULLS LAST, id DESC NULLS LAST", False, True),
                                                      ("ORDER BY kind, title DESC NULLS LAST", True, False)])
def test_directions_of_an_order(documents, advise, costs, order, desc, nulls_first):
    advice = advise(documents, f"SELECT body FROM docs {order} LIMIT 10", *costs)
    (finding,) = advice.creates()
    first, second = finding["keys"]
    assert first["column"] == "kind" and not first["descending"]
    assert second["descending"] == desc and second["nulls_first"] == nulls_first
    documents.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""))
    plan = str(documents.sql(f"EXPLAIN (FORMAT JSON) SELECT body FROM docs {order} LIMIT 10"))
    documents.sql(f"DROP INDEX {finding['index']}")
    assert finding["index"] in plan and "Sort" not in plan


PARTS = """
CREATE TABLE jobs (id serial PRIMARY KEY, state text NOT NULL, owner int, deleted_at timestamp, urgent boolean NOT NULL, at timestamp NOT NULL, payload text);
INSERT INTO jobs (state, owner, deleted_at, urgent, at, payload)
SELECT CASE WHEN i % 300 = 0 THEN 'queued' WHEN i % 2 = 0 THEN 'done' ELSE 'failed' END, i % 4000, CASE WHEN i % 50 <> 0 THEN timestamp '2024-01-01' + i * interval '1 minute' END,
       i % 100 = 0, timestamp '2024-01-01' + i * interval '1 minute', repeat('p', 50) FROM generate_series(1, 60000) i;
"""


@pytest.fixture(scope="module")
def jobs(new_database):
    database = new_database()
    database.sql(PARTS)
    database.vacuum()
    return database


@pytest.mark.parametrize("statement, where", [
    ("SELECT * FROM jobs WHERE state = 'queued' ORDER BY at LIMIT 10", "state = 'queued'"),
    ("SELECT * FROM jobs WHERE deleted_at IS NULL AND owner = 7", "deleted_at IS NULL"),
    ("SELECT * FROM jobs WHERE urgent AND at > '2024-02-01' ORDER BY at LIMIT 10", "urgent"),
])
def test_partial(jobs, advise, costs, statement, where):
    assert where in [w for _, _, w in advise(jobs, statement, "--budget", "400kB", *costs).indexes()]


@pytest.mark.parametrize("statements", [
    "SELECT * FROM jobs WHERE state = 'done' AND owner = 7",                              # half of the table
    "SELECT * FROM jobs WHERE owner = 7; SELECT * FROM jobs WHERE owner = 8",             # a constant of many values
    "SELECT * FROM jobs WHERE state = 'queued'; SELECT * FROM jobs WHERE state = 'done'",  # not the same constant every time
    "SELECT * FROM jobs WHERE state = $1 AND owner = $2",                                  # no constant at all
    "SELECT * FROM jobs WHERE deleted_at IS NOT NULL AND owner = 7",
])
def test_no_partial(jobs, advise, costs, statements):
    assert [w for _, _, w in advise(jobs, statements, *costs).indexes() if w] == []


@pytest.mark.parametrize("statement, lead", [
    ("SELECT id FROM members WHERE lower(email) = 'm77@example.com' AND deleted_at IS NULL", "lower(email)"),
    ("SELECT id FROM members WHERE team = 9 AND deleted_at IS NULL ORDER BY name LIMIT 20", "team"),
    ("SELECT m.id FROM teams t JOIN members m ON m.team = t.id WHERE t.name = 'team 8' AND m.active", "team"),
])
def test_what_most_rows_fulfil_does_not_lead(new_database, advise, costs, statement, lead):
    database = new_database()
    database.sql("CREATE TABLE teams (id int PRIMARY KEY, name text)", "INSERT INTO teams SELECT i, 'team ' || i FROM generate_series(1, 400) i",
                 "CREATE TABLE members (id serial PRIMARY KEY, team int, email text, name text, deleted_at timestamptz, active boolean)",
                 "INSERT INTO members (team, email, name, deleted_at, active) SELECT i % 400, 'm' || i || '@example.com', md5(i::text),"
                 " CASE WHEN i % 25 = 0 THEN now() END, i % 10 > 0 FROM generate_series(1, 60000) i")
    database.vacuum()
    advice = advise(database, statement, *costs)
    found = advice.creates("members")
    assert found and all(advice.keys(f)[0] == lead for f in found), [f["ddl"] for f in found]
