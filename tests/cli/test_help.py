"""The pages of the command line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
from configuration_page import configuration_page, with_commands

from conftest import REPOSITORY
from repronet import __version__
from repronet.config.compose import compose_with_launcher
from repronet.config.fields import keys_of
from repronet.config.groups import GROUPS, choices
from repronet.config.schema import COMMANDS, SCHEMAS, schemas_in
from repronet.config.schema_commands import Train
from repronet.config.schema_sweep import BESIDE

SPOKEN = sorted({command.words.split()[0] for command in COMMANDS.values()})


@pytest.mark.parametrize("words", [[], ["--help"], ["help"], *([name, "--help"] for name in SPOKEN), ["eval", "-h"]])
def test_a_page_is_a_page(repronet, words):
    outcome = repronet(*words)
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    sections = [line for line in outcome.out.splitlines() if line.isupper() and not line.startswith(" ")]
    wanted = ["USAGE", "DESCRIPTION", "KEYS", "OPTIONS", "EXAMPLES"]
    if words and sections[-1] == "SEE ALSO":  # commands that begin with the same word
        sections.pop()
    assert sections == (wanted if words and words[0] in SPOKEN else ["USAGE", "EXAMPLES", "EXIT CODES"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_every_key_of_its_command(repronet, name):
    command = COMMANDS[name]
    page = repronet(*command.words.split(), "--help").out
    known = {item.name for item in keys_of(Train)} if command.trains and name != "train" else set()
    for item in keys_of(command.keys):
        assert item.name in known or f"\n  {item.name}=" in page, item.name


def test_every_key_says_what_it_does():
    schemas = [command.keys for command in COMMANDS.values()]
    schemas += [schema for group in GROUPS for _, schema in schemas_in(group)]
    for schema in schemas:
        for item in keys_of(schema):
            assert item.metadata["about"], f"{schema.__name__}.{item.name}"


@pytest.mark.slow
def test_every_example_composes(repronet):
    from repronet.config.compose import compose

    for name, command in COMMANDS.items():
        for example in command.examples:
            words = [word for word in shlex.split(example)[len(command.words.split()) :] if "=" in word]
            if "-m" not in example and name != "list":
                compose(name, words)


def test_commands_stand_in_one_order_whichever_module_was_imported_first():
    code = "import repronet.config.schema_tools, repronet.config.schema as schema; print(*schema.COMMANDS)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == list(COMMANDS)


def test_every_command_is_carried_out():
    for name in COMMANDS:
        assert callable(import_module(f"repronet.cli.commands.{name}").run), name


def test_the_reference_page_is_written_from_the_schemas():
    written = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
    assert written == configuration_page()  # else: python scripts/regenerate.py docs
    page = (REPOSITORY / "docs/guide/commands.md").read_text(encoding="utf-8")
    assert page == with_commands(page)
    assert "| `repronet finetune compare` | compare ways" in page


def test_a_group_lists_its_keys(repronet):
    page = repronet("list", "trainer", "schedule").out
    assert "trainer.gradient_clip_val=X" in page
    assert page.count("schedule.warmup_epochs=0.0") == 1
    assert set(SCHEMAS["model"]) == set(choices("model"))


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["list"], ["train", "optimizer.lr=fast"]])
def test_answers_need_no_torch(words):
    ends = "except SystemExit: assert 'torch' not in sys.modules"
    code = f"import sys; from repronet.cli import main\ntry: main({words})\n{ends}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_train_page_names_every_choice(repronet):
    page = repronet("train", "--help").out
    for group in GROUPS:
        assert f"{group}=" in page
        assert choices(group), group
        if len(choices(group)) < 20:
            assert set(choices(group)) <= set(page.split())
        else:
            assert f"`repronet list {group}` lists all" in page


def test_the_keys_of_a_group_stand_below_the_choices_that_have_them(repronet):
    page = repronet("list", "launcher").out
    headings = re.findall(r"^keys.*$", page, re.MULTILINE)
    assert headings == ["keys of joblib, local", "keys of ray", "keys of ray, slurm", "keys of slurm"]
    places = [page.index(part) for part in ("keys of joblib", "launcher.n_jobs=-1", "keys of ray", "launcher.gpus=0.0")]
    assert places == sorted(places)
    assert repronet("list", "optimizer").out.count("\nkeys\n") == 1  # what all have, with no names
    assert "keys of alexnet, augmix, cutmix" in repronet("list", "augmentation").out  # as they are typed


def test_a_list_in_a_description_keeps_its_lines(repronet):
    page = repronet("visualize", "--help").out
    assert "\n    filters          the filters of the first layer\n    activations " in page


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
            if group in BESIDE:
                compose_with_launcher("train", [f"{group}={choice}"])
                continue
            outcome = repronet("train", f"{group}={choice}", "--cfg", "job")
            assert outcome.code == 0, f"{group}={choice}: {outcome.err}"


@pytest.mark.parametrize(("script", "title"), [("train", "repronet train -"), ("evaluate", "repronet eval -")])
def test_scripts_are_the_commands(script, title, tmp_path):
    command = [sys.executable, str(REPOSITORY / "scripts" / f"{script}.py"), "--help"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(title)
