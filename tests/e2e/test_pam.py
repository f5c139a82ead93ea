# SPDX-License-Identifier: ISC
"""auth_type = pam, against a service of the test's own in /etc/pam.d."""
import fcntl
import os
import pathlib
import shutil
import tempfile

import pytest

from support import wire
from support.pooler import refused

SERVICE = "/etc/pam.d/pgbouncer"
OURS = "# by tests/e2e/test_pam.py\n"


def somebodys():
    """The service is there, and not from a run of these tests beside this one."""
    try:
        return not pathlib.Path(SERVICE).read_text(encoding="utf-8").startswith(OURS)
    except OSError:
        return os.path.exists(SERVICE)


pytestmark = [pytest.mark.poolwise,
              pytest.mark.skipif(os.geteuid() != 0, reason="not run as root"),
              pytest.mark.skipif(somebodys(), reason=f"{SERVICE} is there already")]

SCRIPT = """#!/bin/sh
IFS= read -r password || :
[ -e {dir}/slow ] && while [ -e {dir}/slow ]; do sleep 0.05; done
[ "$PAM_TYPE" = account ] && {{ [ "$PAM_USER" != locked ]; exit; }}
[ "$PAM_USER:$password" = "u_trust:pam secret" ] || [ "$PAM_USER:$password" = "locked:pam secret" ] ||
    [ "$PAM_USER:$password" = "u_plain:plain pass" ]
"""


@pytest.fixture(scope="module")
def pam():
    """A service whose passwords a script knows; the folder with its switches."""
    directory = tempfile.mkdtemp(prefix="pw-pam-")
    os.chmod(directory, 0o755)
    script = os.path.join(directory, "check")
    with open(script, "w", encoding="utf-8") as f:
        f.write(SCRIPT.format(dir=directory))
    os.chmod(script, 0o755)
    # There is one such file, and tests/run has several processes: one after the other.
    with open(os.path.join(tempfile.gettempdir(), "poolwise-test-pam.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(SERVICE, "w", encoding="utf-8") as f:
            f.write(f"{OURS}auth required pam_exec.so quiet expose_authtok {script}\naccount required pam_exec.so quiet {script}\n")
        try:
            yield directory
        finally:
            os.unlink(SERVICE)
            shutil.rmtree(directory, ignore_errors=True)


def test_pam_decides(make_pooler, pam):
    p = make_pooler(auth_type="pam", auth_file={})
    c = p.client("p0", "u_trust", "pam secret")
    assert c.auth_methods == [3]
    assert c.one("SELECT current_user") == "u_trust"
    assert refused(p, "u_trust", "wrong") == "PAM authentication failed"
    assert refused(p, "nobody", "pam secret") == "PAM authentication failed"
    assert refused(p, "u_trust", "") == "empty password returned by client"
    p.wait_log(r"login refused: pam_authenticate\(\) failed: ")
    assert refused(p, "locked", "pam secret") == "PAM authentication failed"
    p.wait_log(r"login refused: pam_acct_mgmt\(\) failed: ")
    assert "pam secret" not in p.log()


def test_the_password_serves_the_login_to_the_server(make_pooler, pam):
    p = make_pooler(auth_type="pam", auth_file={})
    assert p.client("p0", "u_plain", "plain pass").one("SELECT current_user") == "u_plain"


def test_a_slow_module_holds_up_nobody(make_pooler, pam):
    p = make_pooler(auth_type="pam", auth_file={}, worker_threads=1)
    fast = p.client("p0", "u_trust", "pam secret")
    switch = os.path.join(pam, "slow")
    with open(switch, "w", encoding="utf-8"):
        pass
    try:
        slow, gone = p.raw(), p.raw()
        for c in (slow, gone):
            c.startup(user="u_trust", database="p0")
            c.expect("R")
            c.send(wire.message("p", b"pam secret\0"))
        fast.ok("SELECT 1")
        gone.close()  # still in the queue
        fast.ok("SELECT 1")
    finally:
        os.unlink(switch)
    assert slow.expect("R")[0].body == b"\0\0\0\0"


def test_rules_can_name_pam(make_pooler, pam):
    p = make_pooler(start=False, auth_type="hba", auth_file={})
    p.settings["auth_hba_file"] = os.path.join(p.dir, "hba.conf")
    p._put(p.settings["auth_hba_file"], "host p0 u_trust all pam\n")
    p.start()
    p.client("p0", "u_trust", "pam secret").ok("SELECT 1")
    assert refused(p, "u_trust", "wrong") == "PAM authentication failed"


def test_auth_user_of_a_line_and_pam_do_not_go_together(make_pooler, pam, pg):
    """The global auth_user may stay in the file: with PAM nobody asks it."""
    p = make_pooler(auth_type="pam", auth_user="u_md5", auth_file={}, databases={"p0": pg.line(), "p1": pg.line(auth_user="u_md5")})
    p.client("p0", "u_trust", "pam secret").ok("SELECT 1")
    assert refused(p, "u_trust", "wrong") == "PAM authentication failed"
    assert refused(p, "u_trust", "pam secret", "p1") == "bouncer config error"
    p.wait_log("PAM can't be used together with database authentication")
