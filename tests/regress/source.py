# SPDX-License-Identifier: ISC
"""PostgreSQL's regression scripts: from Debian's source package by a deb-src list of our own, or a folder that is given."""
import os
import pathlib
import re
import subprocess
import tarfile

LIST = ("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
        "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main\n")


class Unavailable(Exception):
    """The text says why."""


def run(*cmd, **more):
    return subprocess.run([str(c) for c in cmd], capture_output=True, text=True, check=False, **more)


def fetch(work):
    """Downloads and unpacks into `work` (which the machine's own lists of packages do not notice); src/test/regress of it."""
    (work / "src.list").write_text(LIST, encoding="utf-8")
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    own = ["-q", "-o", f"Dir::Etc::sourcelist={work}/src.list", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={work}/lists",
           "-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=root"]
    done = run("apt-get", *own, "update", timeout=300)
    if done.returncode != 0:
        raise Unavailable(f"apt-get update: {done.stderr[-300:]}")
    installed = run("dpkg-query", "-W", "-f", "${Version}", "postgresql-15").stdout
    listed = re.findall(r"^Version: (.*)$", run("apt-cache", *own, "showsrc", "postgresql-15").stdout, re.M)
    for version in [v for v in [installed] if v in listed] + listed: # that of the server first; mirrors drop old ones
        if run("apt-get", *own, "source", "--download-only", f"postgresql-15={version}", cwd=work, timeout=600).returncode == 0:
            break
    archives = sorted(work.glob("postgresql-15_*.orig.tar.*"))
    if not archives:
        raise Unavailable("apt-get source postgresql-15 gives no archive")
    with tarfile.open(archives[-1]) as tar:
        tar.extractall(work, [m for m in tar.getmembers() if "/src/test/regress/" in m.name],
                       **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})) # Python 3.11.2 has no filters
    return next(work.glob("*/src/test/regress"))


def scripts(folder):
    """Names in the order of parallel_schedule, each on its own."""
    names = []
    for row in (folder / "parallel_schedule").read_text(encoding="utf-8").splitlines():
        kind, _, rest = row.partition(":")
        if kind == "test":
            names += rest.split()
    return [n for n in names if (folder / "sql" / f"{n}.sql").exists()]


def build_library(folder, target):
    """regress.so with the C functions that the scripts declare; False when the server's headers are not installed (the scripts then fail
    alike on both sides)."""
    include = pathlib.Path(run("/usr/lib/postgresql/15/bin/pg_config", "--includedir-server").stdout.strip() or "/nonexistent")
    if not (include / "postgres.h").exists():
        return False
    done = run("cc", "-shared", "-fPIC", "-O1", "-w", "-I", include, "-o", target, folder / "regress.c")
    if done.returncode == 0:
        os.chmod(target, 0o755)
    return done.returncode == 0
