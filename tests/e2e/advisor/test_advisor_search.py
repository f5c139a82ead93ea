# SPDX-License-Identifier: ISC
"""Properties of the selection on generated workloads: what must hold whatever the data are."""
import json
import pathlib
import random
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/perf/advice"))
import score  # noqa: E402
import trade  # noqa: E402
from support.util import wait_until  # noqa: E402

STATEMENTS = [s for n, s in enumerate(trade.STATEMENTS, 1) if n not in trade.DOMINANT]
MB = 1024 * 1024


@pytest.fixture(scope="module")
def company(new_database):
    database = new_database()
    database.sql(f"SELECT setseed({random.SystemRandom().random()})", trade.SCHEMA, *trade.data(0.25))
    database.vacuum()
    return database


@pytest.fixture(scope="module")
def judge(company):
    return score.Judge(company.conn, STATEMENTS)


def definitions(advice):
    return [score.nameless(f["ddl"].split("\n")[0].replace("IF NOT EXISTS ", "")) for f in advice.creates()]


@pytest.fixture(scope="module")
def sweep(company, advise, judge):
    """[(budget, advice, percent of the cost without)]"""
    found = []
    for budget in (1, 4, 10, 25, 60):
        advice = advise(company, ";\n".join(STATEMENTS), "--budget", f"{budget}MB")
        found.append((budget, advice, judge.percent(definitions(advice))))
    return found


def test_advice_never_makes_the_whole_dearer(sweep):
    assert all(percent <= 100 for _, _, percent in sweep)
    assert sweep[-1][2] < 60


def never_rises(costs):
    return all(b <= a for a, b in zip(costs, costs[1:]))


def test_more_space_is_never_worse(company, advise, sweep):
    """Exactly, also for budgets that are close to each other."""
    assert never_rises([percent for _, _, percent in sweep])
    rng = random.Random()
    budgets = sorted(rng.uniform(1, 30) for _ in range(3))
    budgets.insert(2, budgets[1] * 1.05)
    costs = [advise(company, ";\n".join(STATEMENTS), "--budget", f"{b:.3f}MB").report["workload"]["cost_after"] for b in budgets]
    assert never_rises(costs), list(zip(budgets, costs))


def test_budgets_between_the_rungs_are_used(company, advise):
    """The space above a round number buys something too (advisor/select/ladder.h)."""
    used = 0
    for rung, budget in ((3.5, 4.8), (7, 9.8), (10, 14.6)):
        low, high = (advise(company, ";\n".join(STATEMENTS), "--budget", f"{b}MB").report["workload"] for b in (rung, budget))
        assert high["cost_after"] <= low["cost_after"] and high["bytes"] <= budget * MB
        used += high["bytes"] > rung * MB and high["cost_after"] < low["cost_after"]
    assert used >= 1


def test_what_the_report_says_is_what_the_planner_says(sweep):
    for _, advice, percent in sweep:
        workload = advice.report["workload"]
        assert abs(100 * workload["cost_after"] / workload["cost_before"] - percent) < 0.5


def test_space_and_plans_are_bounded(sweep):
    for budget, advice, _ in sweep:
        assert advice.report["workload"]["bytes"] <= budget * MB
        assert sum(f["bytes"] for f in advice.creates()) <= budget * MB
    assert max(advice.report["plans"] for _, advice, _ in sweep) <= 1000


def test_better_than_a_naive_advisor(sweep, judge):
    singles = score.singles_ranking(judge)
    for budget, _, percent in sweep[2:]:
        assert percent < judge.percent(score.fill(judge, singles, budget * MB))


def test_no_duplicates(sweep):
    for _, advice, _ in sweep:
        shapes = [d for d in definitions(advice)]
        assert len(shapes) == len(set(shapes))


def test_the_order_of_the_statements_does_not_matter(company, advise):
    shuffled = STATEMENTS[:]
    random.Random().shuffle(shuffled)
    one, two = (advise(company, ";\n".join(s), "--budget", "10MB") for s in (STATEMENTS, shuffled))
    assert definitions(one) == definitions(two)
    assert one.report["workload"] == two.report["workload"] and one.report["plans"] == two.report["plans"]


def test_the_order_of_many_samples_does_not_matter(company, advise):
    """More texts of one shape than are kept: the same ones are, with the same share of the calls."""
    texts = [f"SELECT total FROM sales WHERE client_id = {i}" for i in range(40)] + [f"SELECT price FROM sale_lines WHERE good_id = {i}" for i in range(9)]
    shuffled = texts[:]
    random.Random().shuffle(shuffled)
    one, two = (advise(company, ";\n".join(s)).report for s in (texts, shuffled))
    assert one["workload"] == two["workload"] and one["workload"]["calls"] == pytest.approx(len(texts))
    for report in (one, two):
        for query in (q for f in report["findings"] for q in f["queries"]):
            del query["origin"]  # where it stood
    assert [(f["ddl"], f["queries"]) for f in one["findings"]] == [(f["ddl"], f["queries"]) for f in two["findings"]]


def test_curve(company, advise, sweep):
    """One sweep: costs fall with the space, the order ends at the answer, and it takes at most twice the plans."""
    budget, plain, _ = sweep[3]
    report = advise(company, ";\n".join(STATEMENTS), "--budget", f"{budget}MB", "--curve").report
    curve, order = report["curve"], report["build_order"]
    assert len(curve) >= 5 and sum(p["knee"] for p in curve) == 1
    assert all(b["cost"] <= a["cost"] and b["budget"] > a["budget"] for a, b in zip(curve, curve[1:]))
    assert all(p["bytes"] <= p["budget"] for p in curve)
    assert {s["index"] for s in order} == {f["index"] for f in report["findings"] if f["kind"] == "create"}
    assert abs(order[-1]["cost"] / report["workload"]["cost_after"] - 1) < 0.01
    assert report["plans"] <= 2000
    assert report["workload"] == plain.report["workload"], "a curve does not change the answer"
    for point in (curve[-1], curve[-4]):
        single = advise(company, ";\n".join(STATEMENTS), "--budget", str(int(point["budget"]))).report
        assert single["workload"]["cost_after"] == point["cost"] and single["workload"]["bytes"] == point["bytes"]


def test_an_answer_at_any_time(company, advise):
    full = advise(company, ";\n".join(STATEMENTS), "--budget", "25MB").report
    some = advise(company, ";\n".join(STATEMENTS), "--budget", "25MB", "--max-calls", "300").report
    assert some["plans"] <= 300 and any("after 300 plans" in n for n in some["notes"])
    assert full["workload"]["cost_after"] <= some["workload"]["cost_after"] * 1.01
    assert some["workload"]["cost_after"] < some["workload"]["cost_before"]
    timed = advise(company, ";\n".join(STATEMENTS), "--budget", "25MB", "--time-limit", "0.05").report
    assert any("seconds" in n for n in timed["notes"]) and timed["workload"]["cost_after"] <= timed["workload"]["cost_before"]


@pytest.fixture
def sessions(company):
    """How many sessions a piece of work opens in the database; the server counts them when they end."""
    def count():
        company.sql("SELECT pg_stat_clear_snapshot()")
        return company.sql("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")[0][0]

    def during(work, expected):
        before = count()
        work()
        wait_until(lambda: count() >= before + expected, 10)
        return count() - before
    return during


def test_connections_do_not_change_the_advice(company, advise, costs, sessions):
    """One or several: the same reports, word for word; and there are several."""
    reports = {}

    def ask(n):
        reports[n] = advise(company, ";\n".join(STATEMENTS), "--budget", "10MB", "--connections", str(n), *costs).report
    for n in (1, 4):
        assert sessions(lambda n=n: ask(n), n) == n
    assert reports[1] == reports[4]


def test_connections_and_limits(company, advise):
    """A limit on plans cuts all connections off at the same place."""
    one, four = (advise(company, ";\n".join(STATEMENTS), "--budget", "25MB", "--max-calls", "200", "--connections", n).report for n in "14")
    assert one == four and one["plans"] <= 200


def test_no_more_connections_to_be_had(company, advisor, pg):
    pg.sql("CREATE ROLE lone LOGIN CONNECTION LIMIT 2 IN ROLE pg_read_all_data")
    done = advisor("report", "--sql", "-", "--dsn", company.pg.dsn(company.name, "lone"), "--format", "json", "--connections", "4", stdin=";\n".join(STATEMENTS))
    pg.sql("DROP ROLE lone")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert any("over 2 connections instead of 4" in n for n in report["notes"]) and report["findings"]


def test_budget_as_a_share_of_the_database(company, advise):
    size = company.sql("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace")[0][0]
    share = advise(company, ";\n".join(STATEMENTS), "--budget", "10%").report
    assert share["workload"]["budget"] == pytest.approx(float(size) / 10, rel=0.02)
    assert 0 < share["workload"]["bytes"] <= share["workload"]["budget"]


def test_upkeep_is_limited(company, advise):
    """Indexes on a table that is written to all the time: less of them, and those on others stay."""
    texts = ";\n".join(STATEMENTS) + ";\n-- weight: 300\nINSERT INTO sales (sale_id, client_id, total, sold_on) VALUES (1, 1, 1, now())"
    free, bound = (advise(company, texts, *options).report for options in ([], ["--max-write-penalty", "0.01"]))

    def upkeep(report):
        return sum(f["write_cost"] for f in report["findings"] if f["kind"] == "create")
    assert upkeep(free) > 0.0001 >= upkeep(bound) and bound["workload"]["cost_after"] < bound["workload"]["cost_before"]


def without_values(name, dominant):
    texts = (ROOT / "tests/data/normalised" / name).read_text(encoding="utf-8").split(";\n")
    return ";\n".join(s for n, s in enumerate(texts, 1) if s.strip() and n not in dominant)


@pytest.mark.parametrize("budget", ["3MB", "12MB", "25MB"])
def test_poorer_sources_reach_most_of_the_gain(company, advise, advisor, judge, budget, tmp_path):
    """A normalised log and no extension, or no server at all, against values and HypoPG; all judged by the planner."""
    texts = without_values("trade.sql", trade.DOMINANT)
    best = 100 - judge.percent(definitions(advise(company, ";\n".join(STATEMENTS), "--budget", budget)))
    model = 100 - judge.percent(definitions(advise(company, texts, "--budget", budget, "--no-hypopg")))
    snapshot = tmp_path / "company.json"
    snapshot.write_text(advisor("snapshot", "--dsn", company.dsn).stdout)
    done = advisor("report", "--sql", "-", "--snapshot", str(snapshot), "--format", "json", "--budget", budget, stdin=texts)
    offline = 100 - judge.percent([score.nameless(f["ddl"].split("\n")[0].replace("IF NOT EXISTS ", ""))
                                   for f in json.loads(done.stdout)["findings"] if f["kind"] == "create"])
    assert model >= 0.80 * best and offline >= 0.70 * best, (best, model, offline)


def test_existing_indexes_are_not_advised_again(company, advise):
    advice = advise(company, ";\n".join(STATEMENTS), "--budget", "10MB")
    made = definitions(advice)
    for n, d in enumerate(made):
        company.sql(d.replace("CREATE INDEX ", f"CREATE INDEX made_{n} ", 1))
    again = advise(company, ";\n".join(STATEMENTS), "--budget", "10MB")
    for n in range(len(made)):
        company.sql(f"DROP INDEX made_{n}")
    assert not set(made) & set(definitions(again))
