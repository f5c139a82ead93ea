# SPDX-License-Identifier: ISC
"""A TCP relay between pooler and server that records, stalls and cuts; and a scripted server."""
import select
import socket
import struct
import threading
import time

from . import wire


class Tap:
    """Listens on its own port; each connection is relayed to `target` until told otherwise.

    to_server: the bytes of each connection, in order of arrival. stalled: nothing passes while set."""

    def __init__(self, target_port, host="127.0.0.1", listen_port=0, listen_host="127.0.0.1"):
        self.target = (host, target_port)
        self.listener = socket.create_server((listen_host, listen_port))
        self.port = self.listener.getsockname()[1]
        self.to_server, self.to_client, self.pairs = [], [], []
        self.flowing = threading.Event()
        self.flowing.set()
        self.refusing = False
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                near.close()
                continue
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                n = len(self.pairs)
                self.pairs.append((near, far))
                self.to_server.append(bytearray())
                self.to_client.append(bytearray())
            threading.Thread(target=self._pump, args=(near, far, self.to_server[n]), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, self.to_client[n]), daemon=True).start()

    def _pump(self, source, sink, record):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                self.flowing.wait()
                record += data
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def all_to_server(self):
        return b"".join(bytes(b) for b in self.to_server)

    def cut(self, n=None):
        """Ends one connection (or all), as a network failure seen by both ends."""
        for near, far in self.pairs if n is None else [self.pairs[n]]:
            for s in (near, far):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stall(self):
        self.flowing.clear()

    def go_on(self):
        self.flowing.set()

    def close(self):
        self.flowing.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which would keep the port
        self.listener.close()
        self.cut()
        for pair in self.pairs:
            for s in pair:
                s.close()


class FakeServer:
    """A PostgreSQL server that does what the test says. accept() gives a FakeSession after the login."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions = []
        self.tls = None  # an ssl.SSLContext: SSLRequest is answered with S

    def accept_raw(self, deadline=20):
        """The next connection with its start-up packet read, nothing answered."""
        self.listener.settimeout(deadline)
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = FakeSession(sock)
        self.sessions.append(session)
        session.read_startup(self.tls)
        return session

    def accept(self, deadline=20):
        session = self.accept_raw(deadline)
        session.welcome()
        return session

    def waits(self):
        """Has somebody connected who was not accepted yet?"""
        return bool(select.select([self.listener], [], [], 0)[0])

    def login(self, p, **params):
        """A client of the pooler `p` whose login has to wait for a connection to this server: both of them."""
        client = p.raw()
        client.startup(user="postgres", database="p0", **params)
        session = self.accept()
        return client.authenticate("postgres", None), session

    def close(self):
        self.listener.close()
        for s in self.sessions:
            s.close()


class FakeSession(wire.Conn):
    PARAMS = {"server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
              "TimeZone": "UTC", "standard_conforming_strings": "on", "IntervalStyle": "postgres",
              "integer_datetimes": "on", "is_superuser": "on", "session_authorization": "postgres",
              "application_name": "", "default_transaction_read_only": "off", "in_hot_standby": "off"}

    def __init__(self, sock):  # pylint: disable=super-init-not-called
        self.sock = sock
        self.deadline = 20
        self.buf = b""
        self.params, self.notices, self.key, self.status = {}, [], None, None

    def read_startup(self, tls=None):
        while True:
            wait = self.sock
            wait.settimeout(self.deadline)
            head = self._exactly(4)
            (length,) = struct.unpack("!i", head)
            body = self._exactly(length - 4)
            (code,) = struct.unpack_from("!i", body)
            if code == 80877103:
                self.send(b"S" if tls else b"N")
                if tls:
                    self.sock = tls.wrap_socket(self.sock, server_side=True)
                continue
            self.startup_code = code
            parts = body[4:].split(b"\0")
            self.startup_params = {k.decode(): v.decode() for k, v in zip(parts[0::2], parts[1::2]) if k}
            return

    def _exactly(self, n):
        out = b""
        while len(out) < n:
            data = self.sock.recv(n - len(out))
            if not data:
                raise wire.Closed("closed in the start-up")
            out += data
        return out

    def recv(self, deadline=None):
        """Messages from the pooler: 'S' is Sync here, not ParameterStatus."""
        params, self.params = self.params, {}
        try:
            return self._recv_plain(deadline)
        finally:
            self.params = params

    def _recv_plain(self, deadline):
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while len(self.buf) < 5:
            self._fill(end)
        (length,) = struct.unpack_from("!i", self.buf, 1)
        while len(self.buf) < length + 1:
            self._fill(end)
        msg = wire.Msg(chr(self.buf[0]), self.buf[5:length + 1])
        self.buf = self.buf[length + 1:]
        return msg

    def welcome(self, pid=4711, secret=815, key_data=None):
        out = wire.message("R", struct.pack("!i", 0))
        for key, value in self.PARAMS.items():
            out += wire.message("S", wire.cstr(key) + wire.cstr(value))
        out += wire.message("K", key_data or struct.pack("!ii", pid, secret)) + wire.message("Z", b"I")
        self.send(out)

    def answer(self, value="1", tag="SELECT 1", status=b"I"):
        """A row with one text column, and ReadyForQuery."""
        v = value.encode()
        self.send(wire.message("T", struct.pack("!h", 1) + wire.cstr("v") + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)),
                  wire.message("D", struct.pack("!hi", 1, len(v)) + v), wire.message("C", wire.cstr(tag)),
                  wire.message("Z", status))

    def error(self, text, code="XX000", severity="ERROR"):
        self.send(wire.message("E", b"S" + wire.cstr(severity) + b"V" + wire.cstr(severity) + b"C" + wire.cstr(code)
                               + b"M" + wire.cstr(text) + b"\0"))


def fake_line(server, **more):
    values = {"host": "127.0.0.1", "port": server.port, **more}
    return " ".join(f"{k}={v}" for k, v in values.items())
