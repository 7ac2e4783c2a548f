"""The dtype that an operator computes in, under autocast and for sums; checks of tensors and dtypes."""

from collections.abc import Sequence

import torch
from torch import Tensor


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Dtype for long sums and for exp: float32 for half precision, which has too few digits, else the dtype itself."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _to_autocast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # Autocast leaves float64 and integers alone.
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor


def is_lowered(input: Tensor) -> bool:
    """Whether `torch.autocast` lowers the precision of products on this tensor's device."""
    device = input.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def autocast(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inside `torch.autocast`, cast the operands of a convolution or matrix product as torch casts its own."""
    if not is_lowered(input):
        return input, weight, bias
    dtype = torch.get_autocast_dtype(input.device.type)
    return (
        _to_autocast(input, dtype),
        _to_autocast(weight, dtype),
        None if bias is None else _to_autocast(bias, dtype),
    )


def autocast_to_float32(tensor: Tensor) -> Tensor:
    """Inside `torch.autocast`, cast half precision to float32, except on the CPU, as torch does for normalisations."""
    if tensor.device.type == "cpu" or not is_lowered(tensor):
        return tensor
    return tensor.to(accumulation_dtype(tensor.dtype))


def require_input(name: str, input: Tensor) -> None:
    """Refuse anything but a tensor.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"{name} needs a tensor, got {type(input).__name__}")


def require_operands(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse anything but tensors, and None for the bias.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        raise TypeError(f"{name} needs tensors, got {type(input).__name__} and {type(weight).__name__}")
    require_tensors(name, bias)


def require_real_floating(name: str, input: Tensor) -> None:
    """Refuse anything but real floating-point tensors; complex ones get a separate message.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for integer, bool and complex tensors.
    """
    require_input(name, input)
    require_real(name, input)
    if not input.is_floating_point():
        raise NotImplementedError(f"{name} needs floating point, got {input.dtype}")


def require_real(name: str, input: Tensor) -> None:
    """Refuse complex tensors: the gradients here are written for real ones.

    Raises:
        NotImplementedError: if `input` is complex.
    """
    if input.is_complex():
        raise NotImplementedError(f"{name} is written for real tensors, got {input.dtype}")


def require_tensors(name: str, *optional: object) -> None:
    """Refuse anything but tensors and None.

    Raises:
        TypeError: for the first value that is neither.
    """
    for value in optional:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name} needs tensors for weights and biases, got {type(value).__name__}")


def require_same_dtype(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse operands of different dtypes, as torch does.

    Raises:
        RuntimeError: if weight or bias differ in dtype from the input.
    """
    dtypes = [t.dtype for t in (input, weight, bias) if t is not None]
    if len(set(dtypes)) > 1:
        shown = ", ".join(str(dtype) for dtype in dtypes)
        raise RuntimeError(f"{name} needs input, weight and bias of one dtype, got {shown}")


def broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether a tensor of `shape` can be broadcast to `target`."""
    same = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(n in (1, m) for n, m in same)
