# SPDX-License-Identifier: ISC
"""A pooler whose calls of the kernel and of the C library fail when a test says so. faults.c is what makes them fail."""
import errno
import mmap
import os
import struct
import subprocess

from support.pooler import Pooler
from support.util import wait_until

LAYOUT = struct.Struct("=iiqqqq")
# The same order as the enum in faults.c.
CALLS = ["none", "memory", "accept4", "socket", "connect", "send", "recv", "sendmsg", "recvmsg", "epoll_ctl", "epoll_wait", "setsockopt", "fcntl", "open",
         "write", "read", "rename", "shutdown", "random", "uring", "clock", "getsockopt", "getsockname", "pipe", "block"]


class FaultyPooler(Pooler):
    """A pooler whose calls fail when `fail` says so."""

    def __init__(self, library, *args, **settings):
        super().__init__(*args, **settings)
        path = os.path.join(self.dir, "faults")
        with open(path, "wb") as f:
            f.write(bytes(LAYOUT.size))
        os.chmod(path, 0o666)
        with open(path, "r+b") as f:
            self.shared = mmap.mmap(f.fileno(), LAYOUT.size)
        self.faults = {"FAULTS_FILE": path, "LD_PRELOAD": library}

    def env(self):
        env = {**super().env(), **self.faults}
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:handle_abort=0:" + env["ASAN_OPTIONS"]
        return env

    def settle(self):
        """Until all of its threads have begun and sleep: a sanitizer cannot begin one without memory."""
        def asleep():
            states = []
            for task in os.listdir(f"/proc/{self.proc.pid}/task"):
                with open(f"/proc/{self.proc.pid}/task/{task}/stat", encoding="ascii") as f:
                    states.append(f.read().rsplit(")", 1)[1].split()[0])
            return set(states) == {"S"}
        wait_until(asleep, what="all threads sleep")

    def fail(self, call, error, skip=0, times=1):
        """From the call number `skip` on, so many `times`. error: an errno's name, "0" (short), or seconds (clock)."""
        number = getattr(errno, error, None) if error.startswith("E") else int(error)
        LAYOUT.pack_into(self.shared, 0, 0, 0, 0, 0, 0, 0)
        struct.pack_into("=iqqqq", self.shared, 4, number, skip, times, 0, 0)
        struct.pack_into("=i", self.shared, 0, CALLS.index(call))

    def heal(self):
        """Nothing fails any more; how often something did."""
        struct.pack_into("=i", self.shared, 0, 0)
        return LAYOUT.unpack_from(self.shared)[5]


def library(build):
    """The path of faults.so, made for this machine."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.c")
    out = os.path.join(build, "faults.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-g", "-fno-builtin", "-D_GNU_SOURCE", "-o", out, source, "-ldl"], check=True)
    os.chmod(out, 0o755)
    return out
