# SPDX-License-Identifier: ISC
"""The drivers, one row each: how to get them, how to build their program, and the ways to use them."""
import os
import pathlib
import subprocess
from collections import namedtuple

HERE = pathlib.Path(__file__).resolve().parent

# `command(work)` gives the command line without scenario names, after building in `work` what must be built. `variants`: label ->
# value of VARIANT. `short`: part of tests/run.
Driver = namedtuple("Driver", "name packages npm command variants short version")


def run(*cmd, **more):
    done = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, check=False, timeout=600, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(c) for c in cmd)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout.strip()


def script(interpreter, name):
    return lambda work: [interpreter, str(HERE / name)]


def c_program(name, *libraries):
    def build(work):
        flags = run("pg_config", "--includedir")
        run("cc", "-std=gnu11", "-O1", "-Wall", "-I", flags, "-o", work / name, HERE / f"{name}.c", *[f"-l{x}" for x in libraries])
        return [str(work / name)]
    return build


def go(name):
    def build(work):
        (work / name).mkdir(exist_ok=True)
        for file in (f"{name}.go", "harness.go"):
            (work / name / file).write_text((HERE / file).read_text(encoding="utf-8"), encoding="utf-8")
        env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOCACHE=str(work / "gocache"), GOFLAGS="")
        run("go", "build", "-o", work / f"{name}.bin", f"{name}.go", "harness.go", cwd=work / name, env=env)
        return [str(work / f"{name}.bin")]
    return build


def java(work):
    run("javac", "-cp", "/usr/share/java/postgresql.jar", "-d", work, HERE / "Jdbc.java")
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{work}:/usr/share/java/postgresql.jar", "Jdbc"]


def node(name):
    def copy(work): # beside node_modules
        for file in (name, "harness.mjs"):
            (work / file).write_text((HERE / file).read_text(encoding="utf-8"), encoding="utf-8")
        return ["node", str(work / name)]
    return copy


PYTHON = "/usr/bin/python3"

DRIVERS = [
    Driver("psql", ["postgresql-client-15"], [], script("bash", "psql.sh"), {"": ""}, True, "postgresql-client-15"),
    Driver("libpq", ["libpq-dev", "gcc"], [], c_program("libpq", "pq"), {"": ""}, False, "libpq5"),
    Driver("psycopg2", ["python3-psycopg2"], [], script(PYTHON, "psycopg2_scenarios.py"), {"": ""}, True, "python3-psycopg2"),
    Driver("psycopg 3", ["python3-psycopg"], [], script(PYTHON, "psycopg3_scenarios.py"),
           {"prepare_threshold 5": "5", "prepare_threshold 0": "0", "not prepared": "none"}, True, "python3-psycopg"),
    Driver("asyncpg", ["python3-asyncpg"], [], script(PYTHON, "asyncpg_scenarios.py"), {"": "", "statement_cache_size 0": "0"}, True, "python3-asyncpg"),
    Driver("JDBC", ["libpostgresql-jdbc-java", "default-jdk-headless"], [], java,
           {"prepareThreshold 5": "", "prepareThreshold 1": "prepareThreshold=1", "prepareThreshold -1 (binary)": "prepareThreshold=-1",
            "autosave always": "autosave=always&prepareThreshold=1", "simple": "preferQueryMode=simple",
            "reWriteBatchedInserts": "reWriteBatchedInserts=true"}, False, "libpostgresql-jdbc-java"),
    Driver("node-postgres", ["nodejs"], ["pg@8"], node("node_postgres.mjs"), {"": ""}, False, "npm pg"),
    Driver("postgres.js", ["nodejs"], ["postgres@3"], node("postgres_js.mjs"), {"": "", "prepare: false": "simple"}, False, "npm postgres"),
    Driver("pgx v4", ["golang-go", "golang-github-jackc-pgx-v4-dev"], [], go("pgx"),
           {"prepare": "prepare", "describe": "describe", "simple protocol": "simple"}, False, "golang-github-jackc-pgx-v4-dev"),
    Driver("lib/pq", ["golang-go", "golang-github-lib-pq-dev"], [], go("libpq_go"), {"": "", "binary_parameters": "binary_parameters=yes"}, False,
           "golang-github-lib-pq-dev"),
    Driver("PHP PDO", ["php-cli", "php-pgsql"], [], script("php", "pdo.php"), {"": "", "emulated": "emulate"}, False, "php-pgsql"),
    Driver("Ruby pg", ["ruby", "ruby-pg"], [], script("ruby", "ruby_pg.rb"), {"": ""}, False, "ruby-pg"),
    Driver("Perl DBD::Pg", ["libdbd-pg-perl"], [], script("perl", "dbd_pg.pl"), {"": "", "pg_server_prepare 0": "0"}, False, "libdbd-pg-perl"),
    Driver("ODBC", ["odbc-postgresql", "unixodbc-dev", "gcc"], [], c_program("odbc", "odbc"),
           {"": "", "UseDeclareFetch": "UseDeclareFetch=1;Fetch=100;", "UseServerSidePrepare 0": "UseServerSidePrepare=0;"}, False, "odbc-postgresql"),
]
