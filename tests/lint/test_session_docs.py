# SPDX-License-Identifier: ISC
"""docs/session-state.md: at least 60 features, and each names a test that is there."""
import re

ROW = re.compile(r"^\| (.+?) \| (.+?) \| (tests/\S+?)::(\w+) \|$", re.M)


def rows(root):
    return ROW.findall((root / "docs/session-state.md").read_text(encoding="utf-8"))


def test_each_feature_has_a_test(root):
    wrong = []
    for feature, _, path, name in rows(root):
        file = root / path
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not re.search(rf"^(def|static void) {name}\(", text, re.M):
            wrong.append(f"{feature}: {path}::{name}")
    assert not wrong


def test_at_least_sixty_features(root):
    assert len(rows(root)) >= 60


def test_each_row_says_one_of_the_words(root):
    """Every line of the feature tables is read: a row that is written otherwise would pass unseen."""
    text = (root / "docs/session-state.md").read_text(encoding="utf-8").split("## Settings")[1].split("## Not seen")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| feature", "|---"))]
    assert len(lines) == len(rows(root))
