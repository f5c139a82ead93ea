# SPDX-License-Identifier: ISC
"""Command line, configuration file, daemon, pid file, privileges."""
import os
import pwd
import re
import signal
import subprocess

import pytest

from conftest import ROOT
from support import wire
from support.util import run_as, server_user, wait_until


def run(p, *args, timeout=20, as_root=False):
    who = {} if as_root else run_as(p.user)
    return subprocess.run([p.binary, *args], capture_output=True, text=True, timeout=timeout, cwd=p.dir, env=p.env(), check=False, **who)


@pytest.fixture
def cold(make_pooler):
    """A pooler whose files are written and that does not run."""
    def make(**settings):
        p = make_pooler(start=False, **settings)
        p.write()
        return p
    return make


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(cold, flag, reference):
    out = run(cold(), flag)
    assert out.returncode == 0
    if not reference:
        assert out.stdout.splitlines()[0].lower().startswith("poolwise")
        words = [line.split()[0] for line in out.stdout.splitlines()[1:]]
        assert words[:3] == ["libevent", "adns:", "tls:"]


@pytest.mark.poolwise
def test_version_of_a_link_named_pgbouncer(cold):
    """Scripts take the second word of the first line."""
    p = cold()
    link = os.path.join(p.dir, "pgbouncer")
    os.symlink(p.binary, link)
    first = subprocess.run([link, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    assert re.match(r"PgBouncer 1\.\d+\.\d+ ", first), first


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(cold, flag):
    out = run(cold(), flag)
    assert out.returncode == 0
    for option in ("--daemon", "--verbose", "--version", "--quiet", "--user", "--help"):
        assert option in out.stdout


@pytest.mark.parametrize("args", [[], ["a.ini", "b.ini"], ["--nosuch"], ["/nonexistent/file.ini"]])
def test_wrong_usage(cold, args):
    out = run(cold(), *args)
    assert out.returncode == 1
    assert out.stderr.strip() or out.stdout.strip()


@pytest.mark.poolwise
def test_check_a_good_file(cold):
    p = cold()
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 0, out.stderr


@pytest.mark.poolwise
def test_check_lists_all_problems_at_once(cold):
    p = cold(defualt_pool_size=5, pool_mode="transactoin", query_wait_timeout="soon")
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 1
    text = out.stdout + out.stderr
    for wanted in ("defualt_pool_size", "default_pool_size", "transactoin", "query_wait_timeout", "soon"):
        assert wanted in text, text
    lines = open(p.ini_path, encoding="utf-8").read().splitlines()
    for key in ("defualt_pool_size", "pool_mode", "query_wait_timeout"):
        number = 1 + [i for i, line in enumerate(lines) if line.startswith(key)][0]
        assert f"pooler.ini:{number}" in text, text


@pytest.mark.poolwise
def test_check_the_files_of_the_readme(cold):
    p = cold()
    blocks = [re.sub("^    ", "", b, flags=re.M) for b in re.findall(r"(?:^    .*\n|^\n(?=    ))+", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)]
    for name, word in ("pooler.ini", "[databases]"), ("userlist.txt", '"admin" "'):
        (block,) = [b for b in blocks if word in b]
        with open(os.path.join(p.dir, name), "w", encoding="utf-8") as f:
            f.write(block)
    out = run(p, "--check", "pooler.ini")
    assert (out.returncode, out.stdout) == (0, "pooler.ini: ok\n")


@pytest.mark.poolwise
def test_check_tells_a_comment_behind_a_value(cold):
    p = cold(query_wait_timeout="30 ; seconds")
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 1 and "a comment stands on a line of its own" in out.stdout, out


@pytest.mark.poolwise
def test_check_tells_quotes_that_do_not_belong_there(cold):
    p = cold(pool_mode='"transaction"', extra='[databases]\n"my db" = host=127.0.0.1\n')
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 1 and "a value is written without quotes around it" in out.stdout, out
    assert "a name with other characters stands in single quotes, not in double ones" in out.stdout, out


@pytest.mark.poolwise
def test_check_warns_of_what_the_machine_does_not_have(cold):
    """The file may be for another machine, so it is no error."""
    p = cold(unix_socket_dir="/nonexistent", logfile="/nonexistent/log/x.log", pidfile="/tmp", query_log="/etc/passwd/q.log", user="nosuchuser",
             unix_socket_group="nosuchgroup", listen_addr="127.0.0.1, [::1]")
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 0 and out.stdout.endswith("ok, with warnings\n"), out
    for wanted in ('unix_socket_dir: "/nonexistent": No such file or directory', 'logfile: "/nonexistent/log": No such file or directory',
                   'pidfile: "/tmp" is a folder', 'query_log: "/etc/passwd" is no folder', 'this machine has no user "nosuchuser"',
                   'this machine has no group "nosuchgroup"', 'an address of IPv6 is written without brackets'):
        assert wanted in out.stdout, out.stdout
    assert out.stdout.count("listen_addr") == 1


@pytest.mark.poolwise
def test_check_says_what_an_auth_file_is(cold):
    p = cold(auth_type="md5", extra="auth_file = /nonexistent/userlist.txt\n")
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 1
    assert 'userlist.txt: error: cannot read: No such file or directory (hint: auth_file names it; each line of it is: "user" "password")' in out.stdout


def test_unknown_key_is_fatal(cold):
    p = cold(defualt_pool_size=5)
    out = run(p, p.ini_path)
    assert out.returncode == 1
    text = out.stderr + p.log()
    assert "defualt_pool_size" in text


@pytest.mark.poolwise
def test_unknown_key_names_the_nearest_one(cold):
    p = cold(defualt_pool_size=5)
    out = run(p, p.ini_path)
    assert "default_pool_size" in (out.stderr + p.log()).replace("defualt_pool_size", "")


@pytest.mark.parametrize("text", ["[nosuch]\nx = 1\n", "[databases]\np9 = host=127.0.0.1 nosuch=1\n", "[users]\nu = nosuch=1\n",
                                  "no equals sign\n", "pool_mode = sometimes\n", "default_pool_size = -\n"])
def test_bad_files_are_refused(make_pooler, text):
    p = make_pooler(start=False, extra=text)
    p.write()
    out = run(p, p.ini_path)
    assert out.returncode == 1
    assert "pooler.ini" in out.stderr + p.log()


def test_numbers_as_pgbouncer_reads_them(make_pooler, pg):
    """Too large, below zero, a port for each host, a switch that is a number: the file loads, as it does there."""
    p = make_pooler(databases={"p0": f"host=127.0.0.1,127.0.0.1 port={pg.port},{pg.port} dbname=p0 user=postgres pool_size=2x max_db_connections=-1"},
                    users={"u_trust": "max_user_connections=-1"}, min_pool_size=-3, tcp_defer_accept=45, max_packet_size=4294967295, listen_backlog=-1,
                    reserve_pool_size=99999999999, stats_period=0)
    assert p.client().one("SELECT 1") == "1"
    row = next(r for r in p.console().show("DATABASES") if r["name"] == "p0")
    assert (row["port"], row["pool_size"], row["max_connections"]) == (str(pg.port), "2", "0")


@pytest.mark.poolwise
def test_check_tells_what_it_makes_of_numbers(cold):
    p = cold(default_pool_size=-1, tcp_defer_accept=45)
    out = run(p, "--check", p.ini_path)
    assert out.returncode == 0 and out.stdout.count(": taken as ") == 2, out


def test_listen_port_0(make_pooler):
    """The system chooses the TCP port; the unix socket is named by the 0."""
    p = make_pooler(start=False, listen_port=0)
    p.settings["listen_port"] = 0
    p.write()
    p.spawn("-q", p.ini_path)
    p.wait_log("process up")
    path = os.path.join(p.dir, ".s.PGSQL.0")
    assert wire.Conn(unix=path).login("postgres", "p0").one("SELECT 1") == "1"


def test_file_without_a_section_for_the_pooler(cold):
    p = cold()
    with open(p.ini_path, "w", encoding="utf-8") as f:
        f.write("[databases]\np0 = host=127.0.0.1\n")
    assert run(p, p.ini_path).returncode == 1


@pytest.mark.newer
def test_ini_syntax(make_pooler, pg):
    """Comments, indented lines, repeated keys and sections, include, quoted names and values."""
    p = make_pooler(start=False)
    p.write()
    include = os.path.join(p.dir, "more.ini")
    with open(include, "w", encoding="utf-8") as f:
        f.write("default_pool_size = 9\n")
    text = open(p.ini_path, encoding="utf-8").read()
    text += (f"; a comment\n# another\n   query_wait_timeout   =   44   \nquery_wait_timeout = 45\n%include {include}\n"
             f"[databases]\n'odd name' = host=127.0.0.1 port={pg.port} dbname='p1'\n[pgbouncer]\nmax_client_conn = 0x10\n")
    with open(p.ini_path, "w", encoding="utf-8") as f:
        f.write(text)
    p.spawn("-q", p.ini_path)
    p.wait_up()
    con = p.console()
    assert con.config("query_wait_timeout") == "45" and con.config("default_pool_size") == "9"
    assert con.config("max_client_conn") == "16"
    assert p.client("odd name").one("SELECT current_database()") == "p1"


@pytest.mark.poolwise
def test_section_pooler_is_a_synonym(make_pooler):
    p = make_pooler(start=False)
    p.write()
    text = open(p.ini_path, encoding="utf-8").read().replace("[pgbouncer]", "[pooler]")
    with open(p.ini_path, "w", encoding="utf-8") as f:
        f.write(text)
    p.spawn("-q", p.ini_path)
    p.wait_up()
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.poolwise
@pytest.mark.parametrize("form", ["postgresql://postgres@127.0.0.1:{port}/p1", "postgres://127.0.0.1:{port}/p1?user=postgres",
                                  "host=127.0.0.1 port={port} dbname=p1 user=postgres"])
def test_database_as_conninfo_or_uri(make_pooler, pg, form):
    p = make_pooler(databases={"there": form.format(port=pg.port)})
    assert p.client("there").one("SELECT current_database()") == "p1"


@pytest.mark.poolwise
def test_duration_suffixes(make_pooler):
    p = make_pooler(query_wait_timeout="1500ms", server_lifetime="2h", client_idle_timeout="3min")
    con = p.console()
    assert con.config("server_lifetime") == "7200" and con.config("client_idle_timeout") == "180"
    assert float(con.config("query_wait_timeout")) == 1.5


def test_pidfile(make_pooler):
    p = make_pooler(pidfile="pooler.pid")
    path = os.path.join(p.dir, "pooler.pid")
    assert int(open(path, encoding="utf-8").read()) == p.proc.pid
    p.stop()
    assert not os.path.exists(path)


def test_pidfile_of_a_living_process(make_pooler):
    first = make_pooler(pidfile="pooler.pid")
    p = make_pooler(start=False, pidfile=os.path.join(first.dir, "pooler.pid"))
    p.write()
    assert run(p, p.ini_path).returncode == 1
    assert first.client().one("SELECT 1") == "1"


def test_stale_pidfile(make_pooler):
    p = make_pooler(start=False, pidfile="pooler.pid")
    path = os.path.join(p.dir, "pooler.pid")
    with open(path, "w", encoding="utf-8") as f:
        f.write("999999\n")
    os.chown(path, p.user.pw_uid, p.user.pw_gid) if os.geteuid() == 0 else None
    p.start()
    assert int(open(path, encoding="utf-8").read()) == p.proc.pid


def test_daemon(make_pooler):
    p = make_pooler(start=False, pidfile="pooler.pid")
    p.write()
    path = os.path.join(p.dir, "pooler.pid")
    assert run(p, "-d", p.ini_path).returncode == 0
    pid = wait_until(lambda: os.path.exists(path) and open(path, encoding="utf-8").read().strip())
    pid = int(pid)
    try:
        wait_until(p.try_connect)
        assert p.client().one("SELECT 1") == "1"
        status = open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()
        assert status[4] == "0", "a daemon has no terminal"
        assert int(status[1]) != os.getpid()
    finally:
        for c in p.conns:
            c.close()
        os.kill(pid, signal.SIGINT)
        wait_until(lambda: not os.path.exists(path))
        wait_until(lambda: gone(pid))


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_daemon_without_a_log(make_pooler):
    """It runs, and nobody will know how: PgBouncer's manual forbids it, PgBouncer does not."""
    p = make_pooler(start=False, pidfile="pooler.pid", logfile="")
    p.write()
    out = run(p, "-d", p.ini_path)
    assert out.returncode == 0
    pid = int(wait_until(lambda: open(os.path.join(p.dir, "pooler.pid"), encoding="utf-8").read().strip()))
    try:
        wait_until(p.try_connect)
    finally:
        os.kill(pid, signal.SIGINT)
        wait_until(lambda: gone(pid))


def test_daemon_without_pidfile(cold):
    p = cold()
    out = run(p, "-d", p.ini_path)
    assert out.returncode == 1 and "pidfile" in out.stderr


def test_daemon_tells_why_it_does_not_start(make_pooler):
    """On the terminal, with a log file too: nobody looks into the log of what never ran."""
    other = make_pooler()
    p = make_pooler(start=False, pidfile="pooler.pid", logfile="pooler.log", listen_addr="127.0.0.1", unix_socket_dir=other.dir,
                    listen_port=other.port)
    p.write()
    out = run(p, "-d", p.ini_path)
    assert out.returncode == 1 and "FATAL" in out.stderr and " LOG " not in out.stderr, out
    assert run(p, "-q", "-d", p.ini_path).stderr == ""


@pytest.mark.poolwise
def test_the_port_of_another_process_is_told(make_pooler):
    other = make_pooler()
    p = make_pooler(start=False, listen_port=other.port)
    p.write()
    out = run(p, p.ini_path)
    assert out.returncode == 1 and "another process has this port" in out.stderr, out


@pytest.mark.poolwise  # PgBouncer ends
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_without_a_user_becomes_nobody(make_pooler):
    nobody = pwd.getpwnam("nobody").pw_uid
    p = make_pooler(start=False)
    p.write()
    os.chmod(p.dir, 0o777)
    p.spawn("-q", p.ini_path, as_root=True)
    p.wait_up()
    status = dict(line.split(":", 1) for line in open(f"/proc/{p.proc.pid}/status", encoding="utf-8").read().splitlines() if ":" in line)
    assert set(status["Uid"].split()) == {str(nobody)} and int(status["CapEff"], 16) == 0
    assert 'runs as "nobody"' in p.stderr()
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("how", ["-u", "--user", "ini"])
def test_privileges_are_dropped(make_pooler, how):
    user = server_user()
    p = make_pooler(start=False)
    args = []
    if how == "ini":
        p.settings["user"] = user.pw_name
    else:
        args = ["-u", user.pw_name] if how == "-u" else [f"--user={user.pw_name}"]
    p.write()
    p.spawn("-q", *args, p.ini_path, as_root=True)
    p.wait_up()
    status = dict(line.split(":", 1) for line in open(f"/proc/{p.proc.pid}/status", encoding="utf-8").read().splitlines() if ":" in line)
    assert set(status["Uid"].split()) == {str(user.pw_uid)}
    assert set(status["Gid"].split()) == {str(user.pw_gid)}
    assert "0" not in status["Groups"].split()
    assert int(status["CapEff"], 16) == 0
    assert p.client().one("SELECT 1") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_unknown_user_to_drop_to(cold):
    p = cold()
    assert run(p, "-u", "no-such-user", p.ini_path, as_root=True).returncode == 1


def test_quiet_and_loud(make_pooler):
    quiet = make_pooler()
    quiet.client().ok("SELECT 1")
    assert quiet.stderr() == ""
    loud = make_pooler(start=False)
    loud.write()
    loud.spawn(loud.ini_path)
    loud.wait_up()
    wait_until(lambda: "process up" in loud.stderr())


def test_more_clients_than_descriptors_is_a_warning_at_start(make_pooler):
    p = make_pooler(max_client_conn=10_000_000)
    p.wait_log("(?i)(descriptor|RLIMIT_NOFILE|max_client_conn)")
    assert p.client().one("SELECT 1") == "1"
