# SPDX-License-Identifier: ISC
"""Advice without a connection: the snapshot, what it hides, and what the advice from it is worth."""
import json
import re

import pytest

SHOP = """
CREATE TABLE customers (id serial PRIMARY KEY, email text, name text, region int);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL,
                     total numeric(10,2), created_at timestamptz NOT NULL, note text, flag boolean);
CREATE TABLE items (order_id int NOT NULL REFERENCES orders ON DELETE CASCADE, product_id int NOT NULL, quantity int, price numeric(8,2));
CREATE VIEW big AS SELECT * FROM orders WHERE total > 900;
CREATE TABLE parts (id int, at date, who int) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
INSERT INTO parts SELECT i, date '2025-01-01' + i % 31, i % 3000 FROM generate_series(1, 20000) i;
INSERT INTO customers (email, name, region) SELECT 'secret' || i || '@example.com', 'name ' || i, i % 50 FROM generate_series(1, 5000) i;
INSERT INTO orders (customer_id, status, total, created_at, note, flag)
SELECT 1 + (i::bigint * 7919) % 5000, CASE WHEN i % 200 = 0 THEN 'hushed' ELSE 'done' END, i % 1000,
       timestamptz '2025-01-01' + (i::bigint * 104729 % 31536000) * interval '1 second', repeat('n', 60), i % 2 = 0
FROM generate_series(1, 60000) i;
INSERT INTO items SELECT 1 + (i * 7) % 60000, i % 3000, 1, 1 FROM generate_series(1, 120000) i;
CREATE INDEX unused ON orders (note);
CREATE STATISTICS st ON status, flag FROM orders;
"""
STATEMENTS = [
    ("SELECT * FROM orders WHERE customer_id = {} ORDER BY created_at DESC LIMIT 10", "42", 200),
    ("SELECT name FROM customers WHERE email = {}", "'secret77@example.com'", 150),
    ("SELECT sum(quantity) FROM items WHERE order_id = {}", "99", 100),
    ("SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = {}", "'secret7@example.com'", 50),
    ("SELECT count(*) FROM orders WHERE created_at >= {}::timestamptz AND created_at < {}::timestamptz + interval '1 day'", "'2025-03-01'", 20),
    ("SELECT * FROM items WHERE product_id = {} AND quantity = 1", "77", 30),
    ("SELECT id FROM parts WHERE who = {}", "55", 30),
]


def script(form):
    return ";\n".join(f"-- weight: {w}\n{form(text, value)}" for text, value, w in STATEMENTS)


def literals(text, value):
    return text.replace("{}", value)


def parameters(text, value):
    n = iter(range(1, 9))
    return re.sub(r"\{\}", lambda _: f"${next(n)}", text)


@pytest.fixture(scope="module")
def shop(new_database):
    database = new_database()
    database.sql(SHOP, "SELECT count(*) FROM big")
    database.vacuum()
    return database


@pytest.fixture
def snapshot(shop, advisor, tmp_path):
    def make(*options):
        done = advisor("snapshot", "--dsn", shop.dsn, *options)
        assert done.returncode == 0, done.stderr
        path = tmp_path / "shop.json"
        path.write_text(done.stdout)
        return path
    return make


def report(advisor, statements, *options):
    done = advisor("report", "--sql", "-", "--format", "json", *options, stdin=statements)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cost_with(database, found):
    """Of the workload, by the server's planner, with the advised indexes hypothetical."""
    database.sql("SELECT hypopg_reset()")
    for f in found["findings"]:
        if f["kind"] == "create":
            for statement in f["script"]:
                if "CONCURRENTLY" in statement:
                    database.conn.execute("SELECT hypopg_create_index(%s)", [statement.replace("CONCURRENTLY ", "").rstrip(";")])
    total = sum(w * database.cost(literals(text, value)) for text, value, w in STATEMENTS)
    database.sql("SELECT hypopg_reset()")
    return total


@pytest.mark.parametrize("form", [literals, parameters])
@pytest.mark.parametrize("options", [[], ["--redact"]])
def test_most_of_the_gain_without_a_connection(shop, advisor, snapshot, form, options):
    today = cost_with(shop, {"findings": []})
    best = cost_with(shop, report(advisor, script(literals), "--dsn", shop.dsn))
    offline = report(advisor, script(form), "--snapshot", str(snapshot(*options)))
    assert best < today / 3 and offline["cost_source"] == "model"
    assert today - cost_with(shop, offline) >= 0.7 * (today - best)
    assert any("no server was asked" in n for n in offline["notes"])


def test_the_snapshot_is_all_that_the_report_reads(shop, advisor, snapshot):
    """The model online and offline agree, drops and foreign keys included; no server is needed."""
    offline = report(advisor, script(literals) + "; SELECT id FROM big WHERE customer_id = 7", "--snapshot", str(snapshot()))
    online = report(advisor, script(literals) + "; SELECT id FROM big WHERE customer_id = 7", "--dsn", shop.dsn, "--no-hypopg", "--no-sample")

    def named(found):
        # Statements weigh by the model's own costs there: what is included may differ, what is searched by may not.
        return {(f["kind"], f["table"], f["keys"][0].get("column")) for f in found["findings"]}
    assert named(offline) == named(online) and ("drop_unused", "orders", "note") in named(offline)
    assert all(f["undo"] for f in offline["findings"])


def test_snapshot_reads_back_the_same(shop, advisor, snapshot):
    """Every member of the catalog survives: a snapshot of a snapshot is what it was."""
    data = json.loads(snapshot().read_text())
    tables = {t["name"]: t for t in data["tables"]}
    assert data["poolwise_snapshot"] == 1 and not data["redacted"]
    assert tables["orders"]["foreign_keys"][0]["columns"] == [2] and tables["orders"]["extended_statistics"]
    assert tables["parts_1"]["parent"] == tables["parts"]["oid"] and "FROM orders" in tables["big"]["view_text"]
    assert tables["orders"]["indexes"][0]["keys"][0]["column"] == 1 and tables["orders"]["columns"][2]["mcv"]


def test_redacted_snapshot_holds_no_value(shop, advisor, snapshot):
    plain, hidden = snapshot().read_text(), snapshot("--redact").read_text()
    for value in ("secret", "hushed", "2025-"):
        assert value in plain and value not in hidden.replace("2025-01-01", "").replace("FOR VALUES", ""), value
    columns = {c["name"]: c for t in json.loads(hidden)["tables"] if t["name"] == "orders" for c in t["columns"]}
    assert columns["flag"]["mcv"] and set(columns["flag"]["mcv"]) <= {"t", "f"}
    assert columns["created_at"]["hist"] == sorted(columns["created_at"]["hist"]), "the order stays"
    numbers = [float(v) for v in columns["total"]["hist"]]
    assert numbers == sorted(numbers) and sum(columns["status"]["mcf"]) > 0.9


@pytest.mark.parametrize("text, why", [
    ("", "not JSON"), ("{}", "no snapshot of the advisor"), ("SELECT 1", "not JSON"), ('{"poolwise_snapshot": 99}', "version 99"),
    ('{"poolwise_snapshot": 1, "database": "x", "server_version": "15", "settings": {"work_mem": "much"}}', "damaged"),
    ('{"poolwise_snapshot": 1, "database": "x", "server_version": "15", "settings": {}, "tables": [{"schema": "s", "name": "t", "oid": 5, "parent": 5}]}', "damaged"),
])
def test_a_file_that_is_none(advisor, tmp_path, text, why):
    path = tmp_path / "x.json"
    path.write_text(text)
    done = advisor("report", "--sql", "-", "--snapshot", str(path), stdin="SELECT 1")
    assert done.returncode == 3 and why in done.stderr, done.stderr


def test_command_line(advisor, shop):
    assert advisor("report", "--sql", "-", "--snapshot", "/nowhere", stdin="SELECT 1").returncode == 3
    done = advisor("report", "--sql", "-", "--snapshot", "x", "--dsn", shop.dsn, stdin="SELECT 1")
    assert done.returncode == 2 and "either" in done.stderr
    assert advisor("snapshot", "--dsn", "host=/nowhere").returncode == 4
    assert advisor("snapshot", "extra").returncode == 2
    assert "--redact" in advisor("snapshot", "--help").stdout and "Examples" in advisor("snapshot", "--help").stdout
