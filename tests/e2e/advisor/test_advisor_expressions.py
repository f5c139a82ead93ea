# SPDX-License-Identifier: ISC
"""What is looked up is no column but made of some: the server must use what is advised, for it compares expressions by their form."""
import pytest

PEOPLE = """
CREATE EXTENSION pg_trgm;
CREATE EXTENSION cube;
CREATE EXTENSION earthdistance;
CREATE TABLE people (id serial PRIMARY KEY, tenant int, first text NOT NULL, last varchar(40) NOT NULL, phone char(15), nick text, about text, doc jsonb, lat float8, lon float8,
    boss int, deputy int);
INSERT INTO people (tenant, first, last, phone, nick, about, doc, lat, lon, boss, deputy)
SELECT i % 20, 'f' || i % 700, 'l' || (i::bigint * 7919) % 900, 10 + (i::bigint * 31) % 2500 || '-555-' || i, md5(i::text), 'about ' || md5((i % 3000)::text), jsonb_build_object('town', 'town' || i % 900),
       (i::bigint * 104729 % 1800) / 10.0 - 90, (i::bigint * 7919 % 3600) / 10.0 - 180, (i::bigint * 7919) % 30000, (i::bigint * 104729) % 30000
FROM generate_series(1, 40000) i;
CREATE INDEX people_tenant ON people (tenant);
CREATE TABLE shifts (id serial PRIMARY KEY, person int, began timestamp, ended timestamp, note text);
INSERT INTO shifts (person, began, ended, note) SELECT i % 40, timestamp '2025-01-01' + i * interval '8 hours', timestamp '2025-01-01' + i * interval '8 hours' + interval '7 hours', repeat('n', 60)
FROM generate_series(1, 2000) i;
CREATE TABLE marks (id serial PRIMARY KEY, at timestamp, kind int, what int, text text);
INSERT INTO marks (at, kind, what, text) SELECT timestamp '2025-01-01' + (i::bigint * 104729 % 60000) * interval '16 minutes', i % 300, (i::bigint * 7919) % 500, repeat('t', 80)
FROM generate_series(1, 60000) i;
"""


@pytest.fixture(scope="module")
def people(new_database):
    database = new_database()
    database.sql(PEOPLE)
    database.vacuum()
    return database


def assert_the_server_uses(database, finding, statement):
    database.sql(finding["ddl"].split("\n")[0].replace("CONCURRENTLY ", ""), "SET enable_seqscan = off")
    try:
        assert finding["index"] in str(database.sql("EXPLAIN (FORMAT JSON) " + statement))
    finally:
        database.sql(f"DROP INDEX {finding['index']}", "RESET enable_seqscan")


@pytest.mark.parametrize("method, where", [
    ("btree", "substring(phone from 1 for 4) IN ('1017', '2311')"),  # no substr() to the server
    ("btree", "substr(nick, 3, 6) = 'abcdef'"),
    ("btree", "first || ' ' || last = 'f7 l12'"),
    ("btree", "lower(last || ', ' || first) LIKE 'l12, f%'"),
    ("btree", "coalesce(nick, last, first) = 'abc'"),
    ("gin", "to_tsvector('english', first || ' ' || coalesce(about, '')) @@ to_tsquery('english', 'f7')"),
    ("gin", "to_tsvector('simple', about || ' ' || (doc ->> 'town')) @@ plainto_tsquery('simple', 'town77')"),
    ("gin", "setweight(to_tsvector('simple', last), 'A') || setweight(to_tsvector('simple', about), 'B') @@ to_tsquery('simple', 'l77')"),
    ("gin", "(first || ' ' || nick) ILIKE '%7 c4ca4%'"),
    ("gin", "nick % 'c4ca4238a0b923820dcc509a6f75849b'"),
    ("gin", "'c4ca4238a0' <% about"),
    ("gist", "point(lat, lon) <@ box(point(40, 10), point(40.5, 10.5))"),
    ("gist", "earth_box(ll_to_earth(48.1, 11.5), 20000) @> ll_to_earth(lat, lon)"),
])
def test_expressions(people, advise, costs, method, where):
    statement = "SELECT id FROM people WHERE " + where
    (finding,) = advise(people, statement, *costs).creates()
    assert finding["method"] == method
    assert_the_server_uses(people, finding, statement)


@pytest.mark.parametrize("where", [
    "first || boss = 'f7123'",                        # how a number is written is up to settings, as far as the server knows
    "first || $1 || last = 'f7 l12'",                 # an index would hold one value of it
    "concat(first, last) = 'f7l12'",
    "id % 7 = 3",
])
def test_no_expression(people, advise, costs, where):
    assert advise(people, "SELECT id FROM people WHERE " + where, *costs).creates() == []


def test_no_expression_of_two_tables(people, advise, costs):
    advice = advise(people, "SELECT p.id FROM people p JOIN shifts s ON s.person = p.boss WHERE p.first || ' ' || s.note = 'f7 n'", *costs)
    assert all("column" in key for f in advice.creates() for key in f["keys"])


def test_arms_behind_an_equality(people, advise, costs):
    """The index on tenant finds two thousand rows; each arm of the OR finds one or two."""
    advice = advise(people, "SELECT * FROM people WHERE tenant = 7 AND (boss = 5 OR deputy = 5)", *costs)
    assert sorted(keys[0] for keys, _, _ in advice.indexes()) == ["boss", "deputy"]


def test_list_of_pairs(people, advise, costs):
    """The server looks up each pair."""
    ((keys, _, _),) = advise(people, "SELECT text FROM marks WHERE (kind, what) IN ((7, 12), (8, 13))", *costs).indexes()
    assert sorted(keys) == ["kind", "what"]


@pytest.mark.parametrize("condition", ["m.at BETWEEN s.began AND s.ended", "m.at >= s.began AND m.at < s.ended"])
def test_range_that_another_table_tells(people, advise, condition):
    (finding,) = advise(people, f"SELECT m.id FROM shifts s JOIN marks m ON {condition} WHERE s.id = 77").creates()
    assert (finding["table"], finding["keys"][0]["column"]) == ("marks", "at")
