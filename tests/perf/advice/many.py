# SPDX-License-Identifier: ISC
"""Five hundred different statements over sixty tables: how long the advice takes, and how many plans."""
import random

TABLES = 60
STATEMENT_COUNT = 500
DOMINANT = ()

SCHEMA = "\n".join(f"CREATE TABLE t{t} (id int, ref int, a int, b int, c text, d timestamp, e numeric, f text);" for t in range(TABLES))
KEYS = "\n".join(f"ALTER TABLE t{t} ADD PRIMARY KEY (id);" for t in range(TABLES))


def data(scale):
    rows = int(10000 * scale) + 1000
    return [f"""INSERT INTO t{t} SELECT i, (random() * {rows - 1})::int + 1, (random() * {50 + t * 10})::int, (random() * 9)::int, md5((random() * 3000)::int::text),
                timestamp '2025-01-01' + random() * interval '300 days', random() * 1000, repeat('f', 30) FROM generate_series(1, {rows}) i""" for t in range(TABLES)]


def one(rng, number):
    table, other = rng.randrange(TABLES), rng.randrange(TABLES)
    conditions = rng.sample([f"x.a = {rng.randrange(50)}", f"x.b = {rng.randrange(9)}", f"x.c = md5('{rng.randrange(3000)}')", f"x.d > '2025-0{rng.randrange(1, 9)}-01'",
                             f"x.e < {rng.randrange(100)}", f"x.ref = {rng.randrange(9000)}"], rng.randrange(1, 4))
    tail = rng.choice(["", " ORDER BY x.d LIMIT 10", " ORDER BY x.e DESC LIMIT 5"])
    columns = ", ".join(rng.sample(["x.id", "x.a", "x.b", "x.c", "x.d", "x.e", "x.f"], rng.randrange(1, 5)))
    if rng.random() < 0.5:
        return f"SELECT {columns}, {number} FROM t{table} x WHERE {' AND '.join(conditions)}{tail}"
    return f"SELECT {columns}, y.f, {number} FROM t{table} x JOIN t{other} y ON y.id = x.ref WHERE {' AND '.join(conditions)} AND y.b = {rng.randrange(9)}{tail}"


def statements():
    rng = random.Random(7)
    return [one(rng, i) for i in range(STATEMENT_COUNT)]


STATEMENTS = statements()
