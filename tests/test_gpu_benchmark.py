"""benchmarks/gpu.py in small, on a processor: every program that needs no other library, in the modes there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import REPOSITORY

BENCHMARK = REPOSITORY / "benchmarks" / "gpu.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, BENCHMARK, *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_table_of_every_program_and_mode():
    done = run("--device", "cpu", "--tiny", "--seconds", "0.01", "--rounds", "1", "--mode", "fp32", "--mode", "bf16")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        ["resnet20", mode, program] for mode in ("fp32", "bf16") for program in ("bare", "ours", "trainer")
    ]
    assert all(float(row[3]) > 0 for row in rows)
    assert rows[0][7] == "1.00"
