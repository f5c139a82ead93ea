# SPDX-License-Identifier: ISC
"""What the Python programs share: runs the scenarios of the command line and prints a line for each."""
import os
import sys


class NotSupported(Exception):
    """The driver cannot do this, whatever it is connected to."""


def check(got, want):
    if got != want:
        raise AssertionError(f"{str(got)[:200]!r} instead of {str(want)[:80]!r}")


def raises(kind, fn):
    """The exception that `fn` must raise."""
    try:
        fn()
    except kind as e:
        return e
    raise AssertionError("no error")


def line(name, result, detail=""):
    print(name, result, str(detail).replace("\n", " ").replace("\t", " "), sep="\t", flush=True)


def main(functions, connect):
    """Each scenario has a new connection: s_<name>(connection, user); what it returns is told."""
    for name in sys.argv[1:]:
        try:
            c = connect()
            try:
                detail = functions["s_" + name](c, os.environ["PGUSER"])
            finally:
                c.close()
            line(name, "ok", "" if detail is None else detail)
        except NotSupported as e:
            line(name, "n/a", e)
        except Exception as e:  # pylint: disable=broad-except
            line(name, "FAIL", f"{type(e).__name__}: {e}")
