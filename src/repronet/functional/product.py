"""One matrix product, A·Bᵀ, by the fastest kernel available.

torch has two libraries for it on the CPU: BLAS, which `@` calls, and oneDNN, whose inner product is up to twice as fast
on processors that BLAS is not tuned for. It is called through an operator that only some builds of torch have.
"""

import torch
from torch import Tensor


def _has_inner_product() -> bool:
    """Whether this build of torch has oneDNN and its inner-product operator."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_INNER_PRODUCT = _has_inner_product()


def product(left: Tensor, right: Tensor) -> Tensor:
    """left · rightᵀ, not differentiable: (M, K) and (N, K) → (M, N)."""
    if _INNER_PRODUCT and left.dtype == torch.float32 and left.is_cpu and left.numel() > 0 and right.numel() > 0:
        return torch.ops.mkldnn._linear_pointwise(left.contiguous(), right.contiguous(), None, "none", [], "")
    return left @ right.t()
