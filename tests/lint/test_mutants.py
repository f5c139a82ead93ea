# SPDX-License-Identifier: ISC
"""The mutants (tests/mutants) still fit the tree. Whether they are killed only tests/mutants/run can tell."""
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests/mutants"))
import rows as mutants  # noqa: E402

ADVICE = "change the row in tests/mutants/mutants.toml and see `tests/mutants/run --only NAME` kill it"


def test_each_row_applies(root):
    """A change of the code took the text away that a row replaces: find the place where its feature is now."""
    wrong = [f"{row.name}: {problem}" for row in mutants.load() if (problem := row.problem(root))]
    assert not wrong, ADVICE


def test_each_row_has_its_test(root, build):
    wrong = list(mutants.missing_tests(mutants.load(), root, build))
    assert not wrong, ADVICE


def test_the_table_is_documented(root):
    """After a change of a row: tests/mutants/rows.py --write."""
    assert mutants.documented(root) == mutants.table(mutants.load(), mutants.documented_dates(root))
