# SPDX-License-Identifier: ISC
"""Real drivers, the short list of tests/drivers/run: what they do on a direct connection they do through the pooler."""
import os
import pathlib
import subprocess
import sys

import pytest

RUN = pathlib.Path(__file__).resolve().parents[1] / "drivers" / "run"


@pytest.mark.poolwise
def test_drivers_see_no_difference(binary):
    done = subprocess.run([sys.executable, str(RUN), "--short", "--no-install", "--binary", binary], capture_output=True, text=True, timeout=300,
                          check=False, env=os.environ)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("4 passed, 0 failed, 0 not run"), done.stdout + done.stderr
