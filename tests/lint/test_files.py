# SPDX-License-Identifier: ISC
"""Form: size of files, licence lines, and that each source file is told about."""
import re
import subprocess

import pytest

LIMIT = 600
# Tables of rows are exempt from the limit.
TABLES = ("params_table.c", "unicode_tables.c", "builtins_table.c")


def test_no_file_over_the_limit(root, sources):
    long = {str(p): n for p in sources if (n := len((root / p).read_text(encoding="utf-8").splitlines())) > LIMIT
            and p.name not in TABLES}
    assert not long


def test_every_c_file_starts_with_its_licence(root, sources):
    tests = [p.relative_to(root) for p in (root / "tests").rglob("*.[ch]")]
    wrong = [str(p) for p in [*sources, *tests] if not (root / p).read_text(encoding="utf-8").startswith("/* SPDX-License-Identifier: ISC */")]
    assert not wrong


def test_every_script_has_its_licence(root):
    scripts = [*root.glob("tests/**/*.py"), *root.glob("tests/**/*.sh"), root / "tests/run", root / "quickstart", root / ".ci/run"]
    wrong = [str(p.relative_to(root)) for p in scripts if p.stat().st_size
             and "SPDX-License-Identifier: ISC" not in p.read_text(encoding="utf-8")[:200]]
    assert not wrong


def test_every_source_file_is_built(root, sources):
    """A .c that no meson.build names is dead or forgotten."""
    named = "\n".join(p.read_text(encoding="utf-8") for d in ("common", "pooler", "advisor") for p in (root / d).rglob("meson.build"))
    wrong = [str(p) for p in sources if p.suffix == ".c" and p.name not in named]
    assert not wrong


def test_no_tabs_and_no_trailing_blanks(root, sources):
    wrong = [f"{p}:{n}" for p in sources for n, line in enumerate((root / p).read_text(encoding="utf-8").splitlines(), 1)
             if "\t" in line or line != line.rstrip()]
    assert not wrong


def test_nothing_is_left_to_do(root, sources):
    wrong = [f"{p}:{n}: {line.strip()}" for p in sources for n, line in enumerate((root / p).read_text(encoding="utf-8").splitlines(), 1)
             if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)]
    assert not wrong


@pytest.mark.parametrize("script", ["quickstart", "tests/run", ".ci/run", "tests/support/packages.sh"])
def test_shell_scripts_parse(root, script):
    subprocess.run(["bash", "-n", str(root / script)], check=True)
