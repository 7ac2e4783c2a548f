"""Batch norm over several processes is batch norm of one process over all the images, its gradients too."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from repronet.functional.norm import batch_norm
from repronet.functional.synchronized_norm import pooled_statistics, synchronized_batch_norm
from together import together

SIZES = {2: (4, 3), 3: (3, 0, 1)}  # images of each process


def one_batch(count: int) -> tuple[torch.Tensor, ...]:
    drawn = torch.Generator().manual_seed(0)
    make = lambda *shape: torch.randn(*shape, generator=drawn, dtype=torch.float64)  # noqa: E731
    # A mean that is large beside the deviation, which sums of squares would lose digits to.
    return make(count, 5, 3, 2) + 100, make(5), make(5), make(count, 5, 3, 2)


def normalised(function, input, weight, bias, grad) -> dict[str, torch.Tensor]:
    leaves = [values.clone().requires_grad_(True) for values in (input, weight, bias)]
    mean, var = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    output = function(leaves[0], mean, var, leaves[1], leaves[2])
    output.backward(grad)
    names = ("input", "weight", "bias")
    gradients = {f"of {name}": leaf.grad for name, leaf in zip(names, leaves, strict=True)}
    return {"output": output.detach(), "mean": mean, "var": var, **gradients}


def own_share(sizes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    start, count = sum(sizes[: dist.get_rank()]), sizes[dist.get_rank()]
    input, weight, bias, grad = one_batch(sum(sizes))
    rows = slice(start, start + count)
    return normalised(synchronized_batch_norm, input[rows], weight, bias, grad[rows])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_uneven_shares_are_normalised_as_one_batch(tmp_path, processes):
    sizes = SIZES[processes]
    parts = together(processes, tmp_path / "run", own_share, sizes)
    whole = normalised(
        lambda x, mean, var, weight, bias: batch_norm(x, mean, var, weight, bias, training=True), *one_batch(sum(sizes))
    )
    for name in ("output", "of input"):
        found = torch.cat([part[name] for part in parts])
        torch.testing.assert_close(found, whole[name], rtol=0, atol=1e-12)
    for name in ("of weight", "of bias"):
        found = torch.stack([part[name] for part in parts]).sum(0)
        torch.testing.assert_close(found, whole[name], rtol=0, atol=1e-12)
    for part in parts:
        torch.testing.assert_close(part["mean"], whole["mean"], rtol=1e-14, atol=0)
        torch.testing.assert_close(part["var"], whole["var"], rtol=1e-12, atol=0)
        assert torch.equal(part["mean"], parts[0]["mean"])
        assert torch.equal(part["var"], parts[0]["var"])


def test_pooled_statistics_by_hand():
    # 1, 3 in one process and 5, 5, 6 in another: mean 4, sum of squares 9 + 1 + 1 + 1 + 4
    counts = torch.tensor([[2.0], [3.0]])
    means, sums = torch.tensor([[2.0], [16 / 3]]), torch.tensor([[2.0], [2 / 3]])
    count, mean, variance = pooled_statistics(counts, means, sums)
    assert count == 5
    assert (mean.item(), variance.item()) == pytest.approx((4, 16 / 5))
