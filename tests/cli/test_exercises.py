"""``repronet exercise`` and ``repronet check``, as a student and a teacher type them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from repronet.exercises import grading
from repronet.exercises.catalogue import TOPICS, exercises

PAGE = """
import numpy as np

print("this is the student's own print")
places_7_stride_3 = [2, 1]
alexnet_conv1_parameters = 34_848


def linear_bias_gradient(grad_output):
    return grad_output.sum(0)


def relu_forward(x):
    return np.abs(x)


def conv2d_bias_gradient(grad_output):
    raise NotImplementedError
"""


def test_the_list_has_every_exercise(repronet):
    outcome = repronet("exercise", "list")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    for exercise in exercises().values():
        assert f"\n  {exercise.name}" in outcome.out
    assert {exercise.topic for exercise in exercises().values()} == set(TOPICS)
    assert "  relu_forward(input)\n      y = max(0, x), of any shape.\n" in outcome.out


def test_a_template_is_a_program_without_answers(repronet):
    assert repronet("exercise", "start", *TOPICS, "out=homework.py").code == 0
    text = Path("homework.py").read_text(encoding="utf-8")
    assert text.count("raise NotImplementedError") == sum(bool(found.arguments) for found in exercises().values())
    assert "then: repronet check homework.py\n" in text
    assert max(map(len, text.splitlines())) <= 120
    outcome = repronet("check", "homework.py", "format=json")
    assert outcome.code == 0
    (report,) = json.loads(outcome.out)
    assert report["unwritten"] == len(exercises())


def test_a_file_is_checked(repronet):
    Path("mine.py").write_text(PAGE)
    outcome = repronet("check", "mine.py")
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert [line.split()[:2] for line in lines[:5]] == [
        ["places_7_stride_3", "right"],
        ["alexnet_conv1_parameters", "wrong"],
        ["conv2d_bias_gradient", "unwritten"],
        ["relu_forward", "wrong"],
        ["linear_bias_gradient", "right"],
    ]
    assert "\nrelu_forward\n  input   [[[-1]]]\n  wrong:  got 1 at [0, 0, 0], expected 0\n  hint:" in outcome.out
    assert "\nalexnet_conv1_parameters\n  wrong:  got 34848\n  hint:" in outcome.out
    assert "hint" in outcome.out
    assert lines[-1] == "2 right, 2 wrong, 1 unwritten"
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_a_folder_is_graded_within_limits_and_without_hints(repronet):
    Path("all").mkdir()
    files = {
        "a_good.py": "def linear_bias_gradient(g):\n    return g.sum(0)\n",
        "b_endless.py": "relu_forward = abs\ndef linear_bias_gradient(g):\n    while True: pass\n",
        "c_greedy.py": "def linear_bias_gradient(g):\n    return len(bytearray(2**30)) + g.sum(0)\n",
        "d_broken.py": "def linear_bias_gradient(g)\n",
        "e_leaves.py": "def linear_bias_gradient(g):\n    import os\n    os._exit(3)\n",
        "f_fails.py": "import no_such_module\ndef linear_bias_gradient(g):\n    return g.sum(0)\n",
        "g_stuck.py": "while True: pass\ndef linear_bias_gradient(g):\n    return g.sum(0)\n",
    }
    for name, text in files.items():
        Path("all", name).write_text(text)
    outcome = repronet("check", "all", "format=json", "hints=false", "seconds=30", "memory=512")
    assert outcome.code == 1
    good, endless, greedy, broken, leaves, fails, stuck = json.loads(outcome.out)
    assert (good["right"], good["wrong"], good["error"]) == (1, 0, None)
    assert [found["verdict"] for found in endless["exercises"]] == ["wrong", "wrong"]
    assert endless["exercises"][1]["what"] == "does not return within 5 seconds"
    assert (
        "raises MemoryError" in greedy["exercises"][0]["what"] or "ArrayMemoryError" in greedy["exercises"][0]["what"]
    )
    assert "line 1 is no Python" in broken["error"]
    assert (leaves["wrong"], leaves["unchecked"]) == (0, 1)
    assert leaves["exercises"][0]["what"] == "the process ended with exit code 3"
    assert "ModuleNotFoundError: No module named 'no_such_module'" in fails["error"]
    assert stuck["exercises"][0]["what"] == "the file took more than 30 seconds"
    assert {found["hint"] for report in (good, endless, greedy) for found in report["exercises"]} == {""}


def test_a_misspelt_name_is_said_and_what_is_unchecked_is_not_wrong(repronet):
    right = "def linear_bias_gradient(g):\n    return g.sum(0)\n"
    Path("ann.py").write_text(
        f"{right}def linar_forward(x, w, b):\n    return x @ w.T + b\ndef helper(x):\n    return x\n"
    )
    outcome = repronet("check", "ann.py")
    assert outcome.code == 0
    assert "linar_forward: no such exercise; nearest: linear_forward\n" in outcome.out
    assert "helper" not in outcome.out
    Path("bob.py").write_text(f"{right}import time\ntime.sleep(60)\n")
    outcome = repronet("check", "bob.py", "seconds=2")
    assert outcome.code == 1
    assert "unchecked: the file took more than 2 seconds\n" in outcome.out
    assert outcome.out.endswith("\n1 unchecked\n")


def test_the_teachers_table_has_a_row_a_file(repronet):
    Path("all").mkdir()
    Path("all/ann.py").write_text("def linear_bias_gradient(g):\n    return g.mean(0)\n")
    Path("all/bob.py").write_text("x = 1\n")
    outcome = repronet("check", "all")
    assert outcome.code == 1
    assert [line.split() for line in outcome.out.splitlines()][1] == [
        "ann.py",
        "0",
        "1",
        "0",
        "0",
        "linear_bias_gradient",
    ]
    assert "bob.py: defines none of the exercises" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["exercise"], "exercise: must be `exercise list` or `exercise start TOPIC`"),
        (["exercise", "lst"], "exercise lst: must be `exercise list` or `exercise start TOPIC`; nearest: list"),
        (["exercise", "start"], "exercise start: needs a topic or several: by_hand, im2col"),
        (["exercise", "start", "conv"], "exercise start conv: no such topic; nearest: conv2d (by_hand, im2col"),
        (["exercise", "start", "relu", "out=here.py"], "out=here.py: exists already"),
        (["exercise", "start", "relu", "out=here.txt"], "out=here.txt: must be the name of a .py file"),
        (["check"], "check: takes one file or folder; `repronet exercise start conv2d` creates one"),
        (["check", "here.py", "there.py"], "check here.py there.py: takes one file or folder"),
        (["check", "there.py"], "check there.py: no such .py file"),
        (["check", "here.py"], "check here.py: defines none of the exercises"),
        (["check", "raises.py"], "raises.py: ValueError: no homework today"),
        (["check", "empty"], "check empty: has no .py files"),
        (["check", "here.py", "hints=perhaps"], "hints=perhaps: must be true or false"),
        (["check", "here.py", "format=csv"], "format=csv: must be one of table, json"),
    ],
)
def test_mistakes(repronet, words, message):
    Path("here.py").write_text("x = 1\n")
    Path("raises.py").write_text("relu_forward = abs\nraise ValueError('no homework today')\n")
    Path("empty").mkdir()
    outcome = repronet(*words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_without_hypothesis_the_error_says_what_to_install(repronet, monkeypatch):
    Path("mine.py").write_text(PAGE)
    monkeypatch.setattr(grading, "find_spec", lambda name: None)
    outcome = repronet("check", "mine.py")
    assert outcome.code == 2
    assert outcome.err.endswith("needs hypothesis to find the smallest case: pip install hypothesis\n")


def test_list_and_start_need_no_torch(tmp_path):
    for words in (["exercise", "list"], ["exercise", "start", "relu"], ["check", "nothing.py"]):
        ends = "except SystemExit: assert 'torch' not in sys.modules"
        code = f"import sys; from repronet.cli import main\ntry: main({words})\n{ends}"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


@pytest.mark.slow
def test_a_network_is_trained_on_a_students_layers(repronet):
    repronet("exercise", "start", "conv2d", "out=mine.py")  # whose functions are still to be written
    with Path("mine.py").open("a") as file:
        file.write("def linear_bias_gradient(g):\n    return g.sum(0)\n")
    words = ("data.per_class=20", "trainer.max_epochs=1", "trainer.board=none", "run_dir=run")
    outcome = repronet("train", "exercises=mine.py", *words)
    assert outcome.code == 0
    said = " ".join(outcome.out.split())
    assert "computing with mine.py (functions: 1); repronet's for the missing ones: conv2d_forward, " in said
    (error,) = (line.split()[2] for line in outcome.out.splitlines() if line.startswith("test error"))
    assert f"test error   {error}" in repronet("eval", "run=run").out  # the run needs the file no more


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["exercises=no.py"], "exercises=no.py: no such .py file"),
        (["exercises=mine.py", "-m"], "exercises: is for one run; leave -m out"),
        (["exercises=mine.py", "exercises=mine.py"], "exercises=mine.py: one file has all layers"),
        (["exercises=mine.py", "layers=torch"], "replaces repronet's layers; leave layers=torch out"),
        (["exercises=mine.py", "resume=run"], "exercises=mine.py: a resumed run keeps its config"),
        (["exercises=mine.py"], "exercises=mine.py: has no function of a layer that lenet5 has"),
    ],
)
def test_mistakes_in_training(repronet, words, message):
    Path("mine.py").write_text("places_7_stride_3 = [2, 1]\n")
    outcome = repronet("train", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
