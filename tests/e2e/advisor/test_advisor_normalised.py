# SPDX-License-Identifier: ISC
"""Statements whose constants were taken out, as pg_stat_statements and the query log keep them: each must be planned."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/perf/advice"))
import chain  # noqa: E402
import trade  # noqa: E402

DATA = ROOT / "tests/data/normalised"


def statements(name):
    return [s.strip() for s in (DATA / name).read_text(encoding="utf-8").split(";\n") if s.strip()]


@pytest.fixture(scope="module")
def everyday(new_database):
    database = new_database()
    database.sql((DATA / "schema.sql").read_text(encoding="utf-8"))
    return database


@pytest.fixture(scope="module")
def company(new_database):
    database = new_database()
    database.sql("SELECT setseed(0.5)", trade.SCHEMA, *trade.data(0.1), chain.SCHEMA, *chain.data(0.05))
    database.vacuum()
    return database


def test_everyday_statements_are_all_planned(everyday, advise):
    texts = statements("oltp.sql")
    assert len(texts) >= 120
    report = advise(everyday, ";\n".join(texts), "--max-indexes", "1").report
    assert report["skipped"] == []
    assert not any("do not parse" in n for n in report["notes"])
    assert report["workload"]["statements"] == len(texts)


@pytest.mark.parametrize("name", ["trade", "chain"])
def test_analytic_statements_are_all_planned(company, advise, name):
    texts = statements(name + ".sql")
    report = advise(company, ";\n".join(texts), "--max-indexes", "1").report
    assert report["skipped"] == [] and report["workload"]["statements"] == len(texts)


def test_drawn_values_cost_what_real_ones_cost(company, advise):
    """Statement by statement: the plan with values from the statistics costs about what the plan with the true ones does."""
    far = []
    for number, text in enumerate(statements("trade.sql"), 1):
        if number in trade.DOMINANT:
            continue
        drawn = advise(company, text, "--max-indexes", "1", "--no-hypopg").report["workload"]["cost_before"]
        real = company.cost("/* for the comparison */ " + trade.STATEMENTS[number - 1])
        if not real / 2 <= drawn <= real * 2:
            far.append((number, real, drawn))
    assert len(far) <= 1, far


def test_generic_plans_where_no_value_is_right(new_database, advise, costs):
    """A type of which no value is known: no guess passes, so the server plans for unknown ones, hypothetical indexes included."""
    database = new_database()
    database.sql("CREATE TABLE t (id serial PRIMARY KEY, c text, filler text)",
                 "INSERT INTO t (c, filler) SELECT md5(i::text), repeat('f', 50) FROM generate_series(1, 30000) i")
    database.vacuum()
    advice = advise(database, "SELECT filler FROM t WHERE c = ($1::txid_snapshot)::text", *costs)
    assert advice.report["skipped"] == [] and [k for k, _, _ in advice.indexes()] == [["c"]]
    assert "values are not known" in advice.creates()[0]["confidence_why"]


def test_a_statement_that_no_value_repairs_is_reported(everyday, advise):
    report = advise(everyday, "SELECT no_such_function($1, name) FROM accounts WHERE id = $2").report
    assert "no_such_function" in report["skipped"][0]["why"]
