# SPDX-License-Identifier: ISC
"""What the lints look at: the sources of the tree, and the build of this run."""
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE_DIRS = ("include", "common", "pooler", "advisor")


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def sources():
    """All C files and headers of the two programs, relative to the root."""
    found = [p.relative_to(ROOT) for d in SOURCE_DIRS for p in sorted((ROOT / d).rglob("*.[ch]"))]
    assert len(found) > 20, "the sources are not where the lints look"
    return found


@pytest.fixture(scope="session")
def build():
    path = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build/asan"))
    assert (path / "build.ninja").exists(), f"no build in {path}: set BUILD_DIR or use tests/run"
    return path
