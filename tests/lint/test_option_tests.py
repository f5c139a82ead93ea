# SPDX-License-Identifier: ISC
"""Each option has a test in which two of its values do different things (tests/lint/data/option-tests.tsv names it), and each
column of SHOW is looked at by one that wants to see it change."""
import ast
import pathlib
import re

import admin_documented as admin
import options_documented as options
from conftest import ROOT

DATA = ROOT / "tests/lint/data/option-tests.tsv"
E2E = ROOT / "tests/e2e"
# Views that tests/e2e/test_columns.py does not walk through, and where their columns are seen to change.
OTHER_VIEWS = {"dns_hosts": "test_hosts", "dns_zones": "test_hosts", "peers": "test_peers", "peer_pools": "test_peers", "listeners": "test_listen_shared", "pins": "test_session_pins",
               "version": "test_admin", "help": "test_admin", "averages": "test_admin"}


def functions_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {f.name for f in tree.body if isinstance(f, ast.FunctionDef)}


def data():
    for line in DATA.read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")


def test_every_option_has_a_test():
    rows = options.read_rows()
    wanted = [(s, r.name) for s in rows for r in rows[s]]
    assert sorted((s, n) for s, n, _ in data()) == sorted(wanted)


def test_the_tests_exist_and_know_the_option():
    """A setting may also come from what the test stands on."""
    support = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests/support").glob("*.py"))
    wrong = []
    for section, name, test in data():
        file, function = test.split("::")
        path = E2E / f"{file}.py"
        text = support + path.read_text(encoding="utf-8") if path.exists() else ""
        if not text or function not in functions_in(path) or not re.search(r"\b%s\b" % name, text):
            wrong.append((section, name, test))
    assert not wrong


def test_every_view_is_looked_at():
    columns, views = {}, {}
    for path in sorted(pathlib.Path(ROOT, admin.SOURCES).glob("*.c")):
        admin.read_file(path.name, columns, views)
    walk = ast.parse((E2E / "test_columns.py").read_text(encoding="utf-8"))
    (walked,) = [ast.literal_eval(n.value) for n in walk.body if isinstance(n, ast.Assign) and n.targets[0].id == "VIEWS"]
    missing = []
    for view in views:
        if view.upper() in walked:
            continue
        other = E2E / f"{OTHER_VIEWS.get(view.lower(), '?')}.py"
        if not other.exists() or view.lower() not in other.read_text(encoding="utf-8").lower():
            missing.append(view)
    assert not missing
