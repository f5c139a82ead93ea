# SPDX-License-Identifier: ISC
"""Plots by gnuplot: panels side by side, a line for each contestant over the number of clients."""
import shutil
import subprocess

from bench import Failed

# (title, key of a row, logarithmic, gnuplot's place for the names of the lines)
PANELS = (("transactions a second", "tps", False, "off"), ("the pooler's CPU, us a transaction", "cpu", False, "off"),
          ("p99 of the latency, ms", "p99", True, "top left"))
VARIANT = ", TLS"  # the same colour, dashed
HEAD = """set terminal svg size {width},380 background 'white' font 'sans,11'
set output "{svg}"
set logscale x
set grid
set xlabel "clients"
set multiplot layout 1,{n} title "{title}"
"""
PANEL = """set title "{title}"
set key {key}
{scale}
plot {lines}
"""


def draw(bench, svg, title, lines):
    """lines: {name: [(clients, row)]}, a row with the keys of PANELS."""
    if not shutil.which("gnuplot"):
        raise Failed("gnuplot is not installed (hint: apt-get install -y gnuplot-nox)")
    data, script = bench.dir / "plot.data", bench.dir / "plot.gnuplot"
    blocks = ("".join(f"{clients} " + " ".join(f"{r[key]:.4f}" for _, key, _, _ in PANELS) + "\n" for clients, r in rows) for rows in lines.values())
    data.write_text("\n\n".join(blocks), encoding="ascii")
    colours = {name: i + 1 for i, name in enumerate(dict.fromkeys(n.removesuffix(VARIANT) for n in lines))}
    text = HEAD.format(width=400 * len(PANELS), svg=svg, n=len(PANELS), title=title)
    for column, (panel, _, logarithmic, key) in enumerate(PANELS, 2):
        plots = (f'"{data}" index {i} using 1:{column} with linespoints linetype {colours[n.removesuffix(VARIANT)]} '
                 f'dashtype {2 if n.endswith(VARIANT) else 1} title "{n}"' for i, n in enumerate(lines))
        scale = "set logscale y\nset yrange [*:*]" if logarithmic else "set yrange [0:*]"
        text += PANEL.format(title=panel, key=key, scale=scale, lines=", \\\n    ".join(plots))
    script.write_text(text, encoding="utf-8")
    svg.parent.mkdir(parents=True, exist_ok=True)
    r = subprocess.run(["gnuplot", str(script)], capture_output=True, text=True, check=False)
    if r.returncode:
        raise Failed(f"gnuplot: {r.stderr}")
