"""Base class of the layers that can be computed by several algorithms."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

from repronet.algorithms import ALGORITHMS
from repronet.layers.layer import Layer


def require_algorithm(name: str) -> None:
    """Refuse an unknown algorithm name.

    Raises:
        ValueError: for such a name; the message lists the known ones.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}")


class HasAlgorithm(Layer):
    """Base class to put before torch's layer: adds the argument and attribute `algorithm`, which can be set any time.

    Raises:
        ValueError: for an unknown name.
    """

    algorithm: str = "auto"
    __signature__: Signature

    def __init_subclass__(cls, **kwargs: Any):
        """Set the signature that editors and torch.nn.utils.skip_init read: torch's arguments and `algorithm`."""
        super().__init_subclass__(**kwargs)
        order = [base for base in cls.__mro__ if "__init__" in vars(base)]
        if order[0] is HasAlgorithm:
            own = Parameter("algorithm", Parameter.KEYWORD_ONLY, default="auto", annotation=str)
            found = signature(order[1].__init__).parameters.values()
            cls.__signature__ = Signature([*list(found)[1:], own])
        else:
            cls.__signature__ = Signature(list(signature(order[0].__init__).parameters.values())[1:])

    def __init__(self, *args: Any, algorithm: str = "auto", **kwargs: Any):
        require_algorithm(algorithm)
        super().__init__(*args, **kwargs)
        self.algorithm = algorithm

    def extra_repr(self) -> str:
        """Torch's text, followed by the algorithm unless it is "auto"."""
        chosen = "" if self.algorithm == "auto" else f"algorithm={self.algorithm}"
        return ", ".join(part for part in (super().extra_repr(), chosen) if part)
