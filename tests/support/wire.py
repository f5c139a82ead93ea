# SPDX-License-Identifier: ISC
"""A raw PostgreSQL client: sends any bytes, reads message by message, never waits past its deadline."""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import time
from collections import namedtuple

from .util import DEADLINE

PROTOCOL_3 = 196608
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)

BOUND = "p=tls-server-end-point"

Msg = namedtuple("Msg", "type body")


def any_certificate():
    """A TLS context that does not look at the server's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Closed(Exception):
    """The peer closed the connection."""


class ServerError(Exception):
    """An ErrorResponse that the caller did not ask for."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.severity = fields.get("S")
        self.code = fields.get("C")
        self.message = fields.get("M")


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message("Q", cstr(sql))


def parse(sql, name="", oids=()):
    return message("P", cstr(name) + cstr(sql) + struct.pack("!h", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))


def bind(portal="", statement="", params=()):
    out = cstr(portal) + cstr(statement) + struct.pack("!hh", 0, len(params))
    for p in params:
        if p is None:
            out += struct.pack("!i", -1)
        else:
            p = p if isinstance(p, bytes) else str(p).encode()
            out += struct.pack("!i", len(p)) + p
    return message("B", out + struct.pack("!h", 0))


def describe(kind="P", name=""):
    return message("D", kind.encode() + cstr(name))


def execute(portal="", limit=0):
    return message("E", cstr(portal) + struct.pack("!i", limit))


def close(kind, name=""):
    return message("C", kind.encode() + cstr(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def copy_data(data):
    return message("d", data if isinstance(data, bytes) else data.encode())


def copy_done():
    return message("c")


def copy_fail(why):
    return message("f", cstr(why))


def function_call(oid, args):
    """Fast path: arguments are bytes in binary format, the result comes back in binary."""
    out = struct.pack("!Ihhh", oid, 1, 1, len(args))
    for a in args:
        out += struct.pack("!i", len(a)) + a
    return message("F", out + struct.pack("!h", 1))


def group(sql, params=(), name=""):
    """One Parse/Bind/Execute/Sync group."""
    return parse(sql, name) + bind("", name, params) + execute() + sync()


def startup_packet(params, protocol=PROTOCOL_3):
    body = struct.pack("!i", protocol)
    for key, value in params.items():
        body += cstr(key) + cstr(value)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def fields_of(body):
    """The fields of an ErrorResponse or NoticeResponse."""
    out = {}
    pos = 0
    while pos < len(body) and body[pos]:
        end = body.index(0, pos + 1)
        out[chr(body[pos])] = body[pos + 1:end].decode(errors="replace")
        pos = end + 1
    return out


def row_description(body):
    """[(name, type oid)] of a RowDescription."""
    (count,) = struct.unpack_from("!h", body, 0)
    pos, out = 2, []
    for _ in range(count):
        end = body.index(0, pos)
        name = body[pos:end].decode()
        oid = struct.unpack_from("!IhIhih", body, end + 1)[2]
        out.append((name, oid))
        pos = end + 19
    return out


def data_row(body):
    (count,) = struct.unpack_from("!h", body, 0)
    pos, out = 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, pos)
        pos += 4
        if length < 0:
            out.append(None)
        else:
            out.append(body[pos:pos + length].decode(errors="replace"))
            pos += length
    return out


class Result:
    """What one simple query (or one Sync group) answered, up to its ReadyForQuery."""

    def __init__(self):
        self.columns, self.rows, self.tags = [], [], []
        self.errors, self.notices, self.messages = [], [], []
        self.status = None

    @property
    def error(self):
        return self.errors[0] if self.errors else None

    @property
    def types(self):
        return "".join(m.type for m in self.messages)

    def dicts(self):
        return [dict(zip([c[0] for c in self.columns], r)) for r in self.rows]

    def add(self, msg):
        self.messages.append(msg)
        if msg.type == "T":
            self.columns = row_description(msg.body)
        elif msg.type == "D":
            self.rows.append(data_row(msg.body))
        elif msg.type == "C":
            self.tags.append(msg.body[:-1].decode())
        elif msg.type == "E":
            self.errors.append(fields_of(msg.body))
        elif msg.type == "N":
            self.notices.append(fields_of(msg.body))
        elif msg.type == "Z":
            self.status = msg.body.decode()


class Conn:
    """One connection. Not logged in until login() or startup() with hand-made replies."""

    def __init__(self, port=None, host="127.0.0.1", unix=None, deadline=None):
        self.deadline = DEADLINE if deadline is None else deadline
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.deadline)
            self.sock.connect(unix)
        else:
            self.sock = socket.create_connection((host, port), self.deadline)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.params, self.notices, self.key = {}, [], None
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # --- bytes

    def send(self, *parts):
        self.sock.settimeout(self.deadline)
        self.sock.sendall(b"".join(parts))

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no message before the deadline")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            raise TimeoutError("no message before the deadline") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed("closed by the peer" + (f" after {len(self.buf)} bytes of a message" if self.buf else ""))
        self.buf += data

    def recv(self, deadline=None):
        """The next message; Closed at the end, TimeoutError past the deadline."""
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while len(self.buf) < 5:
            self._fill(end)
        (length,) = struct.unpack_from("!i", self.buf, 1)
        while len(self.buf) < length + 1:
            self._fill(end)
        msg = Msg(chr(self.buf[0]), self.buf[5:length + 1])
        self.buf = self.buf[length + 1:]
        if msg.type == "S":
            key, value = msg.body[:-1].split(b"\0")[:2]
            self.params[key.decode()] = value.decode(errors="replace")
        elif msg.type == "N":
            self.notices.append(fields_of(msg.body))
        elif msg.type == "Z":
            self.status = msg.body.decode()
        return msg

    def recv_byte(self, deadline=None):
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while not self.buf:
            self._fill(end)
        out, self.buf = self.buf[:1], self.buf[1:]
        return out

    def expect(self, types, deadline=None):
        """Reads one message for each letter of `types`; notices and parameters in between are passed over."""
        out = []
        for want in types:
            msg = self.recv(deadline)
            while msg.type in "NS" and msg.type != want:
                msg = self.recv(deadline)
            assert msg.type == want, f"wanted {want}, got {msg.type} {msg.body!r}"
            out.append(msg)
        return out

    def until_ready(self, deadline=None):
        """Everything up to and with the next ReadyForQuery."""
        result = Result()
        while result.status is None:
            result.add(self.recv(deadline))
        return result

    def until_closed(self, deadline=None):
        """Every message up to the end of the connection."""
        result = Result()
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while True:
            try:
                result.add(self.recv(max(0.001, end - time.monotonic())))
            except (Closed, ConnectionResetError, BrokenPipeError):
                return result

    def readable(self):
        """True when there is something to read now (also the end of the connection)."""
        if self.buf:
            return True
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) is not None
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionResetError:
            return True
        finally:
            self.sock.setblocking(True)

    # --- conversations

    def tls(self, context=None, direct=False, server_hostname=None, session=None):
        """Goes over to TLS (SSLRequest, or at once); without a context any certificate will do. `session`: of the same context, to be resumed."""
        if context is None:
            context = any_certificate()
        if direct and direct != "no alpn":
            context.set_alpn_protocols(["postgresql"])
        if not direct:
            self.send(SSL_REQUEST)
            answer = self.recv_byte()
            assert answer == b"S", f"no TLS here: {answer!r}"
        self.sock = context.wrap_socket(self.sock, server_hostname=server_hostname, session=session)
        return self

    def startup(self, **params):
        self.send(startup_packet({k: v for k, v in params.items() if v is not None}))

    def login(self, user, database=None, password=None, gs2="n", **params):
        """Logs in; returns self. `gs2`: see Scram."""
        self.startup(user=user, database=database, **params)
        self.authenticate(user, password, gs2)
        return self

    def endpoint_hash(self):
        """What tls-server-end-point binds to; certificates of the tests are signed with SHA-256."""
        return hashlib.sha256(self.sock.getpeercert(binary_form=True)).digest()

    def authenticate(self, user, password, gs2="n"):
        """Answers what the server asks, up to ReadyForQuery; raises ServerError."""
        self.auth_methods = []
        scram = None
        while True:
            msg = self.recv()
            if msg.type == "E":
                raise ServerError(fields_of(msg.body))
            if msg.type == "K":
                self.key = msg.body
            if msg.type == "Z":
                return self
            if msg.type != "R":
                continue
            (code,) = struct.unpack_from("!i", msg.body, 0)
            if code:
                self.auth_methods.append(code)
            if code == 3:
                self.send(message("p", cstr(password)))
            elif code == 5:
                inner = hashlib.md5((password + user).encode()).hexdigest()
                digest = hashlib.md5(inner.encode() + msg.body[4:8]).hexdigest()
                self.send(message("p", cstr("md5" + digest)))
            elif code == 10:
                self.sasl_mechanisms = [m.decode() for m in msg.body[4:].split(b"\0") if m]
                scram = Scram(password, gs2, self.endpoint_hash() if gs2.startswith("p=") else b"")
                first = scram.first().encode()
                name = "SCRAM-SHA-256-PLUS" if gs2.startswith("p=") else "SCRAM-SHA-256"
                self.send(message("p", cstr(name) + struct.pack("!i", len(first)) + first))
            elif code == 11:
                self.send(message("p", scram.final(msg.body[4:].decode()).encode()))
            elif code == 12:
                assert scram.verify(msg.body[4:].decode()), "the server's SCRAM signature is wrong"
            elif code != 0:
                raise AssertionError(f"authentication code {code}")

    def query(self, sql, deadline=None):
        """A simple query's Result. Raises ServerError only if the connection closes with one."""
        self.send(query(sql))
        return self._result(deadline)

    def _result(self, deadline):
        result = Result()
        try:
            while result.status is None:
                result.add(self.recv(deadline))
        except Closed:
            if result.errors:
                raise ServerError(result.errors[-1]) from None
            raise
        return result

    def ok(self, sql, deadline=None):
        """Runs a simple query that must not fail; its rows."""
        result = self.query(sql, deadline)
        if result.errors:
            raise ServerError(result.errors[0])
        return result.rows

    def one(self, sql, deadline=None):
        """The single value of a query."""
        return self.ok(sql, deadline)[0][0]

    def copy_in_start(self, sql):
        self.send(query(sql))
        return self.expect("G")

    def fatal(self, deadline=None):
        """Waits for the FATAL error that ends this connection, and for the end."""
        result = self.until_closed(deadline)
        assert result.errors, f"closed without an error, after {result.types!r}"
        return result.errors[-1]

    def close(self):
        self.sock.close()

    def reset(self):
        """Dies as a killed client does: a TCP RST, no Terminate."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.sock.close()

    def cancel(self, port=None, host="127.0.0.1", unix=None):
        """Sends a cancel request for this connection and waits until it was taken (the other side closes)."""
        with Conn(port, host, unix, self.deadline) as c:
            c.send(struct.pack("!ii", 8 + len(self.key), 80877102) + self.key)
            assert not c.until_closed().messages


class Scram:
    """The client side of SCRAM-SHA-256. `gs2`: n (no channel binding), y (could, was not offered), or BOUND."""

    def __init__(self, password, gs2="n", binding=b""):
        self.gs2, self.binding = gs2, binding
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18)).decode()

    def first(self):
        self.bare = f"n=,r={self.nonce}"
        return self.gs2 + ",," + self.bare

    def final(self, server_first):
        attrs = dict(a.split("=", 1) for a in server_first.split(","))
        assert attrs["r"].startswith(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(attrs["s"]), int(attrs["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bound = base64.b64encode(f"{self.gs2},,".encode() + self.binding).decode()
        without_proof = f"c={bound},r={attrs['r']}"
        self.auth = f"{self.bare},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), self.auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_key = hmac.digest(salted, b"Server Key", "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}"

    def verify(self, server_final):
        want = base64.b64encode(hmac.digest(self.server_key, self.auth, "sha256")).decode()
        return server_final == f"v={want}"


def scram_secret(password, salt=b"0123456789abcdef", iterations=4096):
    """What PostgreSQL stores in rolpassword."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    b64 = lambda b: base64.b64encode(b).decode()
    return f"SCRAM-SHA-256${iterations}:{b64(salt)}${b64(stored)}:{b64(server)}"


def md5_secret(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()
