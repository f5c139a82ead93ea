# SPDX-License-Identifier: ISC
"""Documents that name files name those that exist, and every source file is named."""
import re

import codemap
import pytest

FILE = re.compile(r"`((?:include|common|pooler|advisor|tests|docs|conf)/[A-Za-z0-9_./*-]+)`")


def text(root, name):
    return (root / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md", "docs/testing.md", "docs/coding.md"])
def test_files_that_are_named_exist(root, name):
    missing = [f for f in FILE.findall(text(root, name)) if not list(root.glob(f.rstrip("/")))]
    assert not missing


def test_the_code_map_is_up_to_date(root):
    """After a new file or a changed purpose: tests/lint/codemap.py --write."""
    inside = text(root, "docs/architecture.md").split(codemap.BEGIN)[1].split(codemap.END)[0].strip()
    assert inside == codemap.code_map()


def test_the_code_map_names_every_source_file(sources):
    mapped = {path for path, _ in codemap.rows()}
    assert {p for p in sources if p.suffix == ".c"} == mapped


def test_every_file_says_what_it_does():
    """In its own opening comment, its header's, or by hand in the map."""
    assert [str(path) for path, purpose in codemap.rows() if not purpose] == []


def slugs(path):
    """The anchors that a page's headings have."""
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)}


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", *sorted(f"docs/{p.name}" for p in codemap.ROOT.glob("docs/*.md"))])
def test_links_lead_somewhere(root, name):
    page = root / name
    wrong = []
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", text(root, name)):
        target = page.parent / link if link else page
        if not target.exists() or (anchor and anchor not in slugs(target)):
            wrong.append(f"{link}#{anchor}")
    assert not wrong


def test_every_option_of_tests_run_is_documented(root):
    doc = text(root, "docs/testing.md")
    for option in re.findall(r"^    (?:-h \| )?(--[a-z-]+)\)", text(root, "tests/run"), re.M):
        assert option in doc, option
