# SPDX-License-Identifier: ISC
"""External symbols: ours carry their prefix and never meet those of libpg_query, which exports unprefixed ones."""
import pathlib
import re
import subprocess

import pytest


def defined(path, *flags):
    out = subprocess.run(["nm", "--defined-only", *flags, str(path)], capture_output=True, text=True, check=True).stdout
    return {m.group(2) for m in re.finditer(r"^[0-9a-f]+ ([A-TVWX]) (\S+)$", out, re.M)}


@pytest.fixture(scope="module")
def ours(build):
    """Symbols of each object file of the programs, without what compilers and sanitizers add."""
    objects = {}
    for part in ("common", "pooler", "advisor"):
        for o in sorted((build / part).rglob("*.o")):
            objects[str(o.relative_to(build))] = {s for s in defined(o) if not s.startswith(("__", "_GLOBAL"))}
    assert objects, f"no object files in {build}"
    return objects


def library():
    found = sorted(pathlib.Path("/usr/lib").rglob("libpg_query.so*"))
    assert found, "libpg_query is not installed"
    return {s.split("@")[0] for s in defined(found[0], "-D")}


def test_disjoint_from_libpg_query(ours):
    theirs = library()
    assert len(theirs) > 1000 and "pg_query_parse" in theirs
    wrong = {f"{o}: {s}" for o, symbols in ours.items() for s in symbols & theirs if s != "main"}
    assert not wrong


def test_common_carries_its_prefix(ours):
    wrong = {f"{o}: {s}" for o, symbols in ours.items() if o.startswith("common/") for s in symbols if not s.startswith("pw_")}
    assert not wrong


def test_the_pooler_does_not_link_libpg_query(build):
    binary = build / "pooler/pooler"
    assert binary.exists()
    out = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in out and "pg_query" not in out
