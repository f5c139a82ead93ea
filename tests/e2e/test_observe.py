# SPDX-License-Identifier: ISC
"""Query observation: SHOW QUERIES and the query log."""
import json
import os

import pytest

from support import wire
from support.util import wait_until

pytestmark = pytest.mark.poolwise


def load(p, workers=1):
    clients = [p.client() for _ in range(3)]
    for i in range(10):
        for c in clients:
            c.ok(f"SELECT {i} AS simple_one")
            c.send(wire.group("SELECT $1::int AS bound_one", [i]))
            c.until_ready()
    clients[0].ok("SELECT pg_sleep(0.2)")
    for _ in range(3):
        clients[0].query("SELECT 1/0 AS failing_one")


def find(rows, word, key="query"):
    return [r for r in rows if word in (r.get(key) or "")]


def test_show_queries(make_pooler, workers):
    p = make_pooler(**workers)
    load(p)
    rows = p.console().show("QUERIES")
    (simple,) = find(rows, "simple_one")
    assert int(simple["calls"]) == 30, "literals must fold into one"
    (bound,) = find(rows, "bound_one")
    assert int(bound["calls"]) == 30
    total = [c for c in rows[0] if "total" in c and "time" in c]
    assert total, rows[0].keys()
    values = [float(r[total[0]]) for r in rows]
    assert values == sorted(values, reverse=True)
    (slow,) = find(rows, "pg_sleep")
    assert float(slow[total[0]]) >= 200_000, "microseconds"


def test_in_lists_and_comments_fold(make_pooler):
    p = make_pooler()
    c = p.client()
    for text in ("SELECT 'x' WHERE 1 IN (1)", "SELECT 'y'  WHERE 1 IN (1, 2, 3)", "/* note */ select 'z' WHERE 1 IN (7,8) -- end"):
        c.ok(text)
    rows = [r for r in p.console().show("QUERIES") if "in (" in r["query"].lower()]
    assert len(rows) == 1 and int(rows[0]["calls"]) == 3


def read_log(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def test_query_log(make_pooler, workers):
    p = make_pooler(query_log="queries.log", query_log_interval=1, **workers)
    load(p)
    path = os.path.join(p.dir, "queries.log")

    def calls(word):
        if not os.path.exists(path):
            return 0
        return sum(r.get("calls", 0) for r in read_log(path) if word in json.dumps(r))
    wait_until(lambda: calls("simple_one") == 30)
    wait_until(lambda: calls("failing_one") == 3)
    wait_until(lambda: calls("pg_sleep") == 1)
    text = open(path, encoding="utf-8").read()
    assert "22012" in text, "errors are counted by SQLSTATE"
    assert "p0" in text and "postgres" in text


def test_query_log_holds_no_values(make_pooler):
    p = make_pooler(query_log="queries.log", query_log_interval=1)
    c = p.client()
    c.ok("SELECT 'top secret literal'")
    c.send(wire.group("SELECT $1::text AS marker", ["top secret bind"]))
    c.until_ready()
    path = os.path.join(p.dir, "queries.log")
    wait_until(lambda: os.path.exists(path) and "marker" in open(path, encoding="utf-8").read())
    p.stop()
    text = open(path, encoding="utf-8").read()
    assert "top secret" not in text


def test_query_log_samples(make_pooler):
    p = make_pooler(query_log="queries.log", query_log_interval=1, query_log_samples=2)
    p.client().ok("SELECT 'a literal that is kept'")
    path = os.path.join(p.dir, "queries.log")
    wait_until(lambda: os.path.exists(path) and "a literal that is kept" in open(path, encoding="utf-8").read())


def test_query_log_is_reopened_on_sighup(make_pooler):
    p = make_pooler(query_log="queries.log", query_log_interval=1)
    path = os.path.join(p.dir, "queries.log")
    c = p.client()
    c.ok("SELECT 1 AS before_rotation")
    wait_until(lambda: os.path.exists(path) and "before_rotation" in open(path, encoding="utf-8").read())
    os.rename(path, path + ".1")
    p.console().do("RELOAD")
    c.ok("SELECT 1 AS after_rotation")
    wait_until(lambda: os.path.exists(path) and "after_rotation" in open(path, encoding="utf-8").read())


def test_query_log_that_cannot_be_written_is_told_at_start(make_pooler):
    """Not only when the first interval is lost."""
    p = make_pooler(query_log="nosuch/queries.log", query_log_interval=3600)
    wait_until(lambda: 'cannot open query_log "nosuch/queries.log": No such file or directory' in p.log() + p.stderr())


def test_query_log_is_flushed_at_exit(make_pooler):
    p = make_pooler(query_log="queries.log", query_log_interval=3600)
    p.client().ok("SELECT 1 AS at_the_end")
    p.stop()
    path = os.path.join(p.dir, "queries.log")
    assert find(read_log(path), "at_the_end") or "at_the_end" in open(path, encoding="utf-8").read()


def test_mem_shows_the_caches(make_pooler):
    p = make_pooler()
    load(p)
    rows = {r["name"]: r for r in p.console().show("MEM")}
    assert any(int(r["memtotal"]) > 0 for r in rows.values())
