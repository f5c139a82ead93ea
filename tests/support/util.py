# SPDX-License-Identifier: ISC
"""Waiting on conditions, free ports, and who to run servers as."""
import os
import pwd
import socket
import time

# Sanitizer builds on a loaded machine are slow: everything that waits uses this unless it measures time itself.
DEADLINE = float(os.environ.get("TEST_DEADLINE", "20"))


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_until(condition, deadline=None, what=None, every=0.01):
    """Polls `condition` until it is true and returns its value; raises Timeout with its last value."""
    end = time.monotonic() + (DEADLINE if deadline is None else deadline)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"not true in time: {what or condition}: last value {value!r}")
        time.sleep(every)


def free_port(host="127.0.0.1"):
    """A TCP port that nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def server_user():
    """The unprivileged account that servers run as: ourselves, or one of the usual ones when we are root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("running as root and neither 'postgres' nor 'nobody' exists")


def run_as(user):
    """Arguments for subprocess that drop to `user` when we are root."""
    if os.geteuid() != 0:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
