# SPDX-License-Identifier: ISC
"""A name server that says what the test tells it to."""
import random
import socket
import struct
import threading


class NameServer:
    """PermissionError unless we may use port 53. names: {name: [IPv4 addresses]}; other names do not exist. asked: the names of the questions for addresses, in order.
    serials: {zone: serial number}. services: {name of a SRV record: (host, port)}. silent: nobody is answered while it is set."""

    def __init__(self, names, ttl=60, services=None):
        self.services = services or {}
        self.names, self.ttl, self.asked, self.serials = names, ttl, [], {}
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.53"  # a resolv.conf knows no other port than 53
        self.sock.bind((self.address, 53))
        self.closed = self.silent = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def resolv_conf(self):
        return f"nameserver {self.address}\noptions attempts:1 timeout:1\n"

    def _serve(self):
        self.sock.settimeout(0.2)
        while not self.closed:
            try:
                packet, peer = self.sock.recvfrom(2000)
            except socket.timeout:
                continue
            pos, labels = 12, []
            while packet[pos]:
                labels.append(packet[pos + 1:pos + 1 + packet[pos]].decode())
                pos += packet[pos] + 1
            question = packet[12:pos + 5]
            kind, = struct.unpack_from("!H", packet, pos + 1)
            name = ".".join(labels).lower()
            found = name in self.names or name in self.serials or name in self.services
            addresses = self.names.get(name, []) if kind == 1 else []
            if kind == 1:
                self.asked.append(name)
            if self.silent:
                continue
            answer = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, self.ttl, 4) + socket.inet_aton(a) for a in addresses)
            answers = len(addresses)
            if kind == 6 and name in self.serials:  # SOA: two names, serial, refresh, retry, expire, minimum
                data = b"\xc0\x0c\xc0\x0c" + struct.pack("!5I", self.serials[name], 60, 60, 60, 60)
                answer, answers = b"\xc0\x0c" + struct.pack("!HHIH", 6, 1, self.ttl, len(data)) + data, 1
            if kind == 33 and name in self.services:
                host, port = self.services[name]
                data = struct.pack("!HHH", 0, 0, port) + b"".join(bytes([len(part)]) + part.encode() for part in host.split(".")) + b"\0"
                answer, answers = b"\xc0\x0c" + struct.pack("!HHIH", 33, 1, self.ttl, len(data)) + data, 1
            self.sock.sendto(packet[:2] + struct.pack("!HHHHH", 0x8180 if found else 0x8183, 1, answers, 0, 0) + question + answer, peer)

    def close(self):
        self.closed = True
        self.thread.join()
        self.sock.close()
