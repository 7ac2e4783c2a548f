"""GoogLeNet's modules."""

from __future__ import annotations

import pytest
import torch

from repronet import models
from repronet.analysis.complexity import summarize
from repronet.models.googlenet import GoogLeNetOutput, InceptionModule, InceptionWidths


@pytest.mark.parametrize(
    ("widths", "planes", "multiplications"),
    [
        (InceptionWidths(128, None, 192, None, 96, None), 672, 854_196_224),  # the lecture's 854 M
        (
            InceptionWidths(128, 64, 192, 64, 96, 64),
            480,
            271_351_808,
        ),  # its slides print 358 M; their terms sum to this
    ],
)
def test_the_inception_modules_of_the_lecture(widths, planes, multiplications):
    summary = summarize(InceptionModule(256, widths), (256, 28, 28))
    assert summary.macs == multiplications
    assert summary.blocks[-1].output == (planes, 28, 28)


def test_heads_have_names_and_speak_in_training_only():
    with torch.device("meta"):
        network = models.create("googlenet")
    images = torch.zeros(2, 3, 224, 224, device="meta")
    answer = network.train()(images)
    assert isinstance(answer, GoogLeNetOutput)
    assert [tuple(y.shape) for y in answer] == [(2, 1000)] * 3
    assert network.eval()(images).shape == (2, 1000)
    assert network.aux_weight == 0.3


def test_the_paper_has_5x5_filters_where_torchvision_has_3x3():
    with torch.device("meta"):
        faithful, modern = models.create("googlenet"), models.create("googlenet_bn")
    assert faithful.inception3a.branch3[1].conv.kernel_size == (5, 5)
    assert modern.inception3a.branch3[1].conv.kernel_size == (3, 3)
