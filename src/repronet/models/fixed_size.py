"""Networks that accept only certain image sizes."""

from functools import partial
from typing import Any, TypeAlias

from torch import nn

from repronet.errors import UserError

Sizes: TypeAlias = tuple[int, int | None]  # the smallest and largest height or width, in pixels; None: no maximum


class LimitedSize(nn.Module):
    """A network whose error for images of a wrong size names the sizes that it takes.

    Raises:
        RuntimeError: if images of another size fail, in one line.
    """

    sizes: Sizes
    sizes_in_training: Sizes | None = None  # if auxiliary heads accept fewer sizes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            shape = getattr(next(iter(args), None), "shape", ())
            sizes = (self.sizes_in_training if self.training else None) or self.sizes
            if len(shape) != 4 or all(map(partial(_within, sizes), shape[2:])):
                raise
            name, got = type(self).__name__, f"{shape[2]}×{shape[3]}"
            raise RuntimeError(f"{name} takes images of {_shown(sizes)} pixels a side, got {got}") from error


class FixedSize(LimitedSize):
    """A network whose image size is fixed by its first linear layer."""


def require_size(network: nn.Module, size: int) -> None:
    """Refuse images of ``size`` × ``size`` pixels that the network cannot classify or cannot be trained on.

    Raises:
        UserError: for such a size; the message gives the sizes that the network takes.
    """
    for sizes in (getattr(network, "sizes", None), getattr(network, "sizes_in_training", None)):
        if sizes is not None and not _within(sizes, size):
            raise UserError(f"image_size={size}: model={network.architecture} takes {_shown(sizes)} pixels")


def _within(sizes: Sizes, side: int) -> bool:
    least, largest = sizes
    return least <= side <= (largest or side)


def _shown(sizes: Sizes) -> str:
    least, largest = sizes
    if largest is None:
        return f"at least {least}"
    return f"{least}" if least == largest else f"{least} to {largest}"
