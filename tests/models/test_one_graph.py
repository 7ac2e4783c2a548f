"""torch.compile captures the forward of a network as one graph; one of each file, as on the meta device."""

import inspect

import pytest
import torch

from repronet import models

# One of each file; deeper ones repeat its blocks.
NETWORKS = (
    *("lenet5", "lenet5_1998", "lecture_net", "locally_connected", "mlp", "alexnet", "four_layer_11pct", "zfnet"),
    *("vgg16_bn", "nin", "googlenet_bn", "inception_v3", "resnet18", "resnet20", "preact_resnet110"),
    *("resnext29_8x64d", "densenet40_12", "se_resnet20"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_no_network_breaks_the_graph(name):
    torch._dynamo.reset()
    where = "cpu" if name == "lenet5_1998" else "meta"  # its connection table is made of numbers
    with torch.device(where):
        network = models.create(name).train()
        channels = inspect.signature(models.builder(name)).parameters["in_channels"].default
        images = torch.randn(2, channels, network.input_size, network.input_size)
    found = torch._dynamo.explain(network)(images)
    assert found.graph_break_count == 0, [reason.reason for reason in found.break_reasons]
    assert found.graph_count == 1
