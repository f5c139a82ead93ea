# SPDX-License-Identifier: ISC
"""What advice is worth: total EXPLAIN cost with the advised indexes hypothetical (HypoPG), in percent of the cost without."""
import itertools
import json
import re
import subprocess


class Judge:
    """Costs of a list of statements under sets of indexes, in one database with HypoPG."""

    def __init__(self, conn, statements):
        self.conn = conn
        self.statements = statements
        self.conn.execute("CREATE EXTENSION IF NOT EXISTS hypopg")
        self.calls = 0
        self.base = [self.cost(s) for s in statements]

    def cost(self, statement):
        self.calls += 1
        return self.conn.execute("EXPLAIN (FORMAT JSON) " + statement, prepare=False).fetchone()[0][0]["Plan"]["Total Cost"]

    def create(self, definitions):
        """Makes them exist hypothetically, alone; returns HypoPG's idea of their sizes."""
        self.conn.execute("SELECT hypopg_reset()")
        sizes = []
        for d in definitions:
            oid = self.conn.execute("SELECT indexrelid FROM hypopg_create_index(%s)", (d,)).fetchone()[0]
            sizes.append(self.conn.execute("SELECT hypopg_relation_size(%s)", (oid,)).fetchone()[0])
        return sizes

    def percent(self, definitions):
        self.create(definitions)
        total = sum(self.cost(s) for s in self.statements)
        self.conn.execute("SELECT hypopg_reset()")
        return 100 * total / sum(self.base)

    def percent_real(self, definitions):
        """Really built: (percent, bytes). CREATE INDEX changes pg_class.reltuples, so the tables are analysed afterwards."""
        names = []
        with_size = 0
        for n, d in enumerate(definitions):
            name = f"judge_{n}"
            self.conn.execute(re.sub(r"^CREATE INDEX ", f"CREATE INDEX {name} ", d))
            names.append(name)
            with_size += self.conn.execute("SELECT pg_relation_size(%s::regclass)", (name,)).fetchone()[0]
        total = sum(self.cost(s) for s in self.statements)
        for name in names:
            self.conn.execute(f"DROP INDEX {name}")
        return 100 * total / sum(self.base), with_size


def nameless(ddl):
    """CREATE INDEX CONCURRENTLY name ON ... -> CREATE INDEX ON ..."""
    return re.sub(r'^CREATE INDEX (CONCURRENTLY )?("(?:[^"]|"")*"|[^ ]+) ON ', "CREATE INDEX ON ", ddl.strip().rstrip(";"))


def advise(binary, dsn, statements, *options):
    """Our advisor: (definitions, report). dsn None: the options tell where to look."""
    where = ["--dsn", dsn] if dsn else []
    done = subprocess.run([binary, "report", "--sql", "-", *where, "--format", "json", *options],
                          input=";\n".join(statements) + ";", capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    report = json.loads(done.stdout)
    return [nameless(f["ddl"].split("\n")[0]) for f in report["findings"] if f["kind"] == "create"], report


def columns_of(conn):
    return conn.execute("SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r'"
                        " AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relpages > 10"
                        " ORDER BY 1, a.attnum").fetchall()


def mentioned(statement, columns):
    words = set(re.findall(r"[a-z_][a-z0-9_]*", statement.lower()))
    return [(t, c) for t, c in columns if t in words and c in words]


def fill(judge, ranked, budget):
    """Takes (gain, definition) from the best on while HypoPG's sizes fit."""
    chosen, used = [], 0
    for _, definition in sorted(ranked, key=lambda r: -r[0]):
        size = judge.create([definition])[0]
        if definition not in chosen and used + size <= budget:
            chosen.append(definition)
            used += size
    return chosen


def naive_ranking(judge):
    """The advisor that one writes first: for each statement alone the best index of one or two mentioned columns."""
    best = {}
    columns = columns_of(judge.conn)
    for statement, base in zip(judge.statements, judge.base):
        options = []
        by_table = {}
        for t, c in mentioned(statement, columns):
            by_table.setdefault(t, []).append(c)
        for t, cols in by_table.items():
            for keys in itertools.chain(itertools.permutations(cols, 1), itertools.permutations(cols[:6], 2)):
                definition = f"CREATE INDEX ON {t} ({', '.join(keys)})"
                judge.create([definition])
                options.append((base - judge.cost(statement), definition))
        gain, definition = max(options, default=(0, ""))
        if gain > 0.1 * base:
            best[definition] = best.get(definition, 0) + gain
    return [(g, d) for d, g in best.items()]


def singles_ranking(judge):
    """Every mentioned column of every table alone, ranked by what it saves alone."""
    definitions = sorted({f"CREATE INDEX ON {t} ({c})" for s in judge.statements for t, c in mentioned(s, columns_of(judge.conn))})
    return [(100 - judge.percent([d]), d) for d in definitions]
