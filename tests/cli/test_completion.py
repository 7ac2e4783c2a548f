"""What a shell completes, and how long that takes."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys

import pytest

from repronet.cli.completion import answer, suggested

LINES = [  # what is typed, what is among the suggestions, what is not
    ("repronet tr", ["train"], ["eval"]),
    ("repronet ", ["train", "eval", "finetune"], ["compare"]),
    ("repronet finetune ", ["compare"], ["train"]),
    ("repronet train opt", ["optimizer=", "optimizer."], ["schedule="]),
    ("repronet train optimizer=", ["optimizer=adam", "optimizer=sgd"], ["optimizer=lenet5"]),
    ("repronet train optimizer=a", ["optimizer=adamw"], ["optimizer=sgd"]),
    ("repronet train model=resnet2", ["model=resnet20"], ["model=lenet5"]),
    ("repronet train experiment=lenet5_m", ["experiment=lenet5_mnist"], []),
    ("repronet train seed=1 trainer.max", ["trainer.max_epochs=", "trainer.max_steps="], ["trainer.patience="]),
    ("repronet train layers=", ["layers=custom", "layers=torch"], []),
    ("repronet train trainer.compile=", ["trainer.compile=true", "trainer.compile=false"], []),
    ("repronet train +exp", ["+experiment="], []),
    ("repronet train ~logg", ["~logger="], []),
    ("repronet train --c", ["--cfg", "--config-dir", "--config-name"], ["--info"]),
    ("repronet eval checkpoint=", ["checkpoint=best", "checkpoint=last"], []),
    ("repronet eval run=", [], ["run=train"]),
    ("repronet train -m launcher=", ["launcher=joblib", "launcher=slurm"], []),
]


@pytest.mark.parametrize(("line", "there", "absent"), LINES)
def test_what_may_stand_there_is_suggested(line, there, absent):
    found = set(suggested(line))
    assert set(there) <= found
    assert not set(absent) & found


def test_an_answer_takes_little_and_imports_neither_torch_nor_hydra():
    script = (
        "import sys, os; os.environ['COMP_LINE'] = 'repronet train optimizer.'\n"
        "from repronet.cli import main\n"
        "try: main(['train', '--shell-completion', 'query=bash'])\n"
        "finally: print(*sorted({'torch', 'hydra', 'omegaconf'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "optimizer.lr=" in done.stdout.split()
    assert done.stderr.strip() == ""
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_bash_completes_behind_an_equals_sign(tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (tmp_path / "repronet").write_text(f'#!/bin/sh\nexec {sys.executable} -m repronet "$@"\n')
    (tmp_path / "repronet").chmod(0o755)
    script = (
        f"PATH={tmp_path}:$PATH\n{answer(['train', '-sc', 'install=bash'])}\n"
        'ask() { COMP_LINE=$1; COMP_POINT=${#1}; COMPREPLY=(); _repronet; echo "${COMPREPLY[@]}"; }\n'
        "ask 'repronet train layers='; ask 'repronet tra'\n"
    )
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["custom torch", "train"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_line_to_evaluate_and_one_that_takes_it_away(shell):
    assert f"query={shell}" in answer(["-sc", f"install={shell}"])
    assert "repronet" in answer(["-sc", f"uninstall={shell}"])
    if shutil.which(shell):
        script = answer(["-sc", f"install={shell}"])
        assert subprocess.run([shell, "-n"], input=script, text=True, capture_output=True).stderr == ""
