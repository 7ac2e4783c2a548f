"""Confident learning through cleanlab."""

from __future__ import annotations

import pytest
import torch

from repronet.analysis import wrong_labels as module
from repronet.errors import UserError


def test_swapped_labels_are_found_the_surest_first():
    pytest.importorskip("cleanlab")
    labels = torch.arange(300) % 3
    likely = torch.full((300, 4), 0.05)
    likely[torch.arange(300), labels] = 0.85
    swapped = labels.clone()
    swapped[[7, 20, 33]] = (labels[[7, 20, 33]] + 2) % 3
    likely[7], likely[7, labels[7]] = torch.full((4,), 0.01), 0.97
    assert module.wrong_labels(likely, swapped) == [7, 20, 33]
    assert module.wrong_labels(likely[:6], labels[:6]) == []
    assert module.wrong_labels(likely[:1], swapped[:1]) == []  # a split with one image


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"run: needs cleanlab .*: pip install cleanlab"):
        module.require_cleanlab("run")
