# SPDX-License-Identifier: ISC
"""Fixtures of the advisor's end-to-end tests: fresh databases, the program, and what it said."""
import itertools
import json
import os
import pathlib
import subprocess

import pytest

from support.util import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}


def advisor_binary():
    path = os.environ.get("ADVISOR_BIN", str(ROOT / "build/asan/advisor/advisor"))
    if not os.path.exists(path):
        pytest.exit(f"no advisor binary at {path}: set ADVISOR_BIN or run tests/run", 3)
    return path


class Database:
    """One database of the private server."""

    def __init__(self, pg, name):
        self.pg = pg
        self.name = name
        self.conn = pg.connect(name)

    @property
    def dsn(self):
        return self.pg.dsn(self.name)

    def sql(self, *statements):
        rows = None
        for statement in statements:
            cur = self.conn.execute(statement)
            rows = cur.fetchall() if cur.description else None
        return rows

    def vacuum(self):
        """Statistics and visibility map, as a database has them that has been in use for a while."""
        def all_visible():
            # With synchronous_commit off a row counts as visible to all only after its WAL is on disk.
            conn.execute("CHECKPOINT")
            conn.execute("VACUUM ANALYZE")
            return conn.execute("SELECT coalesce(bool_and(relallvisible > 0), true) FROM pg_class WHERE relkind = 'r'"
                                " AND relpages > 10 AND relnamespace = 'public'::regnamespace").fetchone()[0]
        with self.pg.connect(self.name) as conn:
            wait_until(all_visible, 20)

    def cost(self, statement):
        plan = self.conn.execute("EXPLAIN (FORMAT JSON) " + statement).fetchone()[0]
        return plan[0]["Plan"]["Total Cost"]


class Advice:
    """A report in JSON, with the questions that tests ask."""

    def __init__(self, report):
        self.report = report

    def creates(self, table=None):
        return [f for f in self.report["findings"] if f["kind"] == "create" and table in (None, f["table"])]

    def drops(self):
        return {f["index"]: f["kind"] for f in self.report["findings"] if f["kind"] != "create"}

    @staticmethod
    def keys(finding):
        return [k.get("column") or k["expression"] for k in finding["keys"]]

    def indexes(self, table=None):
        """[(keys, INCLUDE columns, WHERE)]"""
        return [(self.keys(f), f["include"], f["where"]) for f in self.creates(table)]


@pytest.fixture(scope="session")
def advisor():
    """advisor(*arguments, stdin=None): the finished process; a sanitizer's word fails the test."""
    binary = advisor_binary()

    def run(*args, stdin=None, env=None, text=True):
        done = subprocess.run([binary, *args], input=stdin, capture_output=True, text=text, timeout=120, check=False,
                              env={**os.environ, **SANITIZERS, **(env or {})})
        assert done.returncode != 99 and "Sanitizer" not in str(done.stderr), done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def advise(advisor):
    """advise(database, statements, *options): the advice as Advice."""
    def run(database, statements, *options):
        done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "json", *options, stdin=statements)
        assert done.returncode == 0, done.stderr
        advice = Advice(json.loads(done.stdout))
        if "--budget" not in options and "--curve" not in options:
            assert all(f["queries"] for f in advice.creates()), "an index that serves no statement"
        return advice

    return run


@pytest.fixture(scope="module")
def new_database(pg):
    """new_database(): an empty database with HypoPG in it."""
    made = []
    numbers = itertools.count(1)

    def make(hypopg=True):
        name = f"adv_{os.urandom(4).hex()}_{next(numbers)}"
        pg.sql(f"CREATE DATABASE {name}")
        database = Database(pg, name)
        if hypopg:
            database.sql("CREATE EXTENSION hypopg")
        made.append(database)
        return database

    yield make
    for database in made:
        database.conn.close()
        pg.sql(f"DROP DATABASE {database.name} WITH (FORCE)")


@pytest.fixture(params=["hypopg", "model"])
def costs(request):
    """Both sources of costs: the options that choose them."""
    return [] if request.param == "hypopg" else ["--no-hypopg"]
