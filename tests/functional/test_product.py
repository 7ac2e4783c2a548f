import pytest
import torch

from differential import random
from repronet.functional import product as module
from repronet.functional.product import product


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("inner", [True, False])
def test_same_as_matmul(dtype, inner, monkeypatch):
    monkeypatch.setattr(module, "_INNER_PRODUCT", inner and module._INNER_PRODUCT)
    left, right = random(5, 7, dtype=dtype), random(3, 7, dtype=dtype)
    torch.testing.assert_close(product(left, right), left @ right.t())
    torch.testing.assert_close(product(left[:, ::2], right[:, ::2]), left[:, ::2] @ right[:, ::2].t())
    torch.testing.assert_close(product(random(7, 5, dtype=dtype).t(), right), random(7, 5, dtype=dtype).t() @ right.t())


@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_nothing_to_multiply(m, n, k):
    assert torch.equal(product(torch.ones(m, k), torch.ones(n, k)), torch.zeros(m, n))
