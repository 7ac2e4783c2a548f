"""``repronet visualize``: every drawing, of a run and of every network."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from repronet import models
from repronet.cli.drawings import DRAWINGS
from repronet.cli.drawings.subject import Subject
from repronet.config import schema_runs
from repronet.config.compose import compose
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError
from repronet.layers import set_algorithm
from repronet.training.classifier import Classifier

OF_A_NETWORK = [name for name in DRAWINGS if name not in ("curves", "confusion", "augmentations", "tsne", "words")]
QUICK = ("lenet5", "lenet5_1998")
OF_OTHER_FAMILIES = (
    "resnet20",
    "nin",
    "lecture_net",
    "locally_connected",
    "mlp",
    "se_resnet20",
    "resnet18_32px",
    "vgg11_32px",
)
LARGE = (
    *("preact_resnet110", "densenet40_12", "alexnet", "alexnet_owt", "zfnet", "vgg11", "googlenet", "inception_v3"),
    *("resnet50", "resnext50_32x4d"),
)


def colours_in(path: Path) -> int:
    return len(np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0))


def subject_of(name: str, **wishes) -> Subject:
    """Of a network as it begins, and noise."""
    network = models.create(name, num_classes=10, layers="custom").eval()
    set_algorithm(network, "vendor")  # nothing is measured
    channels = 1 if name in ("lenet5", "lenet5_1998", "lecture_net", "locally_connected", "mlp") else 3
    size = network.input_size
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (12, channels, size, size), generator=drawn, dtype=torch.uint8)
    split = Split(pixels, torch.arange(12) % 10)
    classes = tuple(f"class {n}" for n in range(10))
    lens = EvalTransform(classes, channels, size, size, False, PixelMap.scale(-1.0, 1.0, channels))
    config = compose("train", [f"model={name}", "data=mnist5k"])
    keys = DictConfig({"split": "val", "layer": None, "images": 2, "maps": 3, "seed": 0, **wishes})
    subject = Subject(Path("nowhere"), config, Classifier(network, lens, {}), keys, Console(quiet=True), [])
    subject.__dict__["data"] = ImageDataset("noise", split, split, split, classes)
    return subject


def test_the_schema_names_the_drawings():
    assert tuple(DRAWINGS) == schema_runs.DRAWINGS


@pytest.mark.slow
def test_all_drawings_of_a_run(repronet, tmp_path, finished_run):
    outcome = repronet("visualize", f"run={finished_run}", "what=all", "out=seen")
    assert (outcome.code, outcome.err) == (0, "")
    files = [line.split(".png")[0] for line in outcome.out.splitlines() if ".png" in line]
    drawn = [name for name in DRAWINGS if name != "words"]
    assert files == [f"seen/{name}" for name in drawn]
    assert "left out: what=words: lenet5 has no visual words" in outcome.out
    assert all(colours_in(tmp_path / "seen" / f"{name}.png") > 15 for name in drawn)
    events = EventAccumulator(str(tmp_path / "seen"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == set(drawn)
    [shown] = events.Images("tsne")
    assert shown.step == 110
    assert Image.open(io.BytesIO(shown.encoded_image_string)).width > 500


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("what", OF_A_NETWORK)
def test_a_drawing_of_a_network(name, what):
    assert DRAWINGS[what](subject_of(name)).axes


@pytest.mark.thorough
@pytest.mark.parametrize("name", OF_OTHER_FAMILIES)
def test_the_drawings_of_every_family(name):
    for what in OF_A_NETWORK:
        if (name, what) in (("mlp", "gradcam"), ("locally_connected", "filters")):
            with pytest.raises(UserError, match=r"gradcam has nothing to show|no kernels that are images"):
                DRAWINGS[what](subject_of(name))
        else:
            assert DRAWINGS[what](subject_of(name)).axes, what


@pytest.mark.thorough
@pytest.mark.parametrize("name", LARGE)
def test_the_drawings_of_large_networks(name):
    for what in ("filters", "activations", "deconvnet", "receptive_field", "guided", "gradcam"):
        assert DRAWINGS[what](subject_of(name, maps=2)).axes, what


def test_one_layer_is_drawn_that_is_asked_for():
    figure = DRAWINGS["deconvnet"](subject_of("resnet20", layer="layer2.0.conv1", images=4))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["layer2.0.conv1"]
    with pytest.raises(UserError, match=r"layer=layer9: no such layer with maps \(conv1, layer1"):
        DRAWINGS["activations"](subject_of("resnet20", layer="layer9"))


def test_confusion_of_a_run_is_that_of_its_test(finished_run, repronet, tmp_path):
    counts = np.loadtxt(finished_run / "confusion.csv", delimiter=",", skiprows=1, usecols=range(1, 11))
    outcome = repronet("visualize", f"run={finished_run}", "what=confusion,curves", "out=seen")
    assert outcome.code == 0
    subject = subject_of("lenet5")
    object.__setattr__(subject, "folder", finished_run)
    drawn = DRAWINGS["confusion"](subject).axes[0]
    texts = [int(text.get_text()) for text in drawn.texts]
    assert sum(texts) == counts.sum() == 1000
    assert "test: " in drawn.get_title()
    subject.wishes.split = "train"
    assert "12" in DRAWINGS["confusion"](subject).axes[0].get_title()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["what=tsme"], "what=['tsme']: must be all, or one or several, such as filters,tsne, of filters,"),
        (["what=[]"], "what=[]: must be all"),
        ([], "what: missing; it must be all, or one or several"),
        (["what=filters", "images=0"], "images=0: must be"),
        (["what=filters", "split=all"], "split=all: must be one of train, val, test"),
        (["what=activations", "layer=c9"], "layer=c9: no such layer with maps (c1, c3)"),
    ],
)
def test_bad_words_are_one_line(repronet, finished_run, words, message):
    outcome = repronet("visualize", f"run={finished_run}", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_without_a_run_is_named(repronet, tmp_path):
    outcome = repronet("visualize", "run=nowhere", "what=filters")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "run=nowhere: no run there" in outcome.err


def test_where_nothing_can_be_written(repronet, tmp_path, finished_run):
    (tmp_path / "taken").write_text("")
    outcome = repronet("visualize", f"run={finished_run}", "what=curves", "out=taken")
    assert outcome.code == 2
    assert "out=taken/curves.png: cannot be written" in outcome.err


def test_data_that_have_moved(repronet, finished_run):
    outcome = repronet("visualize", f"run={finished_run}", "what=guided", "data_root=elsewhere", "out=seen")
    assert outcome.code == 2
    assert "data.root=elsewhere: add data=image_folder" in outcome.err
    assert OmegaConf.load(finished_run / "config.yaml").data.root is None
