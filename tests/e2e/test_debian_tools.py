# SPDX-License-Identifier: ISC
"""What Debian ships for PgBouncer works unchanged: its sample pgbouncer.ini, its prometheus-pgbouncer-exporter."""
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from support.util import free_port, run_as, server_user, wait_until

EXPORTER = "/usr/bin/prometheus-pgbouncer-exporter"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Debian's pgbouncer.ini: from the installed package, or from a package that is only unpacked (installing it would start
    a PgBouncer)."""
    installed = "/usr/share/doc/pgbouncer/examples/pgbouncer.ini"
    if os.path.exists(installed):
        return installed
    folder = tmp_path_factory.mktemp("pgbouncer")
    folder.chmod(0o777)
    try:
        subprocess.run(["apt-get", "-q", "download", "pgbouncer"], cwd=folder, capture_output=True, check=True, timeout=60)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("Debian's pgbouncer package is neither installed nor can it be downloaded")
    (package,) = folder.glob("pgbouncer_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "x"], check=True)
    return str(folder / "x" / "usr/share/doc/pgbouncer/examples/pgbouncer.ini")


def metrics(text):
    return dict(re.findall(r"^(pgbouncer_\w+(?:\{[^}]*\})?) (\S+)$", text, re.M))


def test_exporter(make_pooler):
    """The exporter's own queries, on a pooler that has something to tell."""
    if not os.path.exists(EXPORTER):
        pytest.fail(f"no {EXPORTER}: it is in the test packages")
    p = make_pooler(reserve_pool_size=3)
    clients = [p.client() for _ in range(3)]
    for c in clients:
        c.ok("SELECT 1")
    port = free_port()
    with open(os.path.join(p.dir, "exporter.log"), "wb") as log:
        proc = subprocess.Popen([EXPORTER, "--host", "127.0.0.1", "--port", str(port), "--pgbouncer-host", p.dir,
                                 "--pgbouncer-port", str(p.port)], stdout=log, stderr=log, **run_as(server_user()))
    try:
        def ask():
            assert proc.poll() is None, open(log.name, encoding="utf-8").read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    return answer.read().decode()
            except OSError:
                return None
        got = metrics(wait_until(ask))
        assert float(got['pgbouncer_requests_total{database="p0"}']) == 3
        assert float(got['pgbouncer_active_clients{database="p0",user="postgres"}']) == 3
        assert float(got['pgbouncer_reserve_pool{database="p0"}']) == 3 and float(got['pgbouncer_pool_size{database="p0"}']) == 20
        assert float(got["pgbouncer_used_clients"]) == 4
        clients[0].ok("SELECT 2")
        assert float(metrics(ask())['pgbouncer_requests_total{database="p0"}']) == 4
    finally:
        proc.terminate()
        proc.wait()


# In name spaces of its own: the sample's folders and ports, whatever this machine does with them.
STAGE = r"""
import fcntl, os, pwd, socket, struct, subprocess, sys, time, urllib.request
binary, sample, exporter = sys.argv[1:]
for folder in ("/var/log/postgresql", "/run/postgresql"):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "none", folder], check=True)
with socket.socket() as s:
    flags = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
    fcntl.ioctl(s, 0x8914, flags)
user = pwd.getpwnam("postgres")
as_postgres = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
pooler = subprocess.Popen([binary, sample], **as_postgres)
end = time.time() + 30
while not os.path.exists("/var/run/postgresql/.s.PGSQL.6432") and time.time() < end and pooler.poll() is None:
    time.sleep(0.02)
tool = subprocess.Popen([exporter, "--config", "/etc/prometheus-pgbouncer-exporter.conf"], stderr=subprocess.DEVNULL, **as_postgres)
text = None
while text is None and time.time() < end and tool.poll() is None:
    try:
        text = urllib.request.urlopen("http://127.0.0.1:9127/metrics", timeout=5).read().decode()
    except OSError:
        time.sleep(0.02)
print(text, flush=True)
print(open("/var/run/postgresql/pgbouncer.pid").read().strip() == str(pooler.pid), flush=True)
print(open("/var/log/postgresql/pgbouncer.log").read(), flush=True)
with socket.create_connection(("localhost", 6432)):
    pass
tool.terminate()
pooler.terminate()
tool.wait()
sys.exit(pooler.wait())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_sample_and_the_exporter_as_debian_runs_them(binary, sample):
    """Nothing is changed: files, folders, ports and users are those of the packages."""
    if subprocess.run(["unshare", "-m", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no name spaces on this machine")
    copy = os.path.join(os.path.dirname(binary), "pgbouncer.ini")
    shutil.copy(sample, copy)
    os.chmod(copy, 0o644)
    out = subprocess.run(["unshare", "-m", "-n", sys.executable, "-c", STAGE, binary, copy, EXPORTER], capture_output=True, text=True,
                         timeout=90, check=False, cwd="/tmp")
    assert out.returncode == 0, out.stdout + out.stderr
    got = metrics(out.stdout)
    assert got["pgbouncer_databases"] == "1.0" and got["pgbouncer_used_clients"] == "1.0"
    assert float(got['pgbouncer_requests_total{database="pgbouncer"}']) >= 1
    assert "\nTrue\n" in out.stdout and "process up" in out.stdout
