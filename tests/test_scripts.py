"""The scripts that are more than a wrapper."""

from __future__ import annotations

import json
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


def test_training_sizes_are_drawn_and_tabulated(tmp_path, capsys, monkeypatch):
    """Two seeds of one size and one of another, of two models, one of them fine-tuned too."""
    made = [("a", 10, 0.5, ""), ("a", 10, 0.3, ""), ("a", 100, 0.2, ""), ("b", 10, 0.6, ""), ("b", 10, 0.1, "x.ckpt")]
    for number, (model, size, error, weights) in enumerate(made):
        folder = tmp_path / str(number)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"data: {{per_class: {size}}}\nweights: {weights or 'null'}\n")
        (folder / "result.json").write_text(json.dumps({"model": model, "test_error": error, "train_seconds": 2.0}))
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    runpy.run_path(str(REPOSITORY / "benchmarks" / "training_sizes.py"))["main"](["--draw", "--out", str(tmp_path)])
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == [
        "| model | 10 per class | 100 per class |",
        "|---|---|---|",
        "| b | 60.0 % (1), 2 s |  |",
        "| a | 40.0 ± 14.1 % (2), 2 s | 20.0 % (1), 2 s |",
        "| b, fine-tuned | 10.0 % (1), 2 s |  |",
    ]


@pytest.mark.slow
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
