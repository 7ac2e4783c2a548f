"""The fully connected layer, forward and its three gradients.

    y[n,o]      = Σ_i  x[n,i] · w[o,i] + b[o]
    ∂L/∂x[n,i]  = Σ_o  ∂L/∂y[n,o] · w[o,i]
    ∂L/∂w[o,i]  = Σ_n  ∂L/∂y[n,o] · x[n,i]
    ∂L/∂b[o]    = Σ_n  ∂L/∂y[n,o]

(Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986; the CS231n notes on
back-propagation, where they are written ∂X = ∂Y·W and ∂W = ∂Yᵀ·X.)
"""

import torch
from torch import Tensor

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import autocast, broadcasts, require_operands, require_real, require_same_dtype


def _rows(tensor: Tensor) -> Tensor:
    """All leading dimensions as one: (…, F) → (N, F)."""
    return tensor if tensor.dim() == 2 else tensor.unsqueeze(0).flatten(0, -2)


def linear_forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """y = x·wᵀ + b: (…, I) and (O, I) → (…, O)."""
    if input.dim() == 2 and bias is not None:
        return torch.addmm(bias, input, weight.t())  # adds the bias while the product is still in the cache
    output = input @ weight.t()
    return output if bias is None else output + bias


def linear_input_gradient(grad_output: Tensor, weight: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · w: (…, O) and (O, I) → (…, I)."""
    return grad_output @ weight


def linear_weight_gradient(grad_output: Tensor, input: Tensor) -> Tensor:
    """∂L/∂w = (∂L/∂y)ᵀ · x: (…, O) and (…, I) → (O, I)."""
    return _rows(grad_output).t() @ _rows(input)


def linear_bias_gradient(grad_output: Tensor, bias_shape: torch.Size) -> Tensor:
    """∂L/∂b = Σ ∂L/∂y over every dimension that the bias was broadcast along: (…, O) → `bias_shape`."""
    return grad_output.sum_to_size(bias_shape)


_linear = differentiable(
    linear_forward, input=linear_input_gradient, weight=linear_weight_gradient, bias=linear_bias_gradient
)


@overridable
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, algorithm: str = "auto") -> Tensor:
    """Apply a fully connected layer: y = x·wᵀ + b.

    Args:
        input: (…, I), any number of leading dimensions.
        weight: (O, I), or (I,) for one output, without an output dimension.
        bias: (O,), or any shape that broadcasts to the output; or None.
        algorithm: "own" for the gradients above; "vendor" for torch's automatic gradients of the same forward. Both
            are the same matrix products. torch calls them with less overhead, so "auto" always means "vendor".

    Returns:
        (…, O), or (…) for a weight (I,).

    Raises:
        ValueError: for an unknown algorithm.
        RuntimeError: for incompatible shapes or dtypes.
        TypeError: for anything but tensors.
        NotImplementedError: for complex tensors.
    """
    require_operands("linear", input, weight, bias)
    input, weight, bias = autocast(input, weight, bias)
    if bias is not None and bias.dim() == input.dim() + 1 == 2 and bias.shape[0] == 1:
        bias = bias.squeeze(0)  # for one image, torch accepts a bias (1, O)
    _check_operands(input, weight, bias)
    compute = _linear if own_or_vendor(algorithm) == "own" else linear_forward
    if weight.dim() == 1:
        row = None if bias is None else bias.unsqueeze(-1)
        return compute(input, weight.unsqueeze(0), row).squeeze(-1)
    return compute(input, weight, bias)


def _check_operands(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if input.dim() == 0 or weight.dim() not in (1, 2) or input.shape[-1] != weight.shape[-1]:
        raise RuntimeError(
            f"linear needs input (…, I) and weight (O, I), got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if bias is not None:
        output_shape = (*input.shape[:-1], *weight.shape[:-1])
        if weight.dim() == 1 and input.dim() > 1:
            raise RuntimeError(f"a bias needs a weight (O, I), got a weight of shape {tuple(weight.shape)}")
        if not broadcasts(bias.shape, output_shape):
            raise RuntimeError(f"bias {tuple(bias.shape)} does not broadcast to the output {output_shape}")
    require_real("linear", input)
    require_same_dtype("linear", input, weight, bias)
