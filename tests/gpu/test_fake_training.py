"""Between two logging points a training on a GPU never waits: Lightning's loop, our callbacks and loaders, no GPU.

The loop is the real one. The tensors are fake, so losses and flags are zero and nothing is learnt.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators.cpu import CPUAccelerator
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.strategies import SingleDeviceStrategy

from fake_device import CUDA, Watch, fake_cuda
from repronet import ImageClassifier, models
from repronet.data.augmentation import Augmentation, NoAugmentation, PadCropFlip, PlanarAffine
from repronet.data.module import ImageDataModule
from repronet.data.preprocessing import PixelMap, PixelStatistics
from repronet.data.splits import ImageDataset, Split
from repronet.training.averaging import AverageWeights
from repronet.training.callbacks.nonfinite import StopAtNonFinite
from repronet.training.callbacks.statistics import FrozenStatistics
from repronet.training.callbacks.steps import CapFilters, CountedSeeds

STEPS, EVERY, BATCH = 12, 5, 8
CLASSES = tuple("abcdefghij")


class OnFakeCuda(SingleDeviceStrategy):
    """One device, on which the network is made; nothing moves."""

    def __init__(self) -> None:
        super().__init__(device=CUDA, accelerator=NoDriver())

    def model_to_device(self) -> None:
        pass

    def teardown(self) -> None:
        pass


class NoDriver(CPUAccelerator):
    """An accelerator that nothing is asked of."""

    def setup_device(self, device: torch.device) -> None:
        pass


class ByStep(pl.Callback):
    """The waits of every step, and of what was done to have its batch."""

    def __init__(self, watch: Watch):
        self.watch = watch
        self.steps: list[list[str]] = []
        self.loading: list[list[str]] = []

    def _take(self) -> list[str]:
        taken = list(self.watch.waits)
        self.watch.waits.clear()
        return taken

    def on_train_epoch_start(self, *_: Any) -> None:
        self._take()

    def on_train_batch_start(self, *_: Any) -> None:
        self.loading.append(self._take())

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps.append(self._take())


def split(images: int) -> Split:
    return Split(torch.zeros(images, 1, 32, 32, dtype=torch.uint8), torch.zeros(images, dtype=torch.int64))


def train(
    callbacks: tuple = (),
    augmentation: Augmentation | None = None,
    classifier: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
) -> ByStep:
    """An epoch of 12 steps of LeNet-5, logged every 5."""
    with fake_cuda() as watch:
        dataset = ImageDataset("made up", split(STEPS * BATCH), split(BATCH), None, CLASSES)
        gray = PixelStatistics((0.5,), (0.25,))
        pixel_map = PixelMap.standardize(gray)
        data = ImageDataModule(
            dataset,
            gray,
            pixel_map,
            augmentation or NoAugmentation(),
            image_size=32,
            batch_size=BATCH,
            batches_per_chunk=4,
        )
        with torch.device(CUDA):
            task = ImageClassifier(models.create("lenet5"), **{"schedule": "cosine", **(classifier or {})})
        by_step = ByStep(watch)
        quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        pl.Trainer(
            strategy=OnFakeCuda(),
            max_epochs=1,
            limit_val_batches=0,
            log_every_n_steps=EVERY,
            logger=DummyLogger(),
            callbacks=[CountedSeeds(0), StopAtNonFinite(), *callbacks, by_step],
            **quiet,
            **(trainer or {}),
        ).fit(task, datamodule=data)
    return by_step


def between_points(by_step: ByStep) -> list[str]:
    """What the host waited for in steps without a point of the curves."""
    assert len(by_step.steps) == STEPS
    points = {step for step in range(STEPS) if (step + 1) % EVERY == 0 or step == STEPS - 1}
    assert all(by_step.steps[step] for step in points)  # a point is read from the device
    return [wait for step, waits in enumerate(by_step.steps) if step not in points for wait in waits]


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "averaged": {"callbacks": (AverageWeights(0.99),)},
    "watched": {"callbacks": (CapFilters(0.1), FrozenStatistics(1), LearningRateMonitor("step"))},
    "warmed up until an error": {"classifier": {"schedule": {"name": "cosine", "warmup_error": 0.5}}},
    "top-5 errors, smoothed labels": {"classifier": {"num_classes": 10, "label_smoothing": 0.1}},
    "clipped": {"trainer": {"gradient_clip_val": 1.0}},
    "adamw": {"classifier": {"optimizer": "adamw"}},
    "weights of classes": {"classifier": {"class_weights": [1.0] * 10}},
    "channels last, bf16": {"classifier": {"channels_last": True}, "trainer": {"precision": "bf16-mixed"}},
}


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:.*data pointer of FakeTensor.*:UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_no_step_waits_between_points(way):
    assert between_points(train(**WAYS[way])) == []


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:.*data pointer of FakeTensor.*:UserWarning")
def test_in_half_precision_only_torchs_scaler_waits():
    """Once a step: it must know whether to skip it."""
    waits = between_points(train(trainer={"precision": "16-mixed"}))
    assert len(waits) <= STEPS
    assert all(wait.startswith("amp.py") for wait in waits), waits


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:.*data pointer of FakeTensor.*:UserWarning")
@pytest.mark.parametrize("augmentation", [NoAugmentation(), PadCropFlip(), PlanarAffine(2.0)])
def test_batches_are_made_on_the_device(augmentation):
    """What an epoch needs of the host is copied before its first step."""
    first, *others = train(augmentation=augmentation).loading
    assert len(others) == STEPS - 1
    assert others == [[]] * (STEPS - 1)
    assert sum("from the host" in wait for wait in first) <= 2, first  # the order, and the draws
