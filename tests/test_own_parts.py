"""The page on parts of one's own: its files as they stand there, and its commands one after the other."""

from __future__ import annotations

import csv
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import REPOSITORY
from documentation import blocks, execute

PAGE = REPOSITORY / "docs" / "how_to" / "own_parts.md"


def repronet(folder: Path, command: str) -> subprocess.Popen[str]:
    program, *words = shlex.split(command, comments=True)
    assert program == "repronet"
    return subprocess.Popen(
        [sys.executable, "-m", "repronet", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def figures(run: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table(run / "history.csv")]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_page_does_what_it_says(tmp_path, monkeypatch, tables_as_they_were):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for block in blocks(PAGE, "python", "sh", "yaml"):
        if block.file:
            path = tmp_path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "python":
            execute(block, PAGE, {})
        else:
            for command in block.commands:
                run(tmp_path, command)
    rows = table(tmp_path / "predictions.csv")
    assert [row["class1"] for row in rows] == ["upright", "lying", "upright", "lying"]
    assert float(figures(tmp_path / "runs/bars")[-1]["val_error"]) < 0.05
    assert (tmp_path / "report.html").exists()
    sys.modules.pop("my_parts")


def run(folder: Path, command: str) -> None:
    """Run a command of the page; the one of the experiment also a second time, to be stopped."""
    process = repronet(folder, command)
    said, _ = process.communicate(timeout=120)
    if "resume=runs/wide" in command:
        assert figures(folder / "runs/wide") == figures(folder / "runs/whole")
    assert process.returncode == 0, said
    if "experiment=wide_bars" in command:
        (folder / "runs/wide").rename(folder / "runs/whole")
        stopped = repronet(folder, command)
        while not (folder / "runs/wide/history.csv").exists() and stopped.poll() is None:
            time.sleep(0.01)
        stopped.send_signal(signal.SIGTERM)
        said, _ = stopped.communicate(timeout=120)
        assert stopped.returncode == 143, said
        assert 0 < len(figures(folder / "runs/wide")) < 20
