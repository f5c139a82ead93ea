# SPDX-License-Identifier: ISC
"""advisor verify: really built, really measured, really taken back."""
import json
import os
import signal
import subprocess

import pytest
from conftest import SANITIZERS, advisor_binary

from support.util import wait_until

TABLES = """
CREATE TABLE c (id serial PRIMARY KEY, email text);
CREATE TABLE bare (a int, b text);
INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 60000) i;
INSERT INTO bare SELECT i, 'b' || i FROM generate_series(1, 60000) i;
"""
STATEMENTS = "-- weight: 30\nSELECT id FROM c WHERE email = 'e5';\nSELECT b FROM bare WHERE a = 77;\nDELETE FROM c WHERE email = 'e9'"
STATE = "SELECT relname, reltuples, relpages, relallvisible, relhasindex FROM pg_class WHERE relname IN ('c', 'bare') ORDER BY 1"
INDEXES = "SELECT relname FROM pg_class WHERE relkind IN ('i', 'I') AND relnamespace = 'public'::regnamespace ORDER BY 1"


@pytest.fixture
def pair(new_database):
    """The database that is advised on, and a copy to try on."""
    made = []
    for _ in range(2):
        database = new_database()
        database.sql(TABLES)
        database.vacuum()
        made.append(database)
    return made


def test_measures_and_takes_back(pair, advisor):
    database, scratch = pair
    # A row count as ANALYZE of an older day would have left: building an index must not correct it for good.
    scratch.sql("UPDATE pg_class SET reltuples = 59000 WHERE relname = 'c'")
    before, indexes = scratch.sql(STATE), scratch.sql(INDEXES)
    done = advisor("verify", "--sql", "-", "--dsn", database.dsn, "--scratch-dsn", scratch.dsn, "--format", "json", stdin=STATEMENTS)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert scratch.sql(STATE) == before and scratch.sql(INDEXES) == indexes and answer["restored"]
    assert database.sql(INDEXES) == indexes
    assert scratch.sql("SELECT count(*) FROM c WHERE email = 'e9'")[0][0] == 1, "what writes is not run"
    by = {q["query"]: q for q in answer["queries"]}
    fast = by["SELECT id FROM c WHERE email = 'e5'"]
    assert fast["after_ms"] < fast["before_ms"] / 3 and "c_email" in fast["uses"]
    assert by["DELETE FROM c WHERE email = 'e9'"]["why_not"] == "only SELECTs are run"
    assert answer["measured"] == 2 and answer["after_ms"] < answer["before_ms"] / 3
    for index in answer["indexes"]:
        assert index["used"] and 0.6 < index["bytes_estimated"] / index["bytes"] < 1.6 and index["build_ms"] > 0, index


def test_scratch_alone_and_text(pair, advisor):
    done = advisor("verify", "--sql", "-", "--scratch-dsn", pair[1].dsn, stdin=STATEMENTS)
    assert done.returncode == 0, done.stderr
    for part in ("before ms", "faster", "2 statements measured", "Everything was taken back", "estimated"):
        assert part in done.stdout, done.stdout


def test_not_on_the_database_itself(pair, advisor):
    database = pair[0]
    done = advisor("verify", "--sql", "-", "--dsn", database.dsn, "--scratch-dsn", database.dsn + " connect_timeout=5", stdin=STATEMENTS)
    assert done.returncode == 2 and "leads to the database of --dsn" in done.stderr and not done.stdout
    done = advisor("verify", "--sql", "-", "--dsn", database.dsn, stdin=STATEMENTS)
    assert done.returncode == 2 and "--scratch-dsn" in done.stderr


def test_leftovers_of_a_killed_run_go(pair, advisor):
    scratch = pair[1]
    scratch.sql("CREATE INDEX poolwise_verify_7 ON c (email)", "CREATE INDEX poolwise_verify_x ON c (email)")
    done = advisor("verify", "--sql", "-", "--dsn", pair[0].dsn, "--scratch-dsn", scratch.dsn, stdin=STATEMENTS)
    assert done.returncode == 0
    names = [r[0] for r in scratch.sql(INDEXES)]
    assert "poolwise_verify_7" not in names and "poolwise_verify_x" in names, "only its own names"


def test_ordinary_owner(pair, advisor, pg):
    """Without superuser the row counts cannot be restored, and that is said."""
    scratch = pair[1]
    scratch.sql("ALTER TABLE c OWNER TO u_trust", "ALTER TABLE bare OWNER TO u_trust", "GRANT CREATE ON SCHEMA public TO u_trust")
    done = advisor("verify", "--sql", "-", "--scratch-dsn", pg.dsn(scratch.name, "u_trust"), stdin=STATEMENTS)
    assert done.returncode == 0 and "run ANALYZE there" in done.stdout, done.stdout + done.stderr
    scratch.sql("DROP OWNED BY u_trust")


def test_interrupt_cleans_up(pair):
    scratch = pair[1]
    slow = "SELECT count(*) FROM c x JOIN c y ON x.id % 7 = y.id % 7 WHERE x.email || y.email <> 'x'"  # minutes
    run = subprocess.Popen([advisor_binary(), "verify", "--sql", "-", "--scratch-dsn", scratch.dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, **SANITIZERS})
    run.stdin.write(STATEMENTS + ";" + slow)
    run.stdin.close()
    wait_until(lambda: scratch.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'EXPLAIN (ANALYZE%%' AND state = 'active'"
                                   " AND datname = current_database()")[0][0], 30)
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 130, run.stderr.read()
    assert not [r for r in scratch.sql(INDEXES) if r[0].startswith("poolwise_verify")]
    run.stdout.close()
    run.stderr.close()
