# SPDX-License-Identifier: ISC
"""./quickstart end to end, with the binaries of this run: the advice must help, and nothing may be left behind."""
import os
import re
import signal
import subprocess

import pytest

from conftest import ROOT

pytestmark = pytest.mark.poolwise


def quickstart(*args, timeout=400):
    return subprocess.run([str(ROOT / "quickstart"), "--no-install", "--no-build", "--build-dir",
                           os.environ.get("BUILD_DIR", str(ROOT / "build/asan")), *args],
                          capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)


def test_quickstart():
    out = quickstart("--seconds", "8")
    text = out.stdout
    assert out.returncode == 0, text[-3000:] + out.stderr[-3000:]
    timings = re.findall(r"^    (\w+) +([\d.]+) +([\d.]+) +([\d.]+)x$", text, re.M)
    assert len(timings) == 5, text[-2000:]
    # The slowest become at least ten times faster; what was slow because of a scan is judged, not what was quick before.
    slowest = sorted(timings, key=lambda t: -float(t[1]))[:3]
    assert all(float(t[3]) >= 10 for t in slowest), timings
    assert "customers_newsletter_idx" in text, "the useless index was not found"
    assert re.search(r"DROP INDEX[^\n]*order_items_order_id(_again)?_idx", text), "the duplicate index was not found"
    assert re.search(r"CREATE INDEX[^\n]*\((category, brand|brand, category), price", text)
    assert "cl_active" in text and "total_xact_count" in text
    assert " 0 failed" in text
    (directory,) = re.findall(r"a private PostgreSQL [\d.]+ in (/\S+)", text)
    assert not os.path.exists(directory), "something was left behind"


def test_quickstart_on_a_given_server(pg):
    out = quickstart("--seconds", "3", "--dsn", f"host=127.0.0.1 port={pg.port} user=postgres dbname=postgres")
    assert out.returncode == 0, out.stdout[-3000:] + out.stderr[-3000:]
    assert pg.one("SELECT count(*) FROM pg_database WHERE datname = 'poolwise_shop'") == 0


def test_quickstart_leaves_the_database_of_another_one_alone(pg):
    pg.sql("CREATE DATABASE poolwise_shop")
    try:
        out = quickstart("--dsn", f"host=127.0.0.1 port={pg.port} user=postgres dbname=postgres")
        assert out.returncode == 1 and "there is a database poolwise_shop already" in out.stderr
        assert pg.one("SELECT count(*) FROM pg_database WHERE datname = 'poolwise_shop'") == 1
    finally:
        pg.sql("DROP DATABASE poolwise_shop")


def test_quickstart_interrupted_leaves_nothing():
    """SIGINT twice, in the middle of the load. (Whoever runs the tests in the background ignores it, and that is inherited.)"""
    proc = subprocess.Popen(["env", "--default-signal=INT", str(ROOT / "quickstart"), "--no-install", "--no-build", "--build-dir",
                             os.environ.get("BUILD_DIR", str(ROOT / "build/asan"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, stdin=subprocess.DEVNULL, start_new_session=True)
    directory = None
    for line in proc.stdout:
        if "a private PostgreSQL " in line:
            directory = line.split(" in ")[1].strip()
        if "the sample shop" in line:
            break
    os.killpg(proc.pid, signal.SIGINT)
    assert any("interrupted" in line for line in proc.stderr)
    os.killpg(proc.pid, signal.SIGINT)
    proc.communicate(timeout=60)
    assert proc.returncode == 130 and directory and not os.path.exists(directory)


def test_quickstart_says_what_is_wrong():
    assert quickstart("--seconds", "soon").returncode == 2
    assert quickstart("--nonsense").returncode == 2
    assert quickstart("--dsn").returncode == 2, "an option without its value must not mean a private server"
    out = quickstart("--dsn", "host=127.0.0.1 port=1 dbname=postgres user=nobody")
    assert out.returncode == 1 and "cannot connect" in out.stderr
    assert quickstart("--help").returncode == 0
