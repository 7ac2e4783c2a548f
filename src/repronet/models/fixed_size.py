"""Networks that take images of some sizes alone."""

from typing import Any

from torch import nn


class LimitedSize(nn.Module):
    """Names the sizes that the network takes where another one has failed.

    Raises:
        RuntimeError: for images of another size, in one line.
    """

    sizes: tuple[int, int | None]  # the least and the largest height or width, in pixels; None: there is no largest
    sizes_in_training: tuple[int, int | None] | None = None  # where auxiliary heads take fewer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            shape = getattr(next(iter(args), None), "shape", ())
            least, largest = (self.sizes_in_training if self.training else None) or self.sizes
            if len(shape) != 4 or all(least <= side <= (largest or side) for side in shape[2:]):
                raise
            sides = f"{least} to {largest}" if largest else f"at least {least}"
            sides = f"{least}" if least == largest else sides
            name, got = type(self).__name__, f"{shape[2]}×{shape[3]}"
            raise RuntimeError(f"{name} takes images of {sides} pixels a side, got {got}") from error


class FixedSize(LimitedSize):
    """A network whose first linear layer fixes the size of its images."""
