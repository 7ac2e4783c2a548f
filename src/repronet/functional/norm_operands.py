"""Checks of batch normalisation's arguments: invalid settings and incompatible tensors are refused."""

from torch import Tensor

from repronet.functional.function import is_differentiated
from repronet.functional.precision import accumulation_dtype, require_real_floating


def check_settings(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> None:
    """Refuse an input, numbers or a choice of running statistics with which no batch can be normalised.

    Raises:
        TypeError, ValueError, RuntimeError: see `repronet.functional.batch_norm`.
    """
    if not isinstance(input, Tensor) or not isinstance(momentum, int | float):
        raise TypeError(f"batch_norm needs a tensor and a momentum, got {type(input).__name__} and {momentum!r}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"eps must be above 0, in evaluation at least 0, got {eps}")
    if input.dim() < 2:
        raise RuntimeError(f"batch_norm needs an input (N, C, …), got shape {tuple(input.shape)}")
    if training and input.numel() == input.shape[1] > 0:
        raise ValueError(f"training needs more than one value per channel, got input {tuple(input.shape)}")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("evaluation needs running_mean and running_var, got None")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var go together, got only one of them")


def check_operands(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
) -> None:
    """Refuse incompatible sizes and dtypes, and running statistics that require grad.

    Raises:
        NotImplementedError: for integer, bool and complex tensors.
        RuntimeError: for the rest.
    """
    require_real_floating("batch_norm", input)
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    present = {name: values for name, values in given.items() if values is not None}
    for name, values in present.items():
        wrong = values.numel() != input.shape[1] or (name.startswith("running") and values.dim() != 1)
        if wrong and input.shape[1] > 0:  # without channels, torch checks none of these
            raise RuntimeError(f"{name} must hold {input.shape[1]} values, one a channel, got {tuple(values.shape)}")
        if name.startswith("running") and (values.requires_grad or is_differentiated(values)):
            raise RuntimeError(f"{name} is a constant, but requires grad")
    # A half-precision input may have float32 parameters; no other mix of dtypes is allowed.
    dtypes = {values.dtype for values in present.values()} or {input.dtype}
    if len(dtypes) > 1 or not dtypes <= {input.dtype, accumulation_dtype(input.dtype)}:
        shown = ", ".join(f"{name} {values.dtype}" for name, values in present.items())
        raise RuntimeError(f"batch_norm needs parameters of the input's dtype {input.dtype}, got {shown}")
