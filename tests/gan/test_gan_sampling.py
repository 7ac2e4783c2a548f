"""Training a classifier with generated images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from repronet import runs
from repronet.config.compose import compose
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError
from repronet.gan.sampling import of_run, require_same_split, with_generated
from repronet.gan.score import Judge
from repronet.training.classifier import of_source

COUNTS = (8, 3, 5)


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> Path:
    """The run of an AC-GAN of the digits 0, 1 and 2, trained for two steps."""
    from repronet.session.gan import train

    folder = tmp_path_factory.mktemp("gan") / "digits"
    words = ("data.classes=[0,1,2]", "data.per_class=20", "data.batch_size=30", "width=4", "latent=4")
    train(
        compose("gan_train", [*words, "trainer.max_epochs=1", "logger=none", f"run_dir={folder}"]), Console(quiet=True)
    )
    return folder


def dataset(side: int = 32, classes: str = "012") -> ImageDataset:
    labels = torch.arange(3).repeat_interleave(torch.tensor(COUNTS))
    split = Split(torch.zeros(len(labels), 1, side, side, dtype=torch.uint8), labels)
    return ImageDataset("digits", split, split, split, tuple(classes))


@pytest.mark.parametrize(("share", "counts"), [(None, (8, 8, 8)), (0.5, (16, 6, 10)), (0.25, (11, 4, 7))])
def test_each_class_gets_its_share(generator, share, counts):
    real = dataset()
    found = with_generated(real, of_run(generator), share, seed=1)
    assert isinstance(found.train, Split)
    assert found.train.labels.bincount().tolist() == list(counts)
    assert torch.equal(found.train.images[:16], real.train.images)  # type: ignore[attr-defined]
    assert found.train.images[16:].flatten(1).any(dim=1).all()
    assert found.val is real.val
    again, other = (with_generated(real, of_run(generator), share, seed).train for seed in (1, 2))
    assert torch.equal(again.images, found.train.images)  # type: ignore[attr-defined]
    assert not torch.equal(other.images, found.train.images)  # type: ignore[attr-defined]


def test_balanced_classes_need_nothing(generator):
    real = dataset()
    even = ImageDataset("digits", real.train.rows(torch.tensor([0, 8, 11])), real.val, None, real.classes)
    assert with_generated(even, of_run(generator), None, seed=0) is even


def test_another_size_is_refused(generator):
    with pytest.raises(UserError, match=r"makes images \(1, 32, 32\), the network is trained on \(1, 28, 28\)"):
        with_generated(dataset(28), of_run(generator), None, seed=0)


def test_the_best_weights_are_taken(generator, tmp_path):
    from repronet.training.checkpoints import read_checkpoint, write_checkpoint

    folder = shutil.copytree(generator, tmp_path / "digits")
    wanted = read_checkpoint(folder / "checkpoints" / "best.ckpt")["state_dict"]
    last = read_checkpoint(folder / "checkpoints" / "last.ckpt")  # of its one epoch, so the same
    last["state_dict"] = {name: torch.zeros_like(value) for name, value in wanted.items()}
    write_checkpoint(last, folder / "checkpoints" / "last.ckpt")
    found = of_run(folder)
    assert found.classes == ("0", "1", "2")
    assert all(torch.equal(value, wanted[name]) for name, value in found.gan.state_dict().items())


def test_another_split_is_refused(generator):
    data = compose("train", ["data.classes=[0,1,2]"]).data
    require_same_split(of_run(generator), data)
    data.val = 50
    with pytest.raises(UserError, match=r"was trained with data\.val=\S+, here 50; it needs the same split"):
        require_same_split(of_run(generator), data)


def test_a_judge_of_fewer_images_than_classes_has_no_figure_of_some(generator):
    found = of_run(generator)
    real = torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    classifier = of_source("repronet/lenet5-mnist")
    by_class = Judge(classifier, real, found.classes, seed=0).score(found.gan).by_class
    assert set(by_class) == {"0", "1"}
    assert set(by_class.values()) <= {0.0, 1.0}
    with pytest.raises(UserError, match=r"with 2 or more validation images, there is 1; raise data.val"):
        Judge(classifier, real[:1], found.classes, seed=0)


def test_an_unfinished_gan_is_resumed_by_its_own_command(generator, tmp_path):
    (tmp_path / runs.CONFIG).write_bytes((generator / runs.CONFIG).read_bytes())
    with pytest.raises(UserError, match=r"resume it: repronet gan train resume="):
        of_run(tmp_path)


WORDS = ("model=lenet5", "data.classes=[0,1,2]", "data.per_class={0: 40, 1: 10, 2: 0.05}", "augmentation=none")


def test_a_classifier_is_trained_with_them(generator, repronet, tmp_path):
    short = ("trainer.max_epochs=1", "trainer.board=none", "logger=none")
    moved = shutil.copytree(generator, tmp_path / "gan")
    outcome = repronet("train", *WORDS, *short, f"augmentation.generator={moved}", "data.balance=gan", "run_dir=run")
    assert outcome.code == 0
    assert " 120 train" in outcome.out
    shutil.rmtree(moved)  # the classifier stands alone
    assert repronet("eval", "run=run").code == 0
    outcome = repronet("train", *WORDS, *short, f"augmentation.generator={generator}", "augmentation.generated=0.2")
    assert outcome.code == 0
    assert " 84 train" in outcome.out  # 40, 10 and 18, and a quarter as many of each


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.balance=gan"], "data.balance=gan: needs a trained GAN; add augmentation.generator=DIR"),
        (["augmentation.generated=0.3"], "augmentation.generated=0.3: needs a GAN; add augmentation.generator=DIR"),
        (["augmentation.generated=1"], "augmentation.generated=1.0: must be a number above 0 and below 1"),
        (["augmentation.generator=none"], "augmentation.generator=none: no run there"),
        (
            ["augmentation.generator={run}", "augmentation.generated=0.3", "data.balance=gan"],
            "data.balance=gan generates what is missing; leave one of the two out",
        ),
        (["augmentation.generator={run}"], "was trained on classes 0, 1, 2, the data have others"),
        (["augmentation.generator={network}"], "the run of a classifier; give one of repronet gan train"),
        (["data.per_class={x: 3}"], "data.per_class=['x']: no class x"),
        (["data.per_class={3: 1.5}"], "data.per_class={3: 1.5}: must be"),
    ],
)
def test_what_does_not_fit_is_one_line(generator, finished_run, repronet, words, message):
    given = [word.replace("{run}", str(generator)).replace("{network}", str(finished_run)) for word in words]
    outcome = repronet("train", *given)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
