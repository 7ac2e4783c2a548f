"""Networks that take images of some sizes alone."""

from functools import partial
from typing import Any, TypeAlias

from torch import nn

from repronet.errors import UserError

Sizes: TypeAlias = tuple[int, int | None]  # the least and the largest height or width, in pixels; None: no largest


class LimitedSize(nn.Module):
    """Names the sizes that the network takes where another one has failed.

    Raises:
        RuntimeError: for images of another size, in one line.
    """

    sizes: Sizes
    sizes_in_training: Sizes | None = None  # where auxiliary heads take fewer

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
    """A network whose first linear layer fixes the size of its images."""


def require_size(network: nn.Module, size: int) -> None:
    """Refuse images of ``size`` × ``size`` pixels where the network can neither classify them nor be trained on them.

    Raises:
        UserError: with the sizes that it takes.
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
