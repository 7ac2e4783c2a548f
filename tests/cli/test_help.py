"""The pages of the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import REPOSITORY
from repronet import __version__
from repronet.config.groups import GROUPS, choices


@pytest.mark.parametrize("words", [[], ["--help"], ["train", "--help"], ["eval", "-h"], ["list", "--help"], ["help"]])
def test_a_page_is_a_page(repronet, words):
    outcome = repronet(*words)
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "EXAMPLES" in outcome.out
    assert outcome.out.count("repronet") >= 4


def test_the_train_page_names_every_choice(repronet):
    page = repronet("train", "--help").out
    for group in GROUPS:
        assert f"{group}=" in page
        assert choices(group), group
        if len(choices(group)) < 20:
            assert set(choices(group)) <= set(page.split())
        else:
            assert f"{len(choices(group))} of them: repronet list {group}" in page


def test_version(repronet):
    assert repronet("--version").out == f"repronet {__version__}\n"


@pytest.mark.parametrize("words", [["list"], ["list", "models"], ["list", "data", "optimizers"]])
def test_list(repronet, words):
    outcome = repronet(*words)
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_every_config_file_says_what_it_is(repronet):
    for group in GROUPS:
        if group == "experiment":
            continue  # their titles are among the facts of papers
        for name, title in choices(group).items():
            assert title, f"{group}/{name}.yaml opens with a comment that says what it is"
    assert "[low, high]" in repronet("list", "preprocessing").out


@pytest.mark.slow
def test_every_choice_composes(repronet):
    for group in GROUPS:
        for choice in list(choices(group))[:20]:  # of the networks the first: their files are written by one function
            outcome = repronet("train", f"{group}={choice}", "--cfg", "job")
            assert outcome.code == 0, f"{group}={choice}: {outcome.err}"


@pytest.mark.parametrize(("script", "title"), [("train", "repronet train -"), ("evaluate", "repronet eval -")])
def test_scripts_are_the_commands(script, title, tmp_path):
    command = [sys.executable, str(REPOSITORY / "scripts" / f"{script}.py"), "--help"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(title)
