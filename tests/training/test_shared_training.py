"""Several processes train as one does: the same images, weights and figures, whatever their number."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy

from repronet import models
from repronet.data.augmentation import PadCropFlip
from repronet.data.module import ImageDataModule
from repronet.data.splits import ImageDataset, Split
from repronet.models.dropout import set_dropout
from repronet.runs.processes import Place
from repronet.session.processes import Environment
from repronet.training.callbacks.steps import CountedSeeds
from repronet.training.module import ImageClassifier
from repronet.training.synchronized import SynchronizedBatchNorm
from together import together

pytestmark = pytest.mark.slow
STEPS, BATCH = 30, 7
SPLITS = {
    "train": 64,
    "val": 23,
    "test": 31,
}  # 64 = 9 · 7 + 1: one process has each epoch's last batch, the others none


def dataset() -> ImageDataset:
    """Images of three classes that differ in brightness."""
    drawn = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        labels = torch.arange(count) % 3
        images = torch.randint(0, 120, (count, 3, 32, 32), generator=drawn) + 60 * labels[:, None, None, None]
        return Split(images.to(torch.uint8), labels)

    train, val, test = map(split, SPLITS.values())
    return ImageDataset("bright", train, val, test, ("dark", "middle", "light"))


class Seen(pl.Callback):
    """The images of every training batch, by the sum of their pixels."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.batches.append(batch[0].double().sum(dim=(1, 2, 3)).tolist())


def trained(network: str, precision: str, settings: dict[str, Any], synchronized: bool) -> dict[str, Any]:
    """Train, validate and test in this process, alone or with the others that are connected."""
    alone = not dist.is_initialized()
    place = Place() if alone else Place(dist.get_rank(), dist.get_world_size(), dist.get_rank(), dist.get_world_size())
    together = [] if alone else [Environment(place), *([SynchronizedBatchNorm()] if synchronized else [])]
    seen = Seen()
    torch.manual_seed(0)
    made = models.create(network, num_classes=3, in_channels=3)
    if network == "lenet5":
        set_dropout(made, 0.3)
    task = ImageClassifier(made, 3, optimizer={"name": "sgd", "lr": 0.01, "momentum": 0.9}, **settings)
    data = ImageDataModule(
        dataset(), augmentation=PadCropFlip(), image_size=32, batch_size=BATCH, eval_batch_size=10, batches_per_chunk=3
    )
    trainer = pl.Trainer(
        max_steps=STEPS,
        accelerator="cpu",
        devices=place.size,
        strategy="auto" if alone else DDPStrategy(broadcast_buffers=False),
        plugins=together,
        precision=precision,  # type: ignore[arg-type]
        use_distributed_sampler=False,
        callbacks=[seen, CountedSeeds(0)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, datamodule=data)
    figures = {key: float(value) for key, value in trainer.callback_metrics.items()}
    trainer.test(task, datamodule=data, verbose=False)
    figures |= {key: float(value) for key, value in trainer.callback_metrics.items()}
    logits, labels = task.test_outputs.compute()
    return {
        "seen": seen.batches,
        "weights": task.network.state_dict(),
        "figures": figures,
        "confusion": task.evaluation.confusion.compute(),
        "logits": logits,
        "labels": labels,
        "counted": task.evaluation.figures.sums()["count"],
    }


CASES = {
    "lenet5": ("lenet5", {}, False),
    "resnet20": ("resnet20", {}, True),
    "weighted": ("lenet5", {"class_weights": [3.0, 1.0, 0.5], "label_smoothing": 0.1}, False),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What each process of one, two and three has at the end, by case, precision and their number."""
    made: dict[tuple[str, str, int], list[dict[str, Any]]] = {}

    def found(case: str, precision: str, processes: int) -> list[dict[str, Any]]:
        key = (case, precision, processes)
        if key not in made:
            folder = tmp_path_factory.mktemp("together")
            network, settings, synchronized = CASES[case]
            made[key] = together(processes, folder, trained, network, precision, settings, synchronized)
        return made[key]

    return found


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(
    ("case", "precision", "tolerance"),
    [
        ("lenet5", "32-true", 1e-6),
        ("lenet5", "64-true", 1e-12),
        ("resnet20", "64-true", 1e-12),
        ("weighted", "64-true", 1e-12),
    ],
)
def test_any_number_of_processes_comes_to_the_same(runs, case, precision, tolerance, processes):
    (whole,), parts = runs(case, precision, 1), runs(case, precision, processes)
    for number, batch in enumerate(whole["seen"]):
        shares = [part["seen"][number] for part in parts]
        assert [image for share in shares for image in share] == batch
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for part in parts:
        for name, values in whole["weights"].items():
            torch.testing.assert_close(part["weights"][name], values, rtol=0, atol=tolerance, msg=name)
            assert torch.equal(part["weights"][name], parts[0]["weights"][name])
        assert torch.equal(part["confusion"], whole["confusion"])
        assert torch.equal(part["labels"], whole["labels"])
        torch.testing.assert_close(part["logits"], whole["logits"], rtol=0, atol=10 * max(tolerance, 1e-7))
        assert part["figures"].keys() == whole["figures"].keys()
        for name, value in whole["figures"].items():
            exact = "loss" not in name
            assert part["figures"][name] == (value if exact else pytest.approx(value, rel=1e-6)), name
        assert part["counted"] == SPLITS["test"]


def test_local_batch_norm_differs_and_keeps_the_mean_of_the_statistics(tmp_path):
    """What synchronising is for; without it the weights of ResNet-20 are others, though alike in all processes."""
    parts = together(2, tmp_path, trained, "resnet20", "64-true", {}, False)
    (whole,) = together(1, tmp_path / "one", trained, "resnet20", "64-true", {}, False)
    first = next(iter(whole["weights"]))
    assert torch.equal(parts[0]["weights"][first], parts[1]["weights"][first])
    assert not torch.allclose(parts[0]["weights"][first], whole["weights"][first], atol=1e-6)
