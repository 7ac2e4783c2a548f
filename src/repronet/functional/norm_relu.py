"""Batch normalisation, a residual and a ReLU as one operator: y = max(0, γ·x̂ + β + r).

    ∂L/∂r = ∂L/∂y · [y > 0]        ∂L/∂γ, ∂L/∂β, ∂L/∂x: those of batch normalisation with ∂L/∂r instead of ∂L/∂y

(`repronet.functional.norm` and `rectifier` have the two halves.) As separate operators they read and write the maps
five times forward and nine times backward; fused, three and five times, or four and six with a residual. x and y are
saved for backward, as much as by two operators with an in-place ReLU: y is saved by the next layer anyway.
"""

from collections.abc import Sequence

from torch import Tensor

from repronet.functional import native
from repronet.functional.function import differentiable, is_transformed, overridable
from repronet.functional.norm import batch_norm, move_running, train_gradients
from repronet.functional.norm_operands import check_operands, check_settings
from repronet.functional.precision import require_tensors
from repronet.functional.rectifier import relu, relu_input_gradient


def _train(
    input: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    output, mean, variance = native.norm_forward(input, weight, bias, eps, residual, relu=True)
    move_running(running_mean, running_var, mean, variance, momentum, input)
    return output, mean, variance


def _train_gradients(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_variance: Tensor | None,
    input: Tensor,
    residual_shape: Sequence[int] | None,
    weight: Tensor | None,
    output: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    first = grad_mean is None and grad_variance is None
    if first and grad_output is not None and native.serves(grad_output, input):
        wants = residual_shape is not None and needs[1]
        found = native.norm_gradients(grad_output, input, mean, variance, weight, eps, output, wants)
        return tuple([gradient if needed else None for gradient, needed in zip(found, needs, strict=False)])
    behind = None if grad_output is None else relu_input_gradient(grad_output, output)
    wanted = needs[0], *needs[2:]
    known = input, weight, mean, variance, eps, "own", wanted
    of_input, of_weight, of_bias = train_gradients(behind, grad_mean, grad_variance, *known)
    return of_input, behind if needs[1] else None, of_weight, of_bias


_batch_norm_relu = differentiable(_train, _train_gradients, outputs=("output", "mean", "variance"))


@overridable
def batch_norm_relu(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    algorithm: str = "auto",
) -> Tensor:
    """Normalise each channel, add a residual, apply ReLU: y = max(0, γ·(x − μ)/√(σ² + ε) + β + r).

    Args:
        residual: r, in the input's shape; None for no residual.
        algorithm: "native" for one compiled kernel forward and one backward, in training with float32 or float64 on
            the CPU. In all other cases the three operators run one after another.

    The other arguments and the errors raised are those of `repronet.functional.batch_norm`.
    """
    require_tensors("batch_norm_relu", running_mean, running_var, weight, bias, residual)
    if _is_fused(input, residual, weight, bias, training, algorithm):
        check_settings(input, running_mean, running_var, training, momentum, eps)
        check_operands(input, running_mean, running_var, weight, bias)
        native.require()
        gamma, beta = (None if value is None else value.flatten() for value in (weight, bias))
        return _batch_norm_relu(input, residual, gamma, beta, running_mean, running_var, momentum, eps)[0]
    y = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, algorithm)
    return relu(y if residual is None else y + residual)


def _is_fused(
    input: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None, training: bool, algorithm: str
) -> bool:
    if algorithm != "native" or not training or is_transformed() or not isinstance(input, Tensor) or input.dim() < 2:
        return False
    if residual is not None and residual.shape != input.shape:
        return False
    return native.readable(input, residual, weight, bias)
