# SPDX-License-Identifier: ISC
"""The report as people look at it: on a terminal, and as a page in a browser (Chromium, with axe-core for accessibility)."""
import fcntl
import html
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import termios

import pytest
from conftest import SANITIZERS, advisor_binary

TABLES = "CREATE TABLE customers (id int PRIMARY KEY, email text); CREATE TABLE orders (id int PRIMARY KEY, customer_id int, state text, total int);"
LOG = "".join(f"2026-01-02 03:04:05.000 UTC [7] LOG:  duration: {ms}.000 ms  statement: {text}\n" for ms, text in (
    [(3, f"SELECT * FROM orders WHERE customer_id = {i} AND state = 'open' ORDER BY total DESC LIMIT 10") for i in range(20)]
    + [(2, f"SELECT id FROM customers WHERE email = '<b>e{i}</b>'") for i in range(20)] + [(1, "UPDATE orders SET state = 'paid' WHERE id = 5"), (0, "COMMIT")]))


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "s.sql").write_text(TABLES)
    (tmp_path / "x.log").write_text(LOG)
    return ["--log", str(tmp_path / "x.log"), "--schema", str(tmp_path / "s.sql")]


def on_terminal(args, columns, **env):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen([advisor_binary(), "report", *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, env={**os.environ, **SANITIZERS, "TERM": "xterm", **env})
    os.close(slave)
    out = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        out += piece
    assert child.wait(60) == 0, child.stderr.read()
    os.close(master)
    return out.decode().replace("\r\n", "\n")


def test_a_terminal_has_colours_and_a_width(inputs, advisor):
    plain = advisor("report", *inputs).stdout
    assert "\033[" not in plain and "1. CREATE" in plain and "logs      42 executions" in plain
    coloured = on_terminal(inputs, 60, NO_COLOR="")
    assert "\033[1;32m1. CREATE" in coloured
    bare = re.sub(r"\033\[[0-9;]*m", "", coloured)
    assert bare.split() == plain.split(), "nothing is lost"
    assert all(len(line) <= 60 for line in bare.splitlines() if not re.match(r"    (do|undo) ", line) and " " in line.strip()), bare
    assert on_terminal(inputs, 60, NO_COLOR="1") == bare
    assert "\033[" not in on_terminal(inputs, 60, TERM="dumb")
    assert on_terminal(inputs, 200, NO_COLOR="1") != bare


def test_what_was_read_is_in_the_report(inputs, advisor):
    read = json.loads(advisor("report", *inputs, "--format", "json").stdout)["workload"]["read"]
    assert read == {"messages": 42, "executions": 42, "total_ms": 101.0, "kinds": {"SELECT": 40, "UPDATE": 1, "TRANSACTION": 1}, "errors": 0,
                    "first": "2026-01-02 03:04:05.000", "last": "2026-01-02 03:04:05.000"}
    assert json.loads(advisor("report", "--sql", "-", *inputs[2:], "--format", "json", stdin="SELECT 1").stdout)["workload"]["read"] is None


def test_charts(inputs, advisor):
    page = advisor("report", *inputs, "--format", "html").stdout
    charts = re.findall(r'<svg .*? aria-label="([^"]*)">(.*?)</svg>', page, re.S)
    assert [c[0] for c in charts] == ["Time by statement", "Cost before and after", "Size and write cost of the new indexes"]
    times = re.findall(r"<title>(.*?)</title>", charts[0][1])
    assert len(times) == len(set(times)) == 3 and times[0].startswith("select * from orders"), "each shape once, the heaviest first"
    assert "20 calls" in charts[0][1] and "0.1 s" in charts[0][1]
    assert "http" not in page.replace("http-equiv", ""), "nothing is fetched"


def in_browser(tmp_path, page, width, dark, *more):
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if not program:
        pytest.skip("no chromium: the page was not looked at")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    return subprocess.run([program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile", f"--window-size={width},1400",
                           f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=10000", *more, f"file://{tmp_path}/page.html"],
                          capture_output=True, text=True, timeout=120, check=True).stdout


def probed(tmp_path, page, script, width=1280, dark=False):
    """What the function `script` returns, asked in the page."""
    ask = f"""<script>(async () => {{ const out = document.createElement('pre'); out.id = 'probe';
out.textContent = JSON.stringify(await ({script})()); document.body.append(out); }})();</script>"""
    seen = in_browser(tmp_path, page.replace("</body>", ask + "</body>"), width, dark, "--dump-dom")
    return json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', seen, re.S).group(1)))


SCREENS = pytest.mark.parametrize("width, dark", [(1280, False), (500, True)])

# Of each text: its contrast with what is behind it, as WCAG reckons it.
LOOK = """() => {
const channel = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parts = c => c.match(/[\\d.]+/g).map(Number);
const light = c => { const [r, g, b] = parts(c).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor, p = parts(c); if (p.length < 4 || p[3] === 1) return c; } return 'rgb(255, 255, 255)'; };
const dim = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let n = 0;
while (texts.nextNode()) {
  const e = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || e.closest('svg, script, style') || e.getClientRects().length === 0) continue;
  const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
  n++;
  if ((a + 0.05) / (b + 0.05) < 4.5) dim.push(texts.currentNode.data.trim().slice(0, 40));
}
const nameless = [...document.querySelectorAll('button, a, summary, svg')].filter(e => !(e.textContent.trim() || e.getAttribute('aria-label'))).length;
return {n, dim, nameless, dark: matchMedia('(prefers-color-scheme: dark)').matches, width: document.documentElement.scrollWidth, window: innerWidth, language: document.documentElement.lang,
  background: getComputedStyle(document.body).backgroundColor, title: document.title, heads: [...document.querySelectorAll('th')].every(e => e.scope)};
}"""


@SCREENS
def test_the_page_in_a_browser(inputs, advisor, tmp_path, width, dark):
    page = advisor("report", *inputs, "--format", "html").stdout
    seen = probed(tmp_path, page, LOOK, width, dark)
    assert seen["dark"] == dark and seen["n"] > 50 and seen["dim"] == [] and seen["nameless"] == 0 and seen["language"] == "en" and seen["title"] and seen["heads"], seen
    assert (sum(map(int, re.findall(r"\d+", seen["background"])[:3])) < 384) == dark, seen
    assert seen["width"] <= seen["window"], "nothing makes the page wider than the screen"
    in_browser(tmp_path, page, width, dark, "--hide-scrollbars", f"--screenshot={tmp_path}/page.png")
    picture = (tmp_path / "page.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", picture[16:24]) == (width, 1400) and len(picture) > 30000, "it shows something"


def test_the_table_sorts_in_a_browser(inputs, advisor, tmp_path):
    page = advisor("report", *inputs, "--format", "html").stdout
    down, up, state = probed(tmp_path, page, """() => {
const t = document.querySelector('table.sort'), column = () => [...t.tBodies[0].rows].map(r => +r.cells[0].dataset.v), b = t.querySelector('th button');
b.click(); const down = column(); b.click(); return [down, column(), t.querySelector('th').ariaSort]; }""")
    assert down == sorted(down, reverse=True) and up == sorted(up) and down[0] > down[-1] and state == "ascending"


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("no npm to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4.10.2"], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm could not fetch axe-core: {done.stderr[-200:]}")
    return pathlib.Path(folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@SCREENS
def test_axe_finds_nothing_in_a_browser(inputs, advisor, axe, tmp_path, width, dark):
    page = advisor("report", *inputs, "--format", "html").stdout.replace("</body>", f"<script>{axe}</script></body>")
    seen = probed(tmp_path, page, """async () => { const a = await axe.run();
return {violations: a.violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html.slice(0, 200))]), passes: a.passes.length}; }""", width, dark)
    assert seen["violations"] == [] and seen["passes"] > 10, seen
