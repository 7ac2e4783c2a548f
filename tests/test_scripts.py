"""The scripts that are more than a wrapper."""

from __future__ import annotations

import subprocess
import sys

from conftest import REPOSITORY


def test_draw_curves(finished_run, tmp_path):
    script = str(REPOSITORY / "scripts" / "draw_curves.py")
    subprocess.run([sys.executable, script, str(tmp_path / "c.png"), str(finished_run)], check=True)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_draw_curves_without_a_run_says_how(tmp_path):
    script = str(REPOSITORY / "scripts" / "draw_curves.py")
    found = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert found.returncode == 1
    assert "draw_curves.py OUT.png RUN" in found.stderr
