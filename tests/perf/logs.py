#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Logs of a made-up shop, the same bytes each time, as PostgreSQL would write them.

    tests/perf/logs.py stderr|csv|json|pooler SIZE FILE     SIZE: 200MB, 1GB (or, for pooler, lines: 10M)

Simple and extended protocol, literals of all kinds, several lines, lists of any length, parameters, errors, utility statements. The
three forms of one size hold the same executions as far as they reach."""
import json
import random
import sys

STATEMENTS = [  # weight, kind of message, text, values
    (20, "s", "SELECT * FROM customers WHERE id = {i}", ()),
    (14, "s", "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.customer_id = {i} ORDER BY o.created_at DESC LIMIT 20", ()),
    (6, "s", "SELECT id, name\n  FROM products\n WHERE category = '{w}'\n   AND price BETWEEN {n} AND {m}\n ORDER BY price", ()),
    (12, "x", "SELECT id, email, name FROM customers WHERE email = $1", ("{w}.{w}@example.com",)),
    (10, "x", "UPDATE orders SET status = $1, updated_at = now() WHERE id = $2", ("{w}", "{i}")),
    (8, "x", "INSERT INTO order_items (order_id, product_id, quantity, price) VALUES ($1, $2, $3, $4)", ("{i}", "{n}", "{k}", "{n}.99")),
    (5, "s", "INSERT INTO events (kind, payload, at) VALUES ('{w}', '{{\"user\": {i}, \"note\": \"it''s {w}\"}}', '2026-03-0{k} 12:00:00+00')", ()),
    (4, "s", "SELECT count(*) FROM order_items WHERE product_id IN ({list})", ()),
    (3, "s", "DELETE FROM sessions WHERE expires_at < '2026-0{k}-01 00:00:00' AND user_id = {i}", ()),
    (3, "s", "WITH recent AS (SELECT * FROM orders WHERE created_at > now() - interval '{k} days') SELECT status, count(*) FROM recent GROUP BY status", ()),
    (2, "s", "SELECT \"p\".\"id\", \"p\".\"name\" FROM \"products\" AS \"p\" WHERE \"p\".\"name\" ILIKE '%{w}%'", ()),
    (5, "s", "BEGIN", ()), (5, "s", "COMMIT", ()), (1, "s", "ROLLBACK", ()),
    (1, "s", "SET application_name = 'worker-{k}'", ()),
    (1, "e", "SELECT * FROM nowhere WHERE id = {i}", ()),
]
WORDS = ("paid open shipped red green blue large small books music garden kitchen alpha beta gamma delta müller straße".split())


class Events:
    def __init__(self, seed=1):
        self.r = random.Random(seed)
        self.ms = 0
        self.rows = [s for s in STATEMENTS for _ in range(s[0])]
        self.line = 0

    def __iter__(self):
        r = self.r
        rows, pids = self.rows, range(1000, 1048)
        while True:
            self.ms += r.randrange(5)
            _, kind, text, values = rows[int(r.random() * len(rows))]
            fill = {"i": int(r.random() * 1000000), "n": int(r.random() * 900) + 1, "m": int(r.random() * 900) + 901, "k": int(r.random() * 9) + 1,
                    "w": WORDS[int(r.random() * len(WORDS))], "list": ""}
            if "{list}" in text:
                fill["list"] = ", ".join(str(int(r.random() * 100000)) for _ in range(1 + int(r.random() * 30)))
            duration = "%.3f" % (r.expovariate(1) * 3)
            yield self.ms, pids[int(r.random() * 48)], kind, text.format(**fill) if kind != "x" else text, [v.format(**fill) for v in values], duration


def stamp(ms):
    s, ms = divmod(ms, 1000)
    d, s = divmod(s, 86400)
    return "2026-03-%02d %02d:%02d:%02d.%03d UTC" % (1 + d % 28, s // 3600, s // 60 % 60, s % 60, ms)


def messages(event):
    """(severity, message, detail, statement) of one event."""
    _, _, kind, text, values, duration = event
    if kind == "e":
        yield "ERROR", 'relation "nowhere" does not exist', None, text
    elif kind == "s":
        yield "LOG", f"duration: {duration} ms  statement: {text}", None, None
    else:
        detail = "parameters: " + ", ".join(f"${i + 1} = '{v}'" for i, v in enumerate(values))
        yield "LOG", f"duration: 0.0{duration[-2:]} ms  parse <unnamed>: {text}", None, None
        yield "LOG", f"duration: 0.1{duration[-2:]} ms  bind <unnamed>: {text}", detail, None
        yield "LOG", f"duration: {duration} ms  execute <unnamed>: {text}", detail, None


def as_stderr(event):
    out = []
    head = f"{stamp(event[0])} [{event[1]}] app@shop "
    for severity, message, detail, statement in messages(event):
        out.append(f"{head}{severity}:  " + message.replace("\n", "\n\t") + "\n")
        if detail:
            out.append(f"{head}DETAIL:  {detail}\n")
        if statement:
            out.append(f"{head}STATEMENT:  " + statement.replace("\n", "\n\t") + "\n")
    return "".join(out)


def quote(text):
    return '"' + text.replace('"', '""') + '"' if text else ""


def as_csv(event):
    out = []
    for severity, message, detail, statement in messages(event):
        out.append(f'{stamp(event[0])},"app","shop",{event[1]},"10.0.0.7:40000",69a1.{event[1]:x},7,"SELECT",2026-03-01 00:00:00 UTC,3/17,0,{severity},'
                   f'{"00000" if severity == "LOG" else "42P01"},{quote(message)},{quote(detail)},,,,,{quote(statement)},,,"web","client backend",,0\n')
    return "".join(out)


def as_json(event):
    out = []
    for severity, message, detail, statement in messages(event):
        line = {"timestamp": stamp(event[0]), "user": "app", "dbname": "shop", "pid": event[1], "remote_host": "10.0.0.7", "remote_port": 40000,
                "session_id": f"69a1.{event[1]:x}", "line_num": 7, "ps": "SELECT", "session_start": "2026-03-01 00:00:00 UTC", "vxid": "3/17", "txid": 0,
                "error_severity": severity, "message": message}
        if detail:
            line["detail"] = detail
        if statement:
            line["statement"] = statement
        line.update({"application_name": "web", "backend_type": "client backend", "query_id": 0})
        out.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    return "".join(out)


def pooler(lines, out):
    """Intervals of 2,000 lines, a thousand different queries."""
    r = random.Random(2)
    hist = [[64 * (i + 1), 0] for i in range(8)]
    done = interval = 0
    while done < lines:
        start = 1772323200000000 + interval * 60000000
        interval += 1
        n = min(2000, lines - done)
        rows = [json.dumps({"poolwise": 1, "type": "interval", "start_us": start, "end_us": start + 60000000, "program": "pooler", "version": "0.1.0", "host": "h",
                            "pid": 7, "workers": 2, "queries": n, "max_queries": 4000, "evicted": 0, "unlogged": 0, "lost_intervals": 0})]
        for i in range(n):
            q, calls = i % 1000, 1 + int(r.random() * 100)
            text = f"SELECT id, name, total FROM table_{q} WHERE customer_id = $1 AND status = $2 ORDER BY created_at DESC LIMIT $3"
            rows.append('{"poolwise":1,"type":"query","start_us":%d,"end_us":%d,"database":"shop","user":"app","application_name":"web","fingerprint":"%016x",'
                        '"kind":"SELECT","query":"%s","calls":%d,"failed":0,"rows":%d,"bytes_in":%d,"bytes_out":%d,"server_us":%d,"server_min_us":64,'
                        '"server_max_us":900,"wait_us":0,"wait_max_us":0,"hist":%s}'
                        % (start, start + 60000000, 0x9e3779b97f4a7c15 * (q + 1) % 2**64, text, calls, calls * 3, calls * 80, calls * 300, calls * 300, hist))
        out.write("\n".join(rows) + "\n")
        done += n


def size_of(text):
    units = {"k": 1000, "M": 10**6, "G": 10**9}
    text = text.removesuffix("B")
    return int(float(text[:-1]) * units[text[-1]]) if text[-1] in units else int(text)


def main():
    form, size, path = sys.argv[1], size_of(sys.argv[2]), sys.argv[3]
    with open(path, "w", encoding="utf-8", buffering=1 << 20) as out:
        if form == "pooler":
            pooler(size, out)
            return
        write = {"stderr": as_stderr, "csv": as_csv, "json": as_json}[form]
        written = 0
        for event in Events():
            text = write(event)
            written += len(text)
            if written > size:
                break
            out.write(text)


if __name__ == "__main__":
    main()
