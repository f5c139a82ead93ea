# SPDX-License-Identifier: ISC
"""The random set-ups in which rovers (rovers.py) live, and what else is done to them: DDL, new processes (-R), KILL, DISABLE."""
import os
import random
import subprocess
import time

from support import wire
from support.util import DEADLINE, wait_until

from . import chaos, rovers


def setup_of(seed, **fixed):
    """What the seed chooses, but for what is fixed."""
    rng = random.Random(seed)
    s = {"pool_mode": rng.choice(["transaction"] * 5 + ["session", "statement"]), "session_state": rng.choice(["track", "track", "pin", "off"]),
         "listen_mode": rng.choice(["pin", "shared"]), "worker_threads": rng.choice([1, 2, 4]), "io_engine": rng.choice(["epoll", "auto"]),
         "max_prepared_statements": rng.choice([0, 2, 5, 200]), "default_pool_size": rng.choice([1, 2, 4]),
         "error_behaviour": rng.choice(["pgbouncer", "postgres"]), "server_round_robin": rng.choice([0, 1]),
         "track_extra_parameters": rng.choice(["*", "IntervalStyle"]), "tls": rng.random() < 0.3, "newest": rng.random() < 0.5,
         "server_reset_query_always": rng.choice([0, 0, 1]),
         "server_reset_query": rng.choice(["DISCARD ALL", "RESET ALL", "DEALLOCATE ALL", "SELECT 1; RESET ALL; UNLISTEN *"])}
    s.update(fixed)
    if s["pool_mode"] == "session": # there a client keeps its server, and its parameters are PostgreSQL's affair
        s["session_state"] = "track"
        s["server_reset_query"] = "DISCARD ALL"
    return s


def settings_of(setup, certs):
    out = {k: v for k, v in setup.items() if k not in ("tls", "newest")}
    out["client_max_protocol_version"] = "3.2" if setup["newest"] else "3.0"
    if setup["tls"]:
        out.update(certs.client_settings("allow"))
        out["server_tls_sslmode"] = "require"
    return out


class RoamChaos(chaos.Chaos):
    ACTS = {"cancel": 14, "wrong_cancel": 2, "terminate": 3, "reload": 2, "pause": 1, "reconnect": 1, "ddl": 4, "take_over": 1, "disable": 1}

    def __init__(self, pooler, pg, lives, seed, setup):
        super().__init__(pooler, pg, lives, seed)
        self.setup, self.old = setup, []

    def acts(self):
        return [getattr(self, name) for name, n in self.ACTS.items() for _ in range(n)]

    def cancel(self):
        victim = self.rng.choice([s for s in self.lives if s.fate == "cancel"])
        conn = victim.conn
        if not conn or not conn.key:
            return
        which = victim.cancel_begins()
        try:
            self.send_cancel(conn.key)
        finally:
            victim.cancel_ends(which)

    def ddl(self):
        # a lock that is not got at once is not worth waiting for: everybody would wait behind it
        self.direct.execute("SET lock_timeout = '50ms'")
        try:
            self.direct.execute(self.rng.choice(["ALTER TABLE moving ADD COLUMN IF NOT EXISTS b text", "ALTER TABLE moving DROP COLUMN IF EXISTS b",
                                                 "ALTER TABLE moving ALTER COLUMN a TYPE bigint", "ALTER TABLE moving ALTER COLUMN a TYPE text"]))
        except Exception:  # pylint: disable=broad-except
            pass

    def disable(self):
        self.console.do("DISABLE p0")
        time.sleep(self.rng.random() / 30)
        self.console.do("ENABLE p0")

    def reload(self):
        rng = self.rng
        changes = {"server_lifetime": rng.choice([1, 3600]), "server_check_delay": rng.choice([0, 30]), "server_round_robin": rng.choice([0, 1]),
                   "max_prepared_statements": self.setup["max_prepared_statements"] and rng.choice([2, 5, 200]),
                   "default_pool_size": rng.choice([2, 3, 5]), "query_wait_timeout": rng.choice([1, 5, 60])}
        self.pooler.reload(self.console, **changes)

    def take_over(self):
        """A new process; the old one goes when its clients do."""
        p = self.pooler
        self.old = [o for o in self.old if o.poll() is None]
        if len(self.old) > 2:
            return
        old, before = p.proc, p.log().count("a new process has taken over")
        p.spawn("-q", "-R", p.ini_path)
        wait_until(lambda: p.log().count("a new process has taken over") > before or p.proc.poll() is not None, what="the new process is up")
        assert p.running(), "the new process ended: " + p.log()[-1000:] + p.stderr()
        self.old.append(old)
        self.console = p.console()

    def olds_end(self):
        for o in self.old:
            try:
                status = o.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                o.kill()
                return ["an old process does not end"]
            if status:
                return [f"an old process ended with status {status}"]
        return []


def virgin(pg):
    with wire.Conn(pg.port).login("postgres", "p0", application_name="virgin") as c:
        return c.ok(rovers.VIRGIN)[0]


def prepare(pg):
    with pg.connect("p0") as c:
        c.execute("CREATE TABLE IF NOT EXISTS tags (t text)")
        c.execute("TRUNCATE tags")
        c.execute("GRANT ALL ON tags TO PUBLIC")
        c.execute("CREATE TABLE IF NOT EXISTS moving (a text)")
        c.execute("GRANT ALL ON moving TO PUBLIC")
        c.execute("DELETE FROM moving")
        c.execute("INSERT INTO moving VALUES ('1')")
        c.execute("DO $$ BEGIN CREATE ROLE rover SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$")


def roam(pooler, pg, seconds, seed, setup, clients):
    """(rovers, what was done to them, problems)"""
    prepare(pg)
    fresh = virgin(pg)
    lives = [rovers.Rover(pooler, i, seed * 1000 + i, ["chaos", "cancel"][i % 2], setup, fresh) for i in range(clients)]
    ch = RoamChaos(pooler, pg, lives, seed, setup)
    problems = chaos.live_through(lives, ch, seconds)
    problems += ch.olds_end()
    return lives, ch.done, problems
