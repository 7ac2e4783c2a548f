"""A training that Ctrl-C reaches at a step, within this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def interrupted_at(step: int) -> Iterator[None]:
    """Meanwhile every training is interrupted before it has made its step ``step`` (from 0)."""
    from repronet.training.module import ImageClassifier

    train = ImageClassifier.training_step

    def stopping(self, batch, batch_idx):
        if self.trainer.global_step == step:
            raise KeyboardInterrupt
        return train(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageClassifier, "training_step", stopping)
        yield
