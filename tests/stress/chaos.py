# SPDX-License-Identifier: ISC
"""What is done to the pooler, its servers and its clients while souls.py lives: cancels, terminated servers, RELOADs, PAUSE, RECONNECT."""
import random
import struct
import threading
import time

from support import wire
from support.util import DEADLINE, wait_until

from . import souls

CANCEL_REQUEST = 80877102


class Chaos:
    """`with Chaos(pooler, pg, souls, seed)`: breaks something every few milliseconds, on a thread of its own."""

    def __init__(self, pooler, pg, lives, seed):
        self.pooler, self.pg, self.lives = pooler, pg, lives
        self.rng = random.Random(seed)
        self.stop = threading.Event()
        self.done = {}
        self.problem = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join(60)

    def acts(self):
        return [self.cancel] * 12 + [self.wrong_cancel] * 2 + [self.terminate] * 4 + [self.reload] * 2 + [self.pause, self.reconnect]

    def run(self):
        acts = self.acts()
        try:
            with self.pg.connect("postgres") as self.direct:
                self.console = self.pooler.console()
                while not self.stop.wait(self.rng.random() / 20):
                    act = self.rng.choice(acts)
                    act()
                    self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
        except Exception as e:  # pylint: disable=broad-except
            self.problem = f"chaos: {type(e).__name__}: {e}"

    def send_cancel(self, key):
        with wire.Conn(self.pooler.port) as c:
            c.send(struct.pack("!ii", 8 + len(key), CANCEL_REQUEST) + key)
            assert not c.until_closed().messages

    def cancel(self):
        """Of one who knows that this may happen; whatever it is doing, or nothing."""
        victim = self.rng.choice([s for s in self.lives if s.fate == "cancel"])
        conn = victim.conn
        if conn and conn.key:
            self.send_cancel(conn.key)

    def wrong_cancel(self):
        """A key that is nearly somebody's: nobody may notice."""
        conn = self.rng.choice(self.lives).conn
        if conn and conn.key:
            key = bytearray(conn.key)
            key[-1] ^= 1 << self.rng.randrange(8)
            self.send_cancel(bytes(key))

    def terminate(self):
        self.direct.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'p0' AND backend_type = 'client backend'"
                            " ORDER BY random() LIMIT 1")

    def reload(self):
        rng = self.rng
        self.pooler.reload(self.console, default_pool_size=rng.choice([2, 3, 5]), max_prepared_statements=rng.choice([2, 5, 200]),
                           server_lifetime=rng.choice([1, 3600]), query_wait_timeout=rng.choice([1, 60]), server_check_delay=rng.choice([0, 30]),
                           server_round_robin=rng.choice([0, 1]))

    def pause(self):
        """PAUSE waits for the transactions to end; RESUME comes from another console."""
        other = self.pooler.console()
        self.console.conn.send(wire.query("PAUSE p0"))
        time.sleep(self.rng.random() / 20)
        wait_until(lambda: not other.run("RESUME p0").errors, what="the pause has begun, and ends")
        self.console.conn.until_ready()
        other.close()

    def reconnect(self):
        self.console.do("RECONNECT p0")


def live_through(lives, chaos, seconds):
    """They live for so long beside what chaos does. What went wrong."""
    end = time.monotonic() + seconds
    for s in lives:
        s.until = lambda: time.monotonic() > end
    threads = [threading.Thread(target=s.live, daemon=True) for s in lives]
    with chaos:
        for t in threads:
            t.start()
        for t in threads:
            t.join(seconds + DEADLINE + 60)
    problems = [s.problem for s in lives if s.problem] + ([chaos.problem] if chaos.problem else [])
    return problems + [f"client {s.number} hangs at request {s.serial}" for s, t in zip(lives, threads) if t.is_alive()]


def stress(pooler, pg, seconds, seed, clients=15):
    """Runs it all; (souls, chaos). Problems are in them, and in the list that is returned third."""
    with pg.connect("p0") as c:
        c.execute("CREATE TABLE IF NOT EXISTS tags (t text)")
    fates = ["chaos", "cancel"]
    lives = [souls.Soul(pooler, i, seed * 1000 + i, fates[i % 2]) for i in range(clients)]
    chaos = Chaos(pooler, pg, lives, seed)
    problems = live_through(lives, chaos, seconds)
    problems += [f"client {s.number} was never served" for s in lives if not s.served]
    return lives, chaos, problems
