# SPDX-License-Identifier: ISC
"""Other clients of the same pool, who use the names and settings that drivers use, for something else."""
import random
import threading

from support import wire

# Names that drivers give to their prepared statements; here each stands for a text that answers 'foreign'.
NAMES = ["", "a", "b", "S_1", "S_2", "S_3", "_pg3_0", "_pg3_1", "__asyncpg_stmt_1__", "lrupsc_1_0", "lrupsc_1_1", "pdo_stmt_00000001",
         "dbdpg_p1_1", "_PLAN0x1", "1", "2"]
SETTINGS = ["work_mem = '9MB'", "TimeZone = 'America/Lima'", "DateStyle = 'German'", "search_path = pg_catalog", "client_encoding = 'LATIN1'",
            "standard_conforming_strings = off", "statement_timeout = 55555", "extra_float_digits = 0", "bytea_output = 'escape'"]


class Interference:
    """`with Interference(make_connection, n):` n clients in threads of their own until the end; a wrong reply of theirs is in `problems`.
    `named`: they prepare statements under names."""

    def __init__(self, connect, clients=3, named=True):
        self.connect, self.problems, self.named = connect, [], named
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.live, args=(i,), daemon=True) for i in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join(60)

    def live(self, number):
        rng, turn = random.Random(number), 0
        try:
            with self.connect() as c:
                while not self.stop.is_set():
                    turn += 1
                    self.turn(c, rng, f"foreign {number} {turn}")
                    self.stop.wait(rng.random() / 200) # the machine is for the drivers
        except Exception as e:  # pylint: disable=broad-except
            self.problems.append(f"interfering client {number}, turn {turn}: {type(e).__name__}: {e}")

    def turn(self, c, rng, tag):
        name = rng.choice(NAMES)
        kind = rng.randrange(5)
        if kind == 0:
            c.ok(f"SET {rng.choice(SETTINGS)}")
        elif kind == 1:
            c.ok("RESET ALL")
        elif kind == 2 and name and self.named:
            c.send(wire.close("S", name), wire.parse(f"SELECT '{tag}'", name), wire.bind("", name), wire.execute(), wire.sync())
            assert c.until_ready().rows == [[tag]], tag
        elif kind == 3:
            c.ok("BEGIN")
            assert c.one(f"SELECT '{tag}'") == tag
            c.ok(f"SET LOCAL {rng.choice(SETTINGS)}")
            assert c.query("SELECT 1/0").error["C"] == "22012"
            c.ok("ROLLBACK")
        else:
            c.send(wire.group("SELECT $1::text", [tag]), wire.group("SELECT 1/0"), wire.group("SELECT $1::text", [tag + "!"]))
            assert c.until_ready().rows == [[tag]] and c.until_ready().error["C"] == "22012" and c.until_ready().rows == [[tag + "!"]], tag
