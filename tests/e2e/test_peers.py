# SPDX-License-Identifier: ISC
"""A group of processes: a cancel request that reaches the wrong one is passed on to the owner of its client."""
import socket
import struct
import threading

import pytest

from support import wire
from support.util import free_port, wait_until

pytestmark = pytest.mark.newer  # PgBouncer has peers since 1.19


def sleeping(pg, mark):
    return pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE %s AND state = 'active' AND pid <> pg_backend_pid()", f"%{mark}%")


@pytest.fixture
def group(make_pooler):
    """group(n, ...): n poolers that know each other, by id; each on a port of its own or all on one (same_port)."""
    def start(n=2, same_port=False, **settings):
        one, poolers = free_port(), {}
        for i in range(1, n + 1):
            more = {"so_reuseport": 1} if same_port else {}
            poolers[i] = make_pooler(start=False, listen_port=one if same_port else free_port(), peer_id=i, **more, **settings)
        for i, p in poolers.items():
            # through its folder a process is reached even when all share one port
            p.extra = "[peers]\n" + "".join(f"{j} = host={q.dir} port={q.port}\n" for j, q in poolers.items())
            p.start()
        return poolers
    return start


def cancel_raw(port, key):
    with wire.Conn(port) as c:
        c.send(struct.pack("!ii", 8 + len(key), 80877102) + key)
        assert c.until_closed().types == ""


def run(c, pg, mark):
    c.send(wire.query(f"SELECT pg_sleep(600), '{mark}'"))
    wait_until(lambda: sleeping(pg, mark))


def test_key_as_pgbouncer_makes_it(group):
    p = group(1)[1]
    key = p.client().key
    assert len(key) == 8
    assert key[1] == 1 and key[2] == 0 and key[7] & 3 == 3 and key[0] < 128


def test_key_of_the_highest_number(make_pooler):
    key = make_pooler(peer_id=65535).client().key
    assert key[1] == key[2] == 255


def test_cancel_through_another_process(group, pg, workers):
    a, b = group(2, **workers).values()
    c = a.client()
    run(c, pg, "peer one")
    cancel_raw(b.port, c.key)
    assert c.until_ready().error["C"] == "57014"
    assert c.one("SELECT 1") == "1"
    # and at home
    run(c, pg, "peer two")
    cancel_raw(a.port, c.key)
    assert c.until_ready().error["C"] == "57014"


def test_so_reuseport(group, pg):
    """One port for three processes: whoever gets the request finds the owner."""
    poolers = group(3, same_port=True)
    port = poolers[1].port
    c = poolers[2].client(unix=True)
    for i in range(5):
        run(c, pg, f"shared {i}")
        cancel_raw(port, c.key)
        assert c.until_ready().error["C"] == "57014"


def test_processes_that_want_tls(group, pg, certs):
    """A request for another process travels in clear, as libpq's did before version 17: it is taken all the same."""
    a, b = group(2, **certs.client_settings()).values()
    c = a.tls_client()
    run(c, pg, "inside TLS")
    cancel_raw(b.port, c.key)
    assert c.until_ready().error["C"] == "57014"


def test_wrong_keys_go_nowhere(group, pg):
    a, b = group(2).values()
    c = a.client()
    run(c, pg, "guarded")
    spent = c.key[:7] + bytes([c.key[7] & ~3])
    cancel_raw(b.port, spent)
    b.wait_log("TTL was exhausted")
    unknown = c.key[:1] + struct.pack("<H", 77) + c.key[3:]
    cancel_raw(b.port, unknown)
    b.wait_log("could not find peer to forward request to")
    guess = c.key[:3] + bytes([c.key[3] ^ 1]) + c.key[4:]
    cancel_raw(b.port, guess)
    assert not c.readable()
    # hops do not matter to the owner
    cancel_raw(a.port, spent)
    assert c.until_ready().error["C"] == "57014"


def test_each_hop_is_counted(make_pooler):
    """What the peer gets is the key with one hop less; the requester's connection stays until the peer closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        p = make_pooler(peer_id=1, default_pool_size=2, extra=f"[peers]\n9 = host=127.0.0.1 port={listener.getsockname()[1]} pool_size=1\n")
        con = p.console()
        (row,) = con.show("PEERS")
        assert (row["peer_id"], row["host"], row["pool_size"]) == ("9", "127.0.0.1", "1")
        key = bytes([5]) + struct.pack("<H", 9) + b"abcd" + bytes([0xf3])
        requesters = [p.raw(), p.raw()]
        for r in requesters:
            r.send(struct.pack("!ii", 16, 80877102) + key)
        listener.settimeout(20)
        first, _ = listener.accept()
        assert first.recv(100) == struct.pack("!ii", 16, 80877102) + key[:7] + bytes([0xf2])

        def counts():
            (n,) = con.show("PEER_POOLS")
            return n["cl_active_cancel_req"], n["cl_waiting_cancel_req"], n["sv_active_cancel"], n["sv_login"]
        wait_until(lambda: counts() == ("1", "1", "1", "0"))
        assert not requesters[0].readable() and not requesters[1].readable()
        first.close()
        second, _ = listener.accept()
        wait_until(lambda: counts() == ("1", "0", "1", "0"))
        second.close()
        for r in requesters:
            assert r.until_closed().types == ""
        wait_until(lambda: counts() == ("0", "0", "0", "0"))
        assert {r["list"]: r["items"] for r in con.show("LISTS")}["peers"] == "1"


def test_peer_that_is_down(make_pooler):
    p = make_pooler(peer_id=1, extra=f"[peers]\n9 = host=127.0.0.1 port={free_port()}\n")
    cancel_raw(p.port, bytes([5]) + struct.pack("<H", 9) + b"abcd" + bytes([3]))
    p.wait_log("peer-9: cancel request: ")


def test_peer_that_does_not_answer(make_pooler):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        p = make_pooler(peer_id=1, cancel_wait_timeout="0.5", extra=f"[peers]\n9 = host=127.0.0.1 port={listener.getsockname()[1]}\n")
        cancel_raw(p.port, bytes([5]) + struct.pack("<H", 9) + b"abcd" + bytes([3]))
        p.wait_log("peer-9: cancel request: cancel_wait_timeout")


def test_own_line_and_reload(group, make_pooler, pg):
    """Our own line is shown, as in PgBouncer; nothing is ever sent there."""
    a, b = group(2).values()
    assert [r["peer_id"] for r in a.console().show("PEERS")] == ["1", "2"]
    assert [r["peer_id"] for r in a.console().show("PEER_POOLS")] == ["2"]
    assert {r["list"]: r["items"] for r in a.console().show("LISTS") if r["list"].startswith("peer")} == {"peers": "2", "peer_pools": "1"}
    a.extra = ""
    a.reload()
    wait_until(lambda: a.console().show("PEERS") == [])


def test_many_requests(group, pg):
    """Requests from many sides for many clients; each hits its own."""
    a, b = group(2, default_pool_size=8).values()
    clients = [a.client() for _ in range(8)]
    for i, c in enumerate(clients):
        run(c, pg, f"many {i}x")
    threads = [threading.Thread(target=cancel_raw, args=(b.port, c.key)) for c in clients[::2] for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in clients[::2]:
        assert c.until_ready().error["C"] == "57014"
    assert not any(c.readable() for c in clients[1::2])
    for c in clients[1::2]:
        cancel_raw(b.port, c.key)
        assert c.until_ready().error["C"] == "57014"


def test_protocol_3_2_stays_3_0_in_a_group(make_pooler):
    p = make_pooler(peer_id=1, client_max_protocol_version="3.2")
    c = p.raw()
    c.send(wire.startup_packet({"user": "postgres", "database": "p0"}, wire.PROTOCOL_3 + 2))
    assert c.recv().type == "v"
