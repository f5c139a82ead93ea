# SPDX-License-Identifier: ISC
"""Logs as files: compressed, many, large, filtered, interrupted; and their summaries. No database: advisor collect tells what was read."""
import contextlib
import fcntl
import gettext
import glob
import gzip
import importlib.util
import itertools
import json
import lzma
import os
import pty
import random
import re
import signal
import subprocess
import termios

import pytest
from conftest import ROOT, SANITIZERS, advisor_binary

from support.util import wait_until

spec = importlib.util.spec_from_file_location("logs", ROOT / "tests/perf/logs.py")
logs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(logs)
WRITERS = {"stderr": logs.as_stderr, "csv": logs.as_csv, "json": logs.as_json}


def events(n):
    return list(itertools.islice(iter(logs.Events()), n))


def head(summary):
    return json.loads(summary.split("\n", 1)[0])


@pytest.fixture
def collect(advisor):
    def run(*args, **kwargs):
        done = advisor("collect", *[str(a) for a in args], **kwargs)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Some megabytes of each form, so that it is read in several blocks; the same executions in all."""
    folder = tmp_path_factory.mktemp("large")
    own = events(12000)
    for form, write in WRITERS.items():
        (folder / form).write_text("".join(write(e) for e in own), encoding="utf-8")
    return folder


@pytest.mark.parametrize("form", WRITERS)
def test_any_number_of_threads_reads_the_same(large, collect, form):
    one = collect("--log", large / form, "--jobs", 1)
    counts = head(one)
    assert counts["statements"] == sum(e[2] != "e" for e in events(12000)) and counts["errors"] == sum(e[2] == "e" for e in events(12000))
    assert counts["us"] == sum(round(float(e[5]) * 1000) for e in events(12000) if e[2] != "e")
    assert collect("--log", large / form, "--jobs", 5) == one
    assert (large / form).stat().st_size > 3 * 1024 * 1024, "it must have several blocks"


def test_all_forms_tell_the_same(large, collect):
    shapes = {form: collect("--log", large / form).split("\n", 1)[1] for form in WRITERS}
    assert shapes["stderr"] == shapes["csv"] == shapes["json"]


def test_a_time_of_its_own_across_blocks(tmp_path, collect):
    """log_statement and log_duration write two lines, here a megabyte apart."""
    path = tmp_path / "x.log"
    filler = "2026-01-02 03:04:05.000 UTC [9] LOG:  duration: 0.001 ms  statement: SELECT 'filler'\n"
    text = "2026-01-02 03:04:05.000 UTC [7] LOG:  statement: SELECT 1 FROM t\n" + filler * 30000 + "2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 5.000 ms\n"
    path.write_text(text + filler * 30000)
    for jobs in (1, 4):
        by = {s["samples"][0]["text"]: s for s in map(json.loads, collect("--log", path, "--jobs", jobs).splitlines()[1:])}
        assert by["SELECT 1 FROM t"]["us"] == 5000 and by["SELECT 1 FROM t"]["calls"] == 1


def test_blocks_end_where_records_end(tmp_path, collect):
    """A record of a dozen lines, so often that one of them stands wherever a block is full."""
    lines = "\n".join(f"\t  column_{i}," for i in range(10))
    record = f"2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT\n{lines}\n\t  x FROM t\n"
    (tmp_path / "x.log").write_text(record * 16000)
    counts, *shapes = map(json.loads, collect("--log", tmp_path / "x.log").splitlines())
    assert counts["statements"] == 16000 and [s["calls"] for s in shapes] == [16000] and len(shapes[0]["samples"]) == 1


def test_compressed(large, collect, tmp_path):
    plain = collect("--log", large / "stderr")
    data = (large / "stderr").read_bytes()
    half = len(data) // 2
    (tmp_path / "a.gz").write_bytes(gzip.compress(data[:half], 1) + gzip.compress(data[half:], 1))
    (tmp_path / "b.xz").write_bytes(lzma.compress(data[:half], preset=0) + lzma.compress(data[half:], preset=0))
    (tmp_path / "c.zst").write_bytes(b"".join(subprocess.run(["zstd", "-q", "-c"], input=d, capture_output=True, check=True).stdout for d in (data[:half], data[half:])))
    for name in ("a.gz", "b.xz", "c.zst"):
        assert collect("--log", tmp_path / name) == plain, name
        done = subprocess.run([advisor_binary(), "collect", "--log", "-"], input=(tmp_path / name).read_bytes(), capture_output=True, check=True)
        assert done.stdout.decode() == plain, "standard input is told apart too"


@pytest.mark.parametrize("name, pack", [("a.gz", lambda d: gzip.compress(d, 1)), ("b.xz", lambda d: lzma.compress(d, preset=0)),
                                        ("c.zst", lambda d: subprocess.run(["zstd", "-q", "-c"], input=d, capture_output=True, check=True).stdout)])
def test_compressed_and_torn(large, advisor, tmp_path, name, pack):
    packed = pack((large / "stderr").read_bytes())
    (tmp_path / name).write_bytes(packed[:len(packed) * 3 // 4])
    done = advisor("collect", "--log", str(tmp_path / name))
    assert done.returncode == 0 and "end too early" in done.stderr and head(done.stdout)["statements"] > 3000
    (tmp_path / name).write_bytes(packed[:10] + random.Random(1).randbytes(1000))
    done = advisor("collect", "--log", str(tmp_path / name))
    assert done.returncode == 3 and any(w in done.stderr for w in ("broken", "end too early")), done


def test_patterns_directories_and_rotated_sets(collect, advisor, tmp_path):
    own = events(3000)
    for i in range(3):
        text = "".join(map(logs.as_stderr, own[i * 1000:(i + 1) * 1000]))
        name = ["pg.log", "pg.log.1", "pg.log.2.gz"][i]
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    whole = tmp_path / "all"
    whole.write_text("".join(map(logs.as_stderr, own)), encoding="utf-8")
    expected = collect("--log", whole).split("\n", 1)[1]
    whole.unlink()
    assert collect("--log", f"{tmp_path}/pg.log*").split("\n", 1)[1] == expected
    assert collect(*sorted(tmp_path.glob("pg.log*"))).split("\n", 1)[1] == expected, "as the shell gives them"
    assert collect("--log", tmp_path, "--log", tmp_path / "pg.log").split("\n", 1)[1] == expected, "each file counts once"
    # The same log in other forms beside it (also rotated and packed), things that are no logs, and one that cannot be read.
    (tmp_path / "pg.csv").write_text("".join(map(logs.as_csv, own[:1000])), encoding="utf-8")
    (tmp_path / "pg.json.1").write_text("".join(map(logs.as_json, own[1000:2000])), encoding="utf-8")
    (tmp_path / "pg.log.2.csv.xz").write_bytes(lzma.compress("".join(map(logs.as_csv, own[2000:])).encode(), preset=0))
    (tmp_path / "notes").write_text("buy milk\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "torn.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "again").symlink_to("pg.csv")
    os.mkfifo(tmp_path / "pipe")
    done = advisor("collect", "--log", str(tmp_path))
    assert done.returncode == 0 and done.stdout.split("\n", 1)[1] == expected
    assert "3 files were passed over" in done.stderr and "notes is no log" in done.stderr and "torn.gz: the gzip data end too early; it was passed over" in done.stderr
    done = advisor("collect", "--log", str(tmp_path / "*"))
    assert done.returncode == 0 and done.stdout.split("\n", 1)[1] == expected and "dangling: No such file" in done.stderr, "nobody waits for the pipe"
    done = advisor("collect", "--log", str(tmp_path / "torn.gz"))
    assert done.returncode == 3 and "end too early" in done.stderr
    (tmp_path / "folder").mkdir()
    done = advisor("collect", "--log", str(tmp_path / "folder"))
    assert done.returncode == 3 and "there is no file to read in" in done.stderr
    done = advisor("collect", "--log", str(tmp_path / "nothing*"))
    assert done.returncode == 3 and "no file is named as" in done.stderr
    done = advisor("collect", "--log", str(tmp_path / "notes"))
    assert done.returncode == 3 and "no log that is known" in done.stderr and "--sql" in done.stderr


def test_summaries_add_up(large, advisor, collect, tmp_path):
    """The report of merged summaries is that of both logs read together, byte for byte."""
    (tmp_path / "s.sql").write_text("CREATE TABLE customers (id int PRIMARY KEY, email text, name text); CREATE TABLE orders (id int PRIMARY KEY, customer_id int,"
                                    " status text, total int, created_at timestamptz, updated_at timestamptz); CREATE TABLE sessions (id int, user_id int, expires_at timestamptz);")
    for name in ("stderr", "json"):
        collect("--log", large / name, "--output", tmp_path / name)
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
    merged = advisor("merge", str(tmp_path / "stderr"), str(tmp_path / "json"))
    assert merged.returncode == 0
    (tmp_path / "merged").write_text(merged.stdout)
    assert collect("--log", large / "stderr", "--log", large / "json") == merged.stdout
    for form in ("text", "json", "html"):
        together = [advisor("report", *a, "--schema", str(tmp_path / "s.sql"), "--format", form) for a in (
            ("--log", str(large / "stderr"), "--log", str(large / "json")), ("--log", str(tmp_path / "merged")),
            ("--log", str(tmp_path / "stderr"), "--log", str(tmp_path / "json")))]
        assert all(t.returncode == 0 for t in together), together[0].stderr
        assert together[0].stdout == together[1].stdout == together[2].stdout and len(together[0].stdout) > 500
    (tmp_path / "later").write_text('{"poolwise_summary":2}\n')
    done = advisor("merge", str(tmp_path / "later"))
    assert done.returncode == 3 and "later version" in done.stderr
    done = advisor("collect", "--log", str(tmp_path / "merged"), "--database", "shop")
    assert done.returncode == 3 and "when it is collected" in done.stderr


@pytest.mark.parametrize("tear", [lambda t: t[:t.rindex(b"\n", 0, -1) + 1], lambda t: t[:-5], lambda t: gzip.compress(t)[:-20], lambda t: t.split(b"\n", 1)[0]],
                         ids=["a line less", "half a line", "packed", "its head"])
def test_a_torn_summary_is_none(large, collect, advisor, tmp_path, tear):
    collect("--log", large / "json", "--output", tmp_path / "s")
    (tmp_path / "s").write_bytes(tear((tmp_path / "s").read_bytes()))
    done = advisor("merge", str(tmp_path / "s"))
    assert done.returncode == 3 and "is torn" in done.stderr and done.stdout == ""


def test_a_summary_without_values(large, collect):
    text = collect("--log", large / "stderr", "--redact")
    assert "example.com" not in text and "email = $1" in text and head(text) == head(collect("--log", large / "stderr"))


FILTERED = "".join(f"2026-01-02 03:0{i}:00.000 UTC [7] {who} LOG:  duration: {d} ms  statement: SELECT * FROM {table} WHERE a = {i}\n" for i, who, table, d in (
    (1, "me@shop", "t", "1.000"), (2, "me@shop", "t", "2.000"), (3, "you@shop", "u", "30.000"), (4, "you@other", "t", "4.000"), (5, "[unknown]@[unknown]", "t", "5.000")))


@pytest.mark.parametrize("args, n", [
    ((), 5), (("--from", "2026-01-02 03:02"), 4), (("--from", "2026-01-02 03:02", "--to", "2026-01-02 03:03"), 2), (("--to", "2026-01-01"), 0),
    (("--database", "shop"), 3), (("--database", "shop", "--database", "other"), 4), (("--user", "you"), 2), (("--user", "you", "--database", "shop"), 1),
    (("--database", "shop", "--log-line-prefix", "%m [%p] %q%u@%d "), 3), (("--application", "x"), 0)])
def test_filters_of_entries(collect, args, n):
    assert head(collect("--log", "-", *args, stdin=FILTERED)).get("statements", 0) == n


def test_what_cannot_be_placed_is_told(advisor):
    done = advisor("collect", "--log", "-", "--application", "x", stdin=FILTERED)
    assert "5 entries are left out" in done.stderr and "--log-line-prefix" in done.stderr


@pytest.mark.parametrize("args, tables", [
    ((), {"t", "u"}), (("--min-calls", "2"), {"t"}), (("--min-time", "20"), {"u"}), (("--include", "FROM U"), {"u"}), (("--exclude", "from u"), {"t"}),
    (("--include", "from [tu]", "--exclude", "^select.*t"), {"u"})])
def test_filters_of_statements(advisor, tmp_path, args, tables):
    (tmp_path / "s.sql").write_text("CREATE TABLE t (a int, b int); CREATE TABLE u (a int);")
    done = advisor("report", "--log", "-", "--schema", str(tmp_path / "s.sql"), "--format", "json", *args, stdin=FILTERED)
    assert done.returncode == 0, done.stderr
    assert {f["table"] for f in json.loads(done.stdout)["findings"]} == tables


@pytest.mark.parametrize("args, text", [(("--from", "yesterday"), "no time"), (("--include", "("), "no regular expression"), (("--jobs", "0"), "1 to 1024"),
                                        (("--min-calls", "x"), "0 or more")])
def test_wrong_filters(advisor, args, text):
    done = advisor("report", "--log", "-", "--schema", "x", *args, stdin=FILTERED)
    assert done.returncode == 2 and text in done.stderr


def test_the_database_of_a_csvlog_and_of_a_jsonlog(large, collect):
    for form in ("csv", "json"):
        whole = head(collect("--log", large / form))
        assert head(collect("--log", large / form, "--database", "shop", "--user", "app", "--application", "web"))["statements"] == whole["statements"]
        assert "statements" not in head(collect("--log", large / form, "--user", "other"))


def test_rotated_while_others_are_read(tmp_path):
    """The files are those that had the names in the beginning, wherever they are when their turn comes."""
    for i, name in enumerate(("pg.log", "pg.log.1", "pg.log.2")):
        (tmp_path / name).write_text(f"2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT {i} FROM t_{'abc'[i]}\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = start(["collect", *[str(tmp_path / n) for n in ("fifo", "pg.log", "pg.log.1", "pg.log.2")]], subprocess.DEVNULL, subprocess.PIPE)
    with open(fifo, "w", encoding="utf-8") as f:  # it is being read: the names are known
        (tmp_path / "pg.log.2").unlink()
        (tmp_path / "pg.log.1").rename(tmp_path / "pg.log.2")
        (tmp_path / "pg.log").rename(tmp_path / "pg.log.1")
        (tmp_path / "pg.log").write_text("x LOG:  duration: 1.000 ms  statement: SELECT 9 FROM t_new\n")
        f.write("2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT 9 FROM t_pipe\n")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 3 and b"pg.log.2 was rotated away" in err and out == b"", "who names a file wants it"
    child = start(["collect", str(fifo), *[str(tmp_path / n) for n in ("pg.log.1", "pg.log.2")]], subprocess.DEVNULL, subprocess.PIPE)
    with open(fifo, "w", encoding="utf-8") as f:
        (tmp_path / "pg.log.2").rename(tmp_path / "pg.log.3")
        (tmp_path / "pg.log.1").rename(tmp_path / "pg.log.2")
        (tmp_path / "pg.log").rename(tmp_path / "pg.log.1")
        f.write("x LOG:  statement: SELECT 9 FROM t_pipe\n")
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0 and sorted(s["samples"][0]["text"] for s in map(json.loads, out.splitlines()[1:])) == ["SELECT 0 FROM t_a", "SELECT 1 FROM t_b", "SELECT 9 FROM t_pipe"]


def test_utf_16_is_told(tmp_path, advisor):
    (tmp_path / "x.log").write_text("2026-01-02 UTC LOG:  statement: SELECT 1\n", encoding="utf-16")
    done = advisor("collect", "--log", str(tmp_path / "x.log"))
    assert done.returncode == 3 and "iconv" in done.stderr


def test_notes_go_with_summaries(tmp_path, collect, advisor):
    """Also when there is something to be said of the logs, the report of their summaries is byte for byte that of the logs."""
    line = "2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT * FROM t WHERE a = 1\n"
    record = {"timestamp": "2026-01-02 03:04:05.000 UTC", "error_severity": "LOG", "message": "duration: 1.000 ms  statement: SELECT * FROM t WHERE a = 2"}
    (tmp_path / "s.sql").write_text("CREATE TABLE t (a int);")
    (tmp_path / "a.gz").write_bytes(gzip.compress((line * 50000).encode())[:-100])
    (tmp_path / "b").write_text(json.dumps(record) + '\n{"timestamp":"2026-01\n' + json.dumps(record) + "\n")
    (tmp_path / "c").write_text("2026-01-02 03:04:05.000 UTC [7] LOG:  checkpoint starting: time\n")
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.log").write_text(line)
        (tmp_path / name / "x.json").write_text(json.dumps(record) + "\n")
    names = ("a.gz", "b", "c", "d", "e")
    together = [str(tmp_path / n) for n in names]
    for name in names:
        collect("--log", tmp_path / name, "--output", tmp_path / (name + ".summary"))
    merged = advisor("merge", *[p + ".summary" for p in together])
    assert merged.stdout == collect(*together)
    (tmp_path / "merged").write_text(merged.stdout)
    for form in ("text", "json", "markdown"):
        reports = [advisor("report", *files, "--schema", str(tmp_path / "s.sql"), "--format", form).stdout for files in (together, [str(tmp_path / "merged")], [p + ".summary" for p in together])]
        assert reports[0] == reports[1] == reports[2]
    assert reports[0].index("end too early") < reports[0].index("1 lines or records cannot be read") < reports[0].index("tells of no statement") < reports[0].index("2 files were passed over")


def test_scripts_among_logs(tmp_path, advisor):
    """Files named *.sql are known as scripts; packed ones are unpacked."""
    (tmp_path / "schema").write_text("CREATE TABLE t (a int, b int, c int);")
    (tmp_path / "one.sql").write_text("\ufeff-- weight: 5\nSELECT * FROM t WHERE a = 1;", encoding="utf-8")
    (tmp_path / "two.sql.gz").write_bytes(gzip.compress(b"SELECT * FROM t WHERE b = 1;"))
    (tmp_path / "x.log").write_text("2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT * FROM t WHERE c = 1\n")
    def columns(*args):
        done = advisor("report", *args, "--schema", str(tmp_path / "schema"), "--format", "json")
        assert done.returncode == 0, done.stderr
        return sorted((f["keys"][0]["column"], f["calls"]) for f in json.loads(done.stdout)["findings"])
    assert columns(str(tmp_path / "*.*")) == [("a", 5), ("b", 1), ("c", 1)]
    assert columns("--sql", str(tmp_path / "two.sql.gz"), "--log", str(tmp_path / "one.sql")) == [("a", 5), ("b", 1)]
    done = advisor("collect", str(tmp_path / "one.sql"))
    assert done.returncode == 3 and "no log that is known" in done.stderr
    (tmp_path / "torn.sql.gz").write_bytes((tmp_path / "two.sql.gz").read_bytes()[:-12])
    done = advisor("report", "--sql", str(tmp_path / "torn.sql.gz"), "--schema", str(tmp_path / "schema"))
    assert done.returncode == 3 and "end too early" in done.stderr


def start(args, stdin, stderr):
    return subprocess.Popen([advisor_binary(), *args], stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **SANITIZERS})


def catches_interrupts(pid):
    """Until the first one: a second ends the program at once."""
    caught = re.search(r"SigCgt:\s+(\w+)", open(f"/proc/{pid}/status").read()).group(1)
    return int(caught, 16) >> (signal.SIGINT - 1) & 1


def test_interrupted(tmp_path):
    """Ctrl-C ends the reading; what was read counts."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    child = start(["collect", "--log", str(path), "--output", str(tmp_path / "summary")], subprocess.DEVNULL, subprocess.PIPE)
    with contextlib.suppress(BrokenPipeError), open(path, "w", encoding="utf-8") as f:
        text = "".join(map(logs.as_stderr, events(9000)))
        f.write(text[:3000000])
        f.flush()
        child.send_signal(signal.SIGINT)
        wait_until(lambda: not catches_interrupts(child.pid), 20)
        with pytest.raises(BrokenPipeError):  # however much more comes: nobody reads it
            for _ in range(100):
                f.write(text)
        with contextlib.suppress(BrokenPipeError):
            f.close()
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and b"interrupted in file 1 of 1" in err
    assert 1000 < head((tmp_path / "summary").read_text())["statements"] <= 100000


@pytest.mark.parametrize("text", ["", "2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT 1 FROM t\n" * 30000], ids=["at all", "more"])
def test_interrupted_while_nothing_comes(text):
    """A pipe that is open and silent does not keep anybody."""
    child = start(["collect", "--log", "-"], subprocess.PIPE, subprocess.PIPE)
    wait_until(lambda: catches_interrupts(child.pid), 20)
    child.stdin.write(text.encode())
    child.stdin.flush()
    if text:  # all of it is with the program
        wait_until(lambda: unread(child.stdin) == 0, 20)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130, child.stderr.read()
    n = head(child.stdout.read().decode()).get("statements", 0)
    assert 10000 < n <= 30000 if text else n == 0
    child.stdin.close()


def test_an_interrupted_report(tmp_path):
    (tmp_path / "s.sql").write_text("CREATE TABLE t (a int);")
    child = start(["report", "--log", "-", "--schema", str(tmp_path / "s.sql"), "--format", "json"], subprocess.PIPE, subprocess.PIPE)
    child.stdin.write(b"2026-01-02 03:04:05.000 UTC [7] LOG:  duration: 1.000 ms  statement: SELECT * FROM t WHERE a = 1\n")
    child.stdin.flush()
    wait_until(lambda: catches_interrupts(child.pid) and unread(child.stdin) == 0, 20)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130, child.stderr.read()
    report = json.loads(child.stdout.read())
    assert [f["table"] for f in report["findings"]] == ["t"] and any("interrupted in file 1 of 1" in n for n in report["notes"])
    child.stdin.close()


def unread(pipe):
    buffer = bytearray(4)
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, buffer)
    return int.from_bytes(buffer, "little")


@contextlib.contextmanager
def on_a_terminal(*args):
    """The program with a terminal as its standard error, and a function that gives what it writes there, until some text has come."""
    master, slave = pty.openpty()
    child = start(["collect", *map(str, args)], subprocess.DEVNULL, slave)
    os.close(slave)

    def seen(text):
        out = b""
        while text not in out:
            out += os.read(master, 4096)
        return out
    yield child, seen
    os.close(master)


def test_progress_on_a_terminal_only(tmp_path, advisor):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    text = "".join(map(logs.as_stderr, events(4000)))
    with on_a_terminal("--log", path) as (child, seen):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            seen(b"MB read")
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and head(out.decode())["statements"] > 3000
    # When it is known how much there will be: how far it is, the rate, and the time left.
    (tmp_path / "large").write_bytes(b"x LOG:  nothing\n" * 200000)
    with on_a_terminal("--log", path, "--log", tmp_path / "large") as (child, seen):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            assert re.search(rb"\[#+ +\] +\d+ %  \d+ MB/s  [\d.]+ (s|min|h) left", seen(b" left"))
        child.communicate(timeout=60)
        assert child.returncode == 0
    (tmp_path / "log").write_text("".join(map(logs.as_stderr, events(100))), encoding="utf-8")
    assert advisor("collect", "--log", str(tmp_path / "log")).stderr == ""


def query_line(i, **more):
    line = {"poolwise": 1, "type": "query", "start_us": 1767323045000000 + i, "end_us": 1767323045000000 + i + 1, "database": "shop", "user": "u", "application_name": "a",
            "kind": "SELECT", "fingerprint": "00000000000000%02x" % (i % 200 + 1), "query": f"SELECT * FROM t{i % 200} WHERE a = $1", "calls": 2, "failed": 0, "rows": 6,
            "bytes_in": 1, "bytes_out": 1, "server_us": 300}
    line.update(more)
    return json.dumps(line) + "\n"


def test_query_log_of_the_pooler(tmp_path, collect, advisor):
    path = tmp_path / "q.log"
    lines = [query_line(i) for i in range(20000)]
    path.write_text("".join(lines))
    assert path.stat().st_size > 3 * 1024 * 1024
    one = collect("--log", path, "--jobs", 1)
    assert head(one)["statements"] == 40000 and head(one)["us"] == 6000000 and head(one)["first"] == "2026-01-02 03:04:05.000"
    assert collect("--log", path, "--jobs", 4) == one
    assert head(collect("--log", path, "--from", "2026-01-02 03:04:06")).get("statements", 0) == 0
    # Odd lines go the slow way: samples with their values, texts that were not kept, later versions, torn lines.
    path.write_text(query_line(0, samples=[{"sql": "SELECT * FROM t0 WHERE a = $1", "params": ["it's"]}, {"sql": "SELECT * FROM t0 WHERE a = $1", "params": [{"hex": "00"}]}])
                    + query_line(1, query=None, fingerprint="0000000000000000", calls=5) + query_line(2, poolwise=2) + query_line(3, calls=-1) + query_line(4)[:50])
    done = advisor("collect", "--log", str(path))
    assert "3 lines or records cannot be read" in done.stderr
    counts, shape = map(json.loads, done.stdout.splitlines())
    assert counts["statements"] == 7 and counts["unlogged"] == 5 and shape["samples"][0]["text"] == "SELECT * FROM t0 WHERE a = 'it''s'" and shape["samples"][0]["calls"] == 2


def test_memory_does_not_grow_with_the_log(large, tmp_path):
    """Twelve times the log, and 120,000 statements of a shape of their own: within 200 MB (without the sanitizer, which needs more)."""
    text = (large / "stderr").read_bytes()
    path = tmp_path / "fifo"
    os.mkfifo(path)
    child = start(["collect", "--log", str(path), "--jobs", "2"], subprocess.DEVNULL, subprocess.PIPE)
    peak = 0
    with open(path, "wb") as f:
        for i in range(12):
            f.write(text)
            f.write("".join(f"x LOG:  duration: 1.000 ms  statement: SELECT {'c' * (k % 50)} FROM t_{i}_{k}\n" for k in range(10000)).encode())
            status = open(f"/proc/{child.pid}/status").read()
            peak = max(peak, int(re.search(r"RssAnon:\s+(\d+)", status).group(1)))
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert head(out.decode())["statements"] > 200000 and head(out.decode())["forgotten"] > 0 and len(out.splitlines()) < 21000
    if "asan" not in advisor_binary():
        assert peak < 200 * 1024


def c_format(text, *values):
    """As printf does it, with places in another order ("%2$s"). Python knows no %lu and no places."""
    left = list(values)
    def one(found):
        value = values[int(found.group(1)) - 1] if found.group(1) else left.pop(0)
        return ("%" + (found.group(2) or "") + found.group(3)) % value
    return re.sub(r"%(?:(\d+)\$)?(0\d+)?l?([duis])", one, text.replace("%lu", "%u")).replace("%%", "%")


LANGUAGES = ["de", "es", "fr", "it", "ja", "ka", "ko", "ru", "sv", "uk", "zh_CN", "zh_TW"]  # of PostgreSQL 15; later ones have more


def test_the_languages_of_the_server(advisor, tmp_path):
    """In each language that the installed server has a catalog for: severities, statements, executions, parameters, errors."""
    catalogs = [path for language in LANGUAGES for path in glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/postgres-1?.mo")]
    if not catalogs:
        pytest.skip("no message catalogs of PostgreSQL are installed")
    for path in catalogs:
        with open(path, "rb") as f:
            say = gettext.GNUTranslations(f).gettext
        head_of = "2026-01-02 03:04:05 UTC [7] "
        text = "".join(head_of + line + "\n" for line in (
            say("ERROR") + ":  x", say("STATEMENT:  ") + "SELECT nothing",
            say("LOG") + ":  " + say("duration: %s ms  statement: %s") % ("1.000", "SELECT 1 FROM a"),
            say("LOG") + ":  " + say("duration: %s ms  %s %s%s%s: %s") % ("2.000", say("execute"), "<unnamed>", "", "", "SELECT b FROM b WHERE b = $1"),
            say("DETAIL:  ") + say("parameters: %s") % "$1 = '7'",
            say("LOG") + ":  " + say("duration: %s ms  %s %s%s%s: %s") % ("9.000", say("execute fetch from"), "c", "", "", "SELECT b FROM b WHERE b = $1"),
            say("LOG") + ":  " + say("statement: %s") % "SELECT 2 FROM c", say("LOG") + ":  " + say("duration: %s ms") % "4.000",
            say("LOG") + ":  " + c_format(say('temporary file: path "%s", size %lu'), "base/pgsql_tmp/pgsql_tmp7.0", 1048576), say("STATEMENT:  ") + "SELECT 2 FROM c",
            say("LOG") + ":  " + c_format(say("process %d still waiting for %s on %s after %ld.%03d ms"), 7, "ShareLock", "transaction 5", 1000, 1),
            say("STATEMENT:  ") + "SELECT 1 FROM a",
            say("LOG") + ":  " + c_format(say("process %d acquired %s on %s after %ld.%03d ms"), 7, "ShareLock", "transaction 5", 1500, 1)))
        (tmp_path / "x.log").write_text(text, encoding="utf-8")
        counts, *shapes = map(json.loads, advisor("collect", "--log", str(tmp_path / "x.log")).stdout.splitlines())
        told = (counts.get("statements"), counts.get("us"), counts.get("errors"), sorted(s["samples"][0]["text"] for s in shapes))
        assert told == (3, 7000, 1, ["SELECT 1 FROM a", "SELECT 2 FROM c", "SELECT b FROM b WHERE b = '7'"]), (path, told, text)
        troubles = {s["samples"][0]["text"]: (s.get("temp_files"), s.get("temp_bytes"), s.get("lock_waits")) for s in shapes}
        assert troubles["SELECT 2 FROM c"] == (1, 1048576, None) and troubles["SELECT 1 FROM a"] == (None, None, 1), (path, troubles, text)
        assert counts["temp_files"] == counts["lock_waits"] == 1, (path, counts)


SHAPES = ROOT / "tests/data/logs"
EXPECTED = json.loads((SHAPES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_awkward_shapes(advisor, name):
    """Logs as servers, clouds and collectors really write them: counts, time, and some texts, whole."""
    want = dict(EXPECTED[name])
    texts, database, first = want.pop("texts", []), want.pop("database", None), want.pop("first", None)
    done = advisor("collect", "--log", str(SHAPES / name))
    assert done.returncode == 0, done.stderr
    counts, *shapes = map(json.loads, done.stdout.splitlines())
    for key in ("statements", "us", "errors", "bad", "temp_files", "temp_bytes", "lock_waits"):
        assert counts.get(key, 0) == want.get(key, 0), (key, done.stdout)
    assert first in (None, counts.get("first")), counts
    kept = [sample["text"] for shape in shapes for sample in shape["samples"]]
    assert [t for t in texts if t not in kept] == [], kept
    if database:
        assert head(advisor("collect", "--log", str(SHAPES / name), "--database", database).stdout)["statements"] == want["statements"]
        assert head(advisor("collect", "--log", str(SHAPES / name), "--database", "other").stdout).get("statements", 0) == 0


def test_every_shape_is_expected():
    assert sorted(EXPECTED) == sorted(p.name for p in SHAPES.iterdir() if p.name != "expected.json")
