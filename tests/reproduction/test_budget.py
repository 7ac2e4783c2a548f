"""A shorter schedule keeps its shape."""

from __future__ import annotations

import pytest

from repronet.config.compose import compose
from repronet.errors import UserError
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction.budget import SMOKE_PER_CLASS, scaled


def config_of(*words: str):
    return compose("train", list(words))


def test_milestones_keep_their_share_of_the_run():
    whole, hour = (config_of("experiment=resnet20_cifar10", f"budget={budget}") for budget in ("paper", "hour"))
    assert hour.trainer.max_epochs == EXPERIMENTS["resnet20_cifar10"].hour < whole.trainer.max_epochs
    shares = [
        [milestone / config.trainer.max_epochs for milestone in config.schedule.milestones] for config in (whole, hour)
    ]
    assert shares[0] == pytest.approx(shares[1])
    assert hour.optimizer == whole.optimizer
    assert hour.data == whole.data


def test_stages_end_at_whole_epochs_and_none_is_empty():
    minutes = config_of("experiment=lenet5_1998_mnist_stages", "budget=minutes")
    # 2, 3, 3, 4 and 8 of 20 epochs, in 5: the stages end after 0.5, 1.25, 2, 3 and 5: the second falls out.
    assert minutes.trainer.max_epochs == 5
    assert list(minutes.schedule.epochs_each) == [1, 1, 1, 2]
    assert list(minutes.schedule.rates) == [1.0, 0.2, 0.1, 0.02]


@pytest.mark.parametrize(
    ("schedule", "key", "was", "becomes"),
    [
        ({"name": "exponential", "every": 8.0}, "every", 8.0, 2.0),
        ({"name": "plateau", "patience": 2}, "patience", 2, 1),
        ({"name": "cosine", "final_factor": 0.1}, "final_factor", 0.1, 0.1),
    ],
)
def test_other_lengths(schedule, key, was, becomes):
    name = "lenet5_1998_mnist_stages"  # five epochs in minutes
    config = {
        "budget": "minutes",
        "trainer": {"max_epochs": 20, "patience": 8},
        "schedule": {**schedule, "warmup_epochs": 4.0},
        "data": {"per_class": None},
    }
    short = scaled(config, name)
    assert config["schedule"][key] == was
    assert short["schedule"][key] == becomes
    assert short["schedule"]["warmup_epochs"] == 1.0
    assert short["trainer"] == {"max_epochs": 5, "patience": 2}
    assert short["data"] == {"per_class": None}


def test_smoke_is_one_epoch_of_few_images():
    smoke = config_of("experiment=resnet20_cifar10", "budget=smoke")
    assert (smoke.trainer.max_epochs, smoke.data.per_class) == (1, SMOKE_PER_CLASS)


def test_a_budget_without_an_experiment_or_too_small_for_one_is_refused():
    with pytest.raises(UserError, match="budget=minutes: is for experiments"):
        config_of("budget=minutes")
    with pytest.raises(UserError, match="budget=hour: is too short for one epoch of experiment=vgg16_imagenet"):
        config_of("experiment=vgg16_imagenet", "budget=hour")
    with pytest.raises(UserError, match=r"trainer\.max_epochs=3: budget=hour says how many epochs there are"):
        config_of("experiment=resnet20_cifar10", "budget=hour", "trainer.max_epochs=3")


def test_a_run_is_shortened_once():
    from repronet.config.compose import checked

    minutes = config_of("experiment=lenet5_1998_mnist_stages", "budget=minutes")
    assert checked("train", minutes) == minutes  # as it is read again to go on with
