"""What runs take, by hand."""

from __future__ import annotations

import pytest
import yaml

from conftest import REPOSITORY
from repronet.data.official import validation_share
from repronet.data.sources import Request, load
from repronet.papers.cost import WORKLOADS, cost, duration


def test_the_cost_of_resnet20_by_hand():
    # 352 steps of 128 in 45,000 images; 40,551,040 MACs, three times, 182 epochs of them; a core does 2.5e10 a second
    assert str(cost("resnet20", "cifar10", 182, 128)) == (
        "64,064 steps of 128; 3 × 40.6 M MACs × 45,000 images × 182 epochs = 1.0e15: "
        "11 h on a core (25 G a second), 8 min on a GPU (an assumed 2 T)"
    )


def test_small_batches_are_not_for_a_gpu():
    assert str(cost("lenet5", "mnist", 20, 64)).endswith("= 1.4e12: 9 min on a core (2.5 G a second)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45 s"),
        (840, "14 min"),
        (4_740, "79 min"),
        (5_500, "1.5 h"),
        (40_000, "11 h"),
        (300_000, "3 days"),
        (1e8, "3.2 years"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("name", "whole"), [("mnist", 60_000), ("cifar10", 50_000), ("imagenet", 1_281_167)])
def test_images_are_what_validation_leaves(name, whole):
    config = yaml.safe_load((REPOSITORY / "configs/data" / f"{name}.yaml").read_text(encoding="utf-8"))
    share = validation_share(name, config["val"], paper=5_000)
    held_out = share if isinstance(share, int) else round(share * whole)
    assert WORKLOADS[name].images == whole - held_out


def test_images_of_mnist5k():
    assert WORKLOADS["mnist5k"].images == len(load("mnist5k", Request(val=500)).train)
