"""What breaks in a part of the user's own is said with the part's name and its line."""

from __future__ import annotations

from pathlib import Path

import pytest

import repronet
from repronet.config import plugins
from repronet.errors import Fault, UserError

PARTS = """
import pytorch_lightning as pl
import torch
from torch import nn

from repronet import register
from repronet.data.splits import ImageDataset, Split


@register.dataset("dots")
def dots(wrong: str = "") -> ImageDataset:
    if wrong == "raises":
        return open("no_such_file")  # line 13
    images, labels = torch.zeros(40, 1, 8, 8, dtype=torch.uint8), torch.arange(40) % 10
    split = Split(images, labels)
    found = ImageDataset("dots", split, split, split, classes=tuple("abcdefghij"))
    return (images, labels) if wrong == "tuple" else found


@register.model("net", input_size=8)
class Net(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, wrong: str = ""):
        super().__init__()
        self.wrong = wrong
        self.head = nn.Linear(in_channels * 64, num_classes - (wrong == "nine"))

    def forward(self, images):
        if self.wrong == "shape" or (self.wrong == "training" and self.training):
            return self.head(images)  # line 29
        return self.head(images.flatten(1))


@register.callback("late")
class Late(pl.Callback):
    def on_train_batch_end(self, *_):
        {}["missing"]  # line 36
"""


@pytest.fixture(autouse=True)
def _parts(tmp_path, monkeypatch, tables_as_they_were):
    monkeypatch.chdir(tmp_path)
    Path("my_parts.py").write_text(PARTS)
    plugins.give(["my_parts.py"])


def train(*words: str) -> None:
    own = ("model=net", "data=dots", "augmentation=none", "run_dir=run")
    repronet.train(*own, "trainer.max_epochs=1", *words, quiet=True)


@pytest.mark.parametrize(
    ("word", "kind", "said"),
    [
        ("data.wrong=tuple", UserError, r"^data=dots: my_parts.py, dots gives tuple; return a .*ImageDataset$"),
        ("data.wrong=raises", Fault, r"^data dots, my_parts.py:13: FileNotFoundError: .*no_such_file"),
        ("model.wrong=nine", UserError, r"^model=net: gives 9 logits, the data have 10 classes$"),
        ("model.wrong=shape", UserError, r"^model=net: fails on an image \(1, 1, 8, 8\): RuntimeError: .*:29\)$"),
    ],
)
def test_what_is_known_before_the_run_leaves_no_folder(word, kind, said):
    with pytest.raises(kind, match=said):
        train(word)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["callbacks=[late]", "trainer.board=none"], "callback late, my_parts.py:36: KeyError: 'missing'; "),
        (["model.wrong=training"], "model net, my_parts.py:29: RuntimeError: .*; "),
    ],
)
def test_what_fails_in_a_run_is_named_with_the_command_that_goes_on(words, said, capfd):
    with pytest.raises(Fault, match=rf"^{said}.* resume=run --plugin my_parts.py$"):
        train(*words)
    assert "No graph saved" not in capfd.readouterr().out


def test_a_graph_that_cannot_be_drawn_prints_nothing(capsys, tmp_path):
    import torch
    from torch.utils.tensorboard.writer import SummaryWriter

    from repronet.training.callbacks.inputs_and_graph import InputsAndGraph

    broken = torch.nn.Linear(3, 1)
    with SummaryWriter(tmp_path / "board") as writer, pytest.raises(RuntimeError):
        InputsAndGraph(broken, tmp_path)._add_graph(writer, torch.zeros(1, 5))
    assert capsys.readouterr().out == ""
