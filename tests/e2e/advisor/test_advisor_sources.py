# SPDX-License-Identifier: ISC
"""The same workload through every source: PostgreSQL's logs in all forms, pg_stat_statements, scripts, the pooler's query log."""
import glob
import html.parser
import json
import os

import psycopg
import pytest
from conftest import Database

from support.util import wait_until

TABLES = """
CREATE TABLE c (id serial PRIMARY KEY, email text);
CREATE TABLE o (id serial PRIMARY KEY, c_id int, note text);
INSERT INTO c (email) SELECT 'e' || i FROM generate_series(1, 20000) i;
INSERT INTO o (c_id, note) SELECT 1 + i % 5000, repeat('n', 40) FROM generate_series(1, 30000) i;
"""


@pytest.fixture(scope="module")
def server(own_pg_factory):
    pg = own_pg_factory()
    for setting, value in (("logging_collector", "on"), ("log_destination", "stderr,csvlog,jsonlog"), ("log_directory", "log"), ("log_filename", "x.log"),
                           ("log_line_prefix", "%m|%p,%l %q[user=%u,db=%d: app=%a] "), ("log_file_mode", "0644"),
                           ("shared_preload_libraries", "pg_stat_statements"), ("log_min_duration_statement", "-1")):
        pg.sql(f"ALTER SYSTEM SET {setting} = '{value}'" if setting != "shared_preload_libraries" else f"ALTER SYSTEM SET {setting} = {value}")
    pg.stop()
    pg.start()
    yield pg


@pytest.fixture(scope="module")
def database(server):
    d = Database(server, "p1")
    d.sql(*[s for s in TABLES.split(";\n") if s.strip()], "CREATE EXTENSION hypopg", "CREATE EXTENSION pg_stat_statements")
    d.vacuum()
    d.sql("SELECT pg_stat_statements_reset()")
    server.sql("ALTER DATABASE p1 SET log_min_duration_statement = 0")
    traffic(server)
    server.sql("ALTER DATABASE p1 SET log_min_duration_statement = -1")
    yield d
    d.conn.close()


def traffic(server):
    """Simple and extended protocol, several lines, values with quotes, errors and a rollback in between."""
    with psycopg.connect(server.dsn("p1"), autocommit=True) as conn:
        for i in range(30):
            conn.execute(f"SELECT id\n\tFROM c\n-- LOG:  no message\nWHERE email = 'e{i}'")
        for i in range(40):
            conn.execute("SELECT * FROM o WHERE c_id = %s AND note <> %s", (i, "it's a $1,\n\"quoted\" value"), prepare=i > 5)
        with pytest.raises(psycopg.Error):
            conn.execute("SELECT * FROM nowhere")
        conn.execute("SET application_name = 'LOG:  x'")
        conn.execute("SELECT count(*) FROM c")


def log(server, ending):
    (path,) = glob.glob(os.path.join(server.data, "log", ending))
    wait_until(lambda: "count(*)" in open(path, encoding="utf-8").read(), 10)
    return path


def advice(advisor, database, *args, stdin=None):
    done = advisor("report", *args, "--dsn", database.dsn, "--format", "json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def found(report):
    return {(f["kind"], f["table"], tuple(k["column"] for k in f["keys"])) for f in report["findings"]}


EXPECTED = {("create", "c", ("email",)), ("create", "o", ("c_id",))}


@pytest.mark.parametrize("ending", ["x.log", "x.csv", "x.json"])
def test_logs(server, database, advisor, ending):
    report = advice(advisor, database, "--log", log(server, ending))
    assert found(report) == EXPECTED
    calls = {f["table"]: sum(q["calls"] for q in f["queries"]) for f in report["findings"]}
    assert calls == {"c": 30, "o": 40}
    assert report["workload"]["measured"] and all(q["measured_ms"] > 0 for f in report["findings"] for q in f["queries"])
    assert not any("nowhere" in s["query"] for s in report["skipped"]), "what failed was not executed"
    samples = [q["query"] for f in report["findings"] if f["table"] == "o" for q in f["queries"]]
    assert any("it''s a $1," in s and "c_id = '" in s for s in samples), samples


def test_standard_input_and_several_files(server, database, advisor):
    text = open(log(server, "x.log"), encoding="utf-8").read()
    report = advice(advisor, database, "--log", "-", stdin=text)
    assert found(report) == EXPECTED
    report = advice(advisor, database, "--log", log(server, "x.csv"), "--log", log(server, "x.json"))
    assert sum(q["calls"] for f in report["findings"] if f["table"] == "c" for q in f["queries"]) == 60


@pytest.mark.parametrize("prefix", ["", "%t:%r:%u@%d:[%p]:", "< %m >", "%m [%p] %q%u@%d ", "LOG: "])
def test_any_prefix(database, advisor, prefix):
    head = prefix.replace("%m", "2026-01-02 03:04:05.678 UTC").replace("%t", "2026-01-02 03:04:05 UTC").replace("%p", "77").replace("%q", "")
    head = head.replace("%u", "me").replace("%d", "p1").replace("%r", "10.0.0.1(5432)")
    text = (f"{head}LOG:  duration: 1.5 ms  statement: SELECT *\n\tFROM c WHERE email = 'a'\n"
            f"{head}ERROR:  nothing\n{head}STATEMENT:  SELECT * FROM o WHERE note = 'x'\n"
            f"{head}LOG:  duration: 0.1 ms  parse <unnamed>: SELECT * FROM o WHERE c_id = $1\n"
            f"{head}LOG:  duration: 0.1 ms  bind <unnamed>: SELECT * FROM o WHERE c_id = $1\n{head}DETAIL:  parameters: $1 = '5'\n"
            f"{head}LOG:  duration: 2.5 ms  execute <unnamed>: SELECT * FROM o WHERE c_id = $1\n{head}DETAIL:  parameters: $1 = '5'\n"
            f"{head}LOG:  duration: 2.5 ms  execute fetch from <unnamed>: SELECT * FROM o WHERE c_id = $1\n{head}DETAIL:  parameters: $1 = '5'\n"
            f"{head}LOG:  checkpoint starting: time\n{head}LOG:  duration: 2.0 ms\n{head}LOG:  dur")
    report = advice(advisor, database, "--log", "-", stdin=text)
    assert {(f["table"], q["calls"], q["measured_ms"]) for f in report["findings"] for q in f["queries"]} == {("c", 1, 1.5), ("o", 1, 2.5)}


def test_auto_explain(database, advisor):
    head = "2026-01-02 03:04:05.678 UTC [7] "
    plans = (f"{head}LOG:  duration: 5.0 ms  plan:\n\tQuery Text: SELECT *\n\tFROM c WHERE email = 'a'\n\tSeq Scan on c  (cost=0.00..9.00 rows=1 width=4)\n\t  Filter: x\n"
             f"{head}LOG:  duration: 6.0 ms  plan:\n\t{{\n\t  \"Query Text\": \"SELECT * FROM o WHERE c_id = 7\",\n\t  \"Plan\": {{}}\n\t}}\n")
    report = advice(advisor, database, "--log", "-", stdin=plans)
    assert found(report) == EXPECTED and report["findings"][0]["queries"][0]["measured_ms"] in (5, 6)
    both = f"{head}LOG:  duration: 5.1 ms  statement: SELECT * FROM o WHERE c_id = 7\n" + plans
    assert advice(advisor, database, "--log", "-", stdin=both)["workload"]["calls"] == 1, "executions are not counted twice"


def test_auto_explain_of_a_server(own_pg_factory, advisor):
    """What the server really writes, in all of its formats and destinations, with log_error_verbosity = verbose; temporary files and lock waits too."""
    pg = own_pg_factory()
    for setting, value in (("logging_collector", "on"), ("log_destination", "'stderr,csvlog,jsonlog'"), ("log_directory", "'log'"), ("log_filename", "'x.log'"), ("log_file_mode", "'0644'"),
                           ("log_error_verbosity", "verbose"), ("log_temp_files", "0"), ("log_lock_waits", "on"), ("deadlock_timeout", "'10ms'"),
                           ("log_line_prefix", "'%n [%p] %b %i %v %x %e %q%u@%d %h %a '")):
        pg.sql(f"ALTER SYSTEM SET {setting} = {value}")
    pg.stop()
    pg.start()
    text = "SELECT '<&>\"\\' AS {0},\n\tg FROM generate_series(1, 3) g\nWHERE g < 2"
    with pg.connect("p1") as conn, pg.connect("p1") as other:
        conn.execute("LOAD 'auto_explain'")
        conn.execute("SET auto_explain.log_min_duration = 0")
        for form in ("text", "json", "yaml", "xml"):
            conn.execute(f"SET auto_explain.log_format = {form}")
            conn.execute(text.format(form))
        conn.execute("SET auto_explain.log_min_duration = -1")
        conn.execute("SET work_mem = '64kB'")
        conn.execute("SELECT count(*) FROM (SELECT g FROM generate_series(1, 100000) g ORDER BY g DESC) x")
        conn.execute("CREATE TABLE locked (a int)")
        with conn.transaction():
            conn.execute("LOCK TABLE locked")
            other.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.Error):
                other.execute("SELECT * FROM locked")
    for ending in ("x.log", "x.csv", "x.json"):
        path = os.path.join(pg.data, "log", ending)
        wait_until(lambda p=path: "lock timeout" in open(p, encoding="utf-8").read(), 10)
        counts, *shapes = map(json.loads, ok(advisor("collect", "--log", path, "--database", "p1", "--log-line-prefix", "%n [%p] %b %i %v %x %e %q%u@%d %h %a ")).splitlines())
        texts = {s["text"].replace("\n\t", "\n").replace("\t", "") for shape in shapes for s in shape["samples"]}
        assert texts >= {text.format(form).replace("\t", "") for form in ("text", "json", "yaml", "xml")}, (ending, texts)
        assert counts["statements"] == 4 and counts["temp_files"] >= 1 and counts["temp_bytes"] > 100000 and counts["lock_waits"] == 1 and counts["errors"] == 1, (ending, counts)


def test_pg_stat_statements(server, database, advisor, tmp_path):
    report = advice(advisor, database, "--pg-stat-statements")
    assert found(report) == EXPECTED
    by = {f["table"]: f["queries"][0] for f in report["findings"]}
    assert by["c"]["calls"] == 30 and by["o"]["calls"] == 40 and "$1" in by["c"]["query"] and by["c"]["origin"] == "pg_stat_statements"
    assert not any("pg_catalog" in s["query"] for s in report["skipped"])
    rows = database.conn.execute("COPY (SELECT * FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'p1')) TO '/dev/null'")
    assert rows is not None
    path = tmp_path / "pgss.csv"
    with database.conn.cursor() as cur, cur.copy("COPY (SELECT * FROM pg_stat_statements) TO STDOUT WITH (FORMAT csv, HEADER)") as copy:
        path.write_bytes(b"".join(bytes(b) for b in copy))
    report = advice(advisor, database, "--log", str(path))
    assert found(report) == EXPECTED


def test_pg_stat_statements_that_hides_texts(server, database, advisor):
    server.sql("ALTER ROLE u_plain PASSWORD 'x'")
    database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO u_trust")
    done = advisor("report", "--pg-stat-statements", "--dsn", server.dsn("p1", "u_trust"), "--format", "json")
    report = json.loads(done.stdout)
    assert any("hides the texts of" in n and "pg_read_all_stats" in n for n in report["notes"]), report["notes"]
    server.sql("GRANT pg_read_all_stats TO u_trust")
    report = json.loads(advisor("report", "--pg-stat-statements", "--dsn", server.dsn("p1", "u_trust"), "--format", "json").stdout)
    assert found(report) == EXPECTED and not any("hides" in n for n in report["notes"])


def test_pg_stat_statements_that_is_not_there(server, advisor):
    done = advisor("report", "--pg-stat-statements", "--dsn", server.dsn("p2"))
    assert done.returncode == 4 and "shared_preload_libraries" in done.stderr
    done = advisor("report", "--pg-stat-statements", "--snapshot", "x")
    assert done.returncode == 2 and "--pg-stat-statements" in done.stderr


@pytest.mark.parametrize("text, note", [("2026-01-02 03:04:05 UTC [7] LOG:  checkpoint starting\n", "log_min_duration_statement"),
                                        ("\n\n2026-01-02 UTC LOG:  x\n\ty\n", "log_min_duration_statement")])
def test_a_log_without_statements(database, advisor, text, note):
    assert any(note in n for n in advice(advisor, database, "--log", "-", stdin=text)["notes"])


def query_line(text, calls, rows, us, fingerprint):
    return json.dumps({"poolwise": 1, "type": "query", "start_us": 1, "end_us": 2, "database": "p1", "user": "u", "application_name": "", "kind": "SELECT",
                       "fingerprint": fingerprint, "query": text, "calls": calls, "failed": 0, "rows": rows, "bytes_in": 1, "bytes_out": 1, "server_us": us})


def test_one_by_one_look_ups_in_a_query_log(database, advisor, tmp_path):
    """500 calls that return 4 rows each, and 2,000 look-ups by the key that ties the tables."""
    database.sql("ALTER TABLE o ADD CONSTRAINT o_c FOREIGN KEY (c_id) REFERENCES c")
    path = tmp_path / "q.log"
    lists = query_line("SELECT id, c_id FROM o WHERE id < $1", 500, 2000, 1000, "00000000000000a1")
    for calls, expected in ((2000, True), (900, False)):
        path.write_text(lists + "\n" + query_line("SELECT email FROM c WHERE id = $1", calls, calls, 1000, "00000000000000a2") + "\n")
        report = advice(advisor, database, "--log", str(path))
        kinds = [h["kind"] for h in report["health"] if h["table"] == "c"]
        assert ("n_plus_one" in kinds) == expected, report
    database.sql("ALTER TABLE o DROP CONSTRAINT o_c")


def test_markdown_hides_values_and_is_well_formed(database, advisor):
    statements = "SELECT * FROM c WHERE email = 'very|secret`value'; SELECT * FROM o WHERE c_id = 4711 AND note <> '| x |'"
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "markdown", stdin=statements)
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout and "4711" not in done.stdout and "email = $1" in done.stdout
    assert done.stdout.startswith("# Index advice for p1\n") and done.stdout.count("```") % 2 == 0 and "CREATE INDEX CONCURRENTLY" in done.stdout
    tables = [line for line in done.stdout.splitlines() if line.startswith("|")]
    for line in tables:
        assert len([c for c in line.replace("\\|", "").split("|")]) in (4, 7), line
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "markdown", "--values", stdin=statements)
    assert "secret" in done.stdout


class Page(html.parser.HTMLParser):
    """Tags that are closed in order, what is linked to, and the texts."""
    VOID = {"meta", "br", "!doctype"}

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.links, self.ids, self.words, self.headings = [], [], [], set(), [], []
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[a] for a in ("href", "src", "action") if a in attrs]
        self.ids.add(attrs.get("id"))
        self.headings += [int(tag[1])] if tag in ("h1", "h2", "h3", "h4") else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_html_is_one_well_formed_file(database, advisor):
    statements = ("SELECT * FROM c WHERE email = 'very-secret</code><script>alert(1)</script>'; SELECT * FROM o WHERE c_id = 4711;"
                  "SELECT id AS \"<b>\" FROM c WHERE email LIKE '%x'; SELECT * FROM nowhere")
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "html", stdin=statements)
    assert done.returncode == 0, done.stderr
    page = Page(done.stdout)
    assert page.wrong == [] and done.stdout.startswith("<!DOCTYPE html>")
    assert done.stdout.count("<script>") == 1 and "alert(1)" not in done.stdout and "secret" not in done.stdout and "4711" not in done.stdout
    assert page.links and all(link.startswith("#") and link[1:] in page.ids for link in page.links), "nothing outside is asked for"
    assert "http" not in done.stdout.replace("http-equiv", "") and "url(" not in done.stdout and "default-src 'none'" in done.stdout
    assert page.headings[0] == 1 and all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:])), page.headings
    words = "".join(page.words)
    for part in ("CREATE INDEX CONCURRENTLY c_email_idx", '"<b>"', "Wrong if", "left out: the database has no table", "What to do, in this order"):
        assert part in words, part
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "html", "--values", stdin=statements)
    assert Page(done.stdout).wrong == [] and "very-secret&lt;/code&gt;&lt;script&gt;" in done.stdout and done.stdout.count("<script>") == 1


def test_html_with_nothing_to_say(database, advisor):
    done = advisor("report", "--sql", "-", "--dsn", database.dsn, "--format", "html", stdin="SELECT * FROM c WHERE id = 7")
    assert Page(done.stdout).wrong == [] and "the indexes fit this workload" in done.stdout


def test_redact(database, advisor):
    statements = "SELECT * FROM c WHERE email = 'very-secret'; SELECT * FROM o WHERE note LIKE '%hushed'"
    report = advice(advisor, database, "--sql", "-", stdin=statements)
    assert "very-secret" in json.dumps(report) and "hushed" in json.dumps(report)
    report = advice(advisor, database, "--sql", "-", "--redact", stdin=statements)
    assert "secret" not in json.dumps(report) and "hushed" not in json.dumps(report) and found(report) >= {("create", "c", ("email",))}


def test_redact_of_conditions_and_reasons(advisor, new_database):
    """Nothing of what statements compare with leaves: neither as the condition of an index, nor in a command, a reason or an error of the server."""
    d = new_database()
    d.sql("CREATE TABLE p (id serial PRIMARY KEY, state text, at int, price int)",
          "INSERT INTO p (state, at, price) SELECT CASE WHEN i % 500 = 0 THEN 'zebra' ELSE 'common' END, i, i FROM generate_series(1, 60000) i",
          "CREATE INDEX p_old ON p (at) WHERE state = 'yak'", "CREATE INDEX p_old_twin ON p (at) WHERE state = 'yak'")
    d.vacuum()
    statements = ("-- weight: 100\nSELECT * FROM p WHERE state = 'zebra' AND at > 31337;\n-- weight: 500\nSELECT id FROM p WHERE price = 27182.8;\n"
                  "SELECT id FROM p ORDER BY price OFFSET 54321; SELECT * FROM p WHERE at = 'lemur'; SELECT FROM FROM 'okapi'")
    secrets = ("zebra", "yak", "31337", "27182.8", "54321", "lemur", "okapi")
    for form in ("text", "sql", "html"):
        hidden = advisor("report", "--sql", "-", "--dsn", d.dsn, "--format", form, "--redact", stdin=statements).stdout
        assert [s for s in secrets if s in hidden] == [], hidden
        assert "state = $1" in hidden
    report = json.loads(advisor("report", "--sql", "-", "--dsn", d.dsn, "--format", "json", stdin=statements).stdout)
    assert [s for s in secrets if s not in json.dumps(report)] == [], "the test would not notice"
    report = json.loads(advisor("report", "--sql", "-", "--dsn", d.dsn, "--format", "json", "--redact", stdin=statements).stdout)
    assert "state = $1" in [f["where"] for f in report["findings"]] and any("values in the conditions" in n for n in report["notes"])
