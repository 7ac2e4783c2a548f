"""What the layers have in common that can be computed in several ways."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

from repronet.algorithms import ALGORITHMS
from repronet.layers.layer import Layer


def require_algorithm(name: str) -> None:
    """Refuse a name that no operator knows.

    Raises:
        ValueError: for such a name, with those that there are.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}")


class HasAlgorithm(Layer):
    """Stands before torch's layer among the bases: takes `algorithm`, which may also be set at any time.

    Raises:
        ValueError: for an unknown name.
    """

    algorithm: str = "auto"
    __signature__: Signature

    def __init_subclass__(cls, **kwargs: Any):
        """Tells who asks for the signature, as editors and torch.nn.utils.skip_init do, that of torch and ours."""
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
        """As torch's layer, and the algorithm unless it is "auto"."""
        chosen = "" if self.algorithm == "auto" else f"algorithm={self.algorithm}"
        return ", ".join(part for part in (super().extra_repr(), chosen) if part)
