"""Networks whose first linear layer fixes the size of their images."""

from typing import Any

from torch import nn


class FixedSize(nn.Module):
    """Names the sizes that the network takes where another one has failed.

    Raises:
        RuntimeError: for images of another size, in one line.
    """

    sizes: tuple[int, int]  # the least and the largest height or width, in pixels

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            shape, (least, largest) = getattr(next(iter(args), None), "shape", ()), self.sizes
            if len(shape) != 4 or all(least <= side <= largest for side in shape[2:]):
                raise
            sides = f"{least}" if least == largest else f"{least} to {largest}"
            name, got = type(self).__name__, f"{shape[2]}×{shape[3]}"
            raise RuntimeError(f"{name} takes images of {sides} pixels a side, got {got}") from error
