# SPDX-License-Identifier: ISC
"""Names are chosen by whoever may create a table, and the printed scripts are run by an owner of the database: a script does what it says, to what it means."""
import subprocess

NAMES = ["dollar$$tag", "$$; DROP TABLE victim; --", "cr\rDROP TABLE victim;--", "lf\nDROP TABLE victim;--", 'quo"te', "it's", "back\\slash", "select", "Upper",
         "日本語", "--", "/*", "*/", ":name", "x" * 63]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def run_script(advisor, database, statements):
    """The script of the report, run by psql: what psql complained of."""
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "sql", stdin=";\n".join(statements).encode(), text=False)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(["psql", database.dsn, "-X", "-q"], input=done.stdout, capture_output=True, check=False, timeout=60)
    return [line for line in ran.stderr.decode().splitlines() if "ERROR" in line or "WARNING" in line]


def test_no_name_gets_out_of_its_quotes(new_database, advisor, advise):
    database = new_database()
    database.sql("CREATE TABLE victim (a int)")
    statements = []
    for name in NAMES:
        table = quoted(name)
        database.sql(f"CREATE TABLE {table} (id int, {quoted(name)} int)",
                     f"INSERT INTO {table} SELECT g, g FROM generate_series(1, 5000) g",
                     f"CREATE INDEX {quoted(name[:50] + '_one')} ON {table} (id)", f"CREATE INDEX {quoted(name[:50] + '_two')} ON {table} (id)")
        statements.append(f"SELECT * FROM {table} WHERE {quoted(name)} = 5")
    database.vacuum()
    assert run_script(advisor, database, statements) == []
    assert database.sql("SELECT to_regclass('victim')::text")[0][0] == "victim"
    after = advise(database, ";\n".join(statements))
    assert not after.creates() and not after.drops(), "all of the script was done"


def test_an_index_is_not_taken_for_another_of_its_name(new_database, advisor, advise):
    """search_path finds the table in the second schema and an index of that name in the first."""
    database = new_database()
    database.sql(f"ALTER DATABASE {database.name} SET search_path = one, two, public", "CREATE SCHEMA one", "CREATE SCHEMA two",
                 "CREATE TABLE one.other (a int, b int)", "CREATE UNIQUE INDEX twin ON one.other (a)",
                 "CREATE TABLE two.t (a int, b int)", "INSERT INTO two.t SELECT g, g FROM generate_series(1, 5000) g",
                 "CREATE INDEX stays ON two.t (a)", "CREATE INDEX twin ON two.t (a)", "ANALYZE")
    (drop,) = [f for f in advise(database, "SELECT * FROM t WHERE a = 7").report["findings"] if f["kind"] != "create"]
    assert drop["table"] == "t" and drop["ddl"] == "DROP INDEX CONCURRENTLY IF EXISTS two.twin;"
    assert run_script(advisor, database, ["SELECT * FROM t WHERE a = 7"]) == []
    assert database.sql("SELECT to_regclass('one.twin') IS NOT NULL, to_regclass('two.twin') IS NULL")[0] == (True, True)


def test_trigrams_of_a_schema_off_the_search_path(new_database, advisor, advise, costs):
    """The class is written with its schema, and is the same one when an index has it."""
    database = new_database()
    database.sql('CREATE SCHEMA "Ext"', 'CREATE EXTENSION pg_trgm SCHEMA "Ext"', "CREATE TABLE t (id int, body text)",
                 "INSERT INTO t SELECT i, md5(i::text) || md5((7 * i)::text) FROM generate_series(1, 30000) i")
    database.vacuum()
    statement = "SELECT id FROM t WHERE body LIKE '%abcde%'"
    (create,) = advise(database, statement, *costs).creates()
    assert create["ddl"].endswith('ON t USING gin (body "Ext".gin_trgm_ops);')
    assert run_script(advisor, database, [statement]) == []
    assert advise(database, statement, *costs).creates() == []
