"""What computes: chosen, said, and able to hold what a run counts. No Apple GPU is needed, so none is used."""

from __future__ import annotations

import os

import pytest
import torch

from repronet.session import trainer
from repronet.training import metrics
from repronet.training.metrics import LossAndError


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "found"),
    [
        (True, False, "auto", "cuda"),
        (True, True, "auto", "cuda"),
        (False, True, "auto", "mps"),
        (False, True, "gpu", "mps"),
        (False, True, "cpu", "cpu"),
        (False, False, "auto", "cpu"),
    ],
)
def test_apples_gpu_is_taken_where_it_is_the_only_one(monkeypatch, cuda, mps, asked, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert trainer.takes_mps(asked) is (found == "mps")


def test_operators_that_apples_gpu_lacks_run_on_the_processor(repronet, monkeypatch):
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    repronet("--version")
    assert os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"


def test_sums_have_32_bits_where_a_device_has_no_64_bit_floats(monkeypatch):
    counted = LossAndError()
    monkeypatch.setattr(metrics, "WITHOUT_FLOAT64", ("meta",))
    assert counted.to("meta").loss_sum.dtype == torch.float32
    assert counted.count.dtype == torch.int64
    assert counted._defaults["loss_sum"].dtype == torch.float32  # what a reset begins with
    monkeypatch.setattr(metrics, "WITHOUT_FLOAT64", ())
    assert LossAndError().to("meta").loss_sum.dtype == torch.float64
