"""Whether two networks with the same weights compute the same: outputs by name, and the gradient of the images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from repronet.layers import set_algorithm
from repronet.layers.has_algorithm import HasAlgorithm


def without_dropout(network: nn.Module) -> nn.Module:
    """The network with nothing dropped, since two networks would not draw alike."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "drop_rate", None), float):
            module.drop_rate = 0.0
    return network


def outputs_and_gradient(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Logits, auxiliary logits by their field's name, and the derivative of a weighted sum of all by the images."""
    images = images.clone().requires_grad_()
    answer = network(images)
    named = answer._asdict() if isinstance(answer, tuple) else {"logits": answer}
    generator = torch.Generator().manual_seed(1)
    total = sum((y * torch.randn(y.shape, generator=generator)).sum() for y in named.values())
    (gradient,) = torch.autograd.grad(total, images)
    return {**{name: y.detach() for name, y in named.items()}, "gradient": gradient}


def largest_difference(ours: nn.Module, theirs: nn.Module, images: Tensor) -> float:
    """Of all outputs and the input's gradient, relative to the largest number of each."""
    found, expected = outputs_and_gradient(ours, images), outputs_and_gradient(theirs, images)
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max() / expected[name].abs().max()) for name in expected)


def assert_same_network(
    ours: nn.Module,
    theirs: nn.Module,
    size: int,
    *,
    smaller: bool = True,
    same_kernels: bool = True,
    load: Callable[[nn.Module, dict[str, Tensor]], object] = nn.Module.load_state_dict,
) -> None:
    """The same logits, auxiliary logits and input gradients, in training and in evaluation.

    In float32 with the vendor's kernels behind every layer, 1e-5; in float64 with our own, 1e-9. Other kernels round
    otherwise, and in float32 one of a million units near 0 then falls on the other side of a ReLU, which moves the
    gradient of the pixels it sees by percents: with our own kernels float32 can be asked for its logits alone.

    Args:
        size: side of the images.
        smaller: whether 128 pixels will do in float64, which is slow.
        same_kernels: whether "vendor" makes our layers round as torch's do everywhere before a ReLU; the mean and the
            sigmoid of squeeze and excitation do not, so float32 is then asked for its logits alone.
        load: puts their weights into ours.
    """
    without_dropout(ours)
    without_dropout(theirs)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    is_ours = any(isinstance(module, HasAlgorithm) for module in ours.modules())
    if is_ours:
        set_algorithm(ours, "im2col")
    with torch.no_grad():
        found, expected = ours.eval()(images), theirs.eval()(images)
    assert float((found - expected).abs().max() / expected.abs().max()) <= 1e-5
    for training in (True, False):
        if is_ours:
            set_algorithm(ours, "vendor")
        if same_kernels or not is_ours:
            assert largest_difference(ours.train(training), theirs.train(training), images) <= 1e-5
        else:
            for network in (ours, theirs):
                network.train(training)(images)
        moved = {key: tensor.clone() for key, tensor in ours.named_buffers()}
        load(ours, theirs.state_dict())  # running statistics to the last digit, or ReLUs near 0 fall otherwise
        torch.testing.assert_close(moved, dict(ours.named_buffers()), rtol=1e-4, atol=1e-5)  # behind a hundred layers
    if not is_ours:
        return
    theirs.double()
    ours.double()
    set_algorithm(ours, "im2col")
    small = images[..., : min(size, 128), : min(size, 128)].double() if smaller else images.double()
    for training in (True, False):
        assert largest_difference(ours.train(training), theirs.train(training), small) <= 1e-9
    moved = {key: tensor.clone() for key, tensor in ours.named_buffers()}
    load(ours, theirs.state_dict())
    torch.testing.assert_close(moved, dict(ours.named_buffers()), rtol=1e-9, atol=1e-9)
