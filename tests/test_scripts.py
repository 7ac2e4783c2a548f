"""The scripts that are more than a wrapper."""

from __future__ import annotations

import runpy
import subprocess
import sys

import pytest
import torch

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


@pytest.mark.filterwarnings("default")  # Lightning's, about loaders and loggers
def test_train_with_lightning_resumes_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    script = REPOSITORY / "scripts" / "train_with_lightning.py"
    assert len(script.read_text().splitlines()) <= 60
    main = runpy.run_path(str(script))["main"]
    for epochs in (1, 2):
        main(epochs)
        last = torch.load(tmp_path / "lightning_logs/lenet5/last.ckpt", weights_only=True)
        assert (last["epoch"] + 1, last["global_step"]) == (epochs, 55 * epochs)
        answers = capsys.readouterr().out.rpartition("every hundredth answer:")[2].split()
        assert len(answers) == 10
        assert sum(answer == str(digit) for digit, answer in enumerate(answers)) >= 5
