# SPDX-License-Identifier: ISC
"""Fixtures of the end-to-end tests.

POOLER_BIN names the binary. With Debian's pgbouncer there the same tests check the tests: what is marked
`poolwise` (ours alone) or `newer` (PgBouncer releases after 1.18) is skipped."""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.certs import Certs  # noqa: E402
from support.pooler import Pooler  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.tap import FakeServer, Tap  # noqa: E402
from support.util import server_user  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "poolwise: a feature that PgBouncer does not have")
    config.addinivalue_line("markers", "newer: PgBouncer has it, the packaged 1.18 does not")
    config.addinivalue_line("markers", "differs: on purpose other than PgBouncer (the reason is given)")


def pytest_addoption(parser):
    parser.addoption("--shard", default="1/1", help="I/N: run every N-th test, beginning with the I-th")


def given_binary():
    path = os.environ.get("POOLER_BIN", str(ROOT / "build/asan/pooler/pooler"))
    if not os.path.exists(path):
        pytest.exit(f"no pooler binary at {path}: set POOLER_BIN or run tests/run", 3)
    return path


def is_reference():
    out = subprocess.run([given_binary(), "--version"], capture_output=True, text=True, check=False).stdout
    return out.lower().startswith("pgbouncer 1.18")


def pytest_collection_modifyitems(config, items):
    number, total = (int(n) for n in config.option.shard.split("/"))
    items[:] = items[number - 1::total]
    if config.option.collectonly or not is_reference():
        return
    for item in items:
        for mark in ("poolwise", "newer", "differs"):
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"{mark}: not in the reference binary"))


def private_dir(prefix):
    """A directory that the servers' account may use; its path is short enough for a unix socket."""
    base = os.environ.get("TEST_TMP") or "/tmp"
    path = tempfile.mkdtemp(prefix=prefix, dir=base)
    if os.geteuid() == 0:
        user = server_user()
        os.chown(path, user.pw_uid, user.pw_gid)
    os.chmod(path, 0o755)
    return path


@pytest.fixture(scope="session")
def reference():
    """True when the binary under test is the packaged PgBouncer."""
    return is_reference()


@pytest.fixture(scope="session")
def binary():
    """A copy of the binary where the unprivileged account can run it."""
    directory = private_dir("pw-bin-")
    copy = os.path.join(directory, "pooler")
    shutil.copy(given_binary(), copy)
    os.chmod(copy, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    yield copy
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def pg():
    """The private PostgreSQL of this run."""
    server = Postgres(private_dir("pw-pg-"))
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def new_dir():
    """new_dir(prefix): a directory for a pooler that lives longer than one test; the caller removes it."""
    return private_dir


@pytest.fixture(scope="session")
def own_pg_factory():
    """Further servers, for tests that stop or restart theirs."""
    servers = []

    def make(**more):
        server = Postgres(private_dir("pw-pg-")).create(**more)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.destroy()


@pytest.fixture(scope="session")
def certs():
    """Authorities and certificates of this run."""
    directory = private_dir("pw-tls-")
    yield Certs(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def tls_pg(certs):
    """A private PostgreSQL that speaks TLS. Its users log in as those of `pg` do; database p1 takes TLS only, p2
    none; u_cert shows a certificate."""
    server = Postgres(private_dir("pw-pg-"))
    try:
        server.create(tls=certs.server_settings())
        yield server
    finally:
        server.destroy()


@pytest.fixture
def make_pooler(binary, pg, request):
    """make_pooler(setting=value, ..., databases={}, users={}, auth_file={}): a running Pooler.

    At the end every one is stopped, must have exited with status 0, and must not have made a sanitizer speak."""
    made = []
    ref = is_reference()

    def make(*args, start=True, **settings):
        pooler = Pooler(binary, private_dir("pw-e2e-"), settings.pop("postgres", pg), **settings)
        made.append(pooler)
        if start:
            pooler.start(*args)
        return pooler

    yield make
    problems = []
    for pooler in made:
        try:
            pooler.stop()
        except AssertionError as e:
            problems.append(str(e))
            pooler.kill()
        report = pooler.sanitizer_report()
        if report:
            problems.append(report[-6000:])
        code = pooler.proc.returncode if pooler.proc else 0
        if not ref and code not in pooler.expect_exit:
            problems.append(f"exit status {code}\n{pooler.stderr()[-2000:]}\n{pooler.log()[-2000:]}")
        if problems or getattr(request.node, "failed_call", False):
            print(f"--- log of the pooler\n{pooler.log()[-6000:]}\n--- its stderr\n{pooler.stderr()[-3000:]}")
        pooler.remove()
    if made and pg.conn:
        pg.no_backends()
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed_call = True


@pytest.fixture
def pooler(make_pooler):
    """A pooler in transaction mode with the defaults of the tests."""
    return make_pooler()


@pytest.fixture
def tap(pg):
    """A recording relay in front of the private PostgreSQL."""
    t = Tap(pg.port)
    yield t
    t.close()


@pytest.fixture
def fake():
    """A scripted server."""
    f = FakeServer()
    yield f
    f.close()


@pytest.fixture(params=[1, 2, 4])
def workers(request):
    """Numbers of worker threads; with the reference binary only one round, without the setting."""
    if is_reference():
        if request.param != 1:
            pytest.skip("the reference binary has one thread")
        return {}
    return {"worker_threads": request.param}
