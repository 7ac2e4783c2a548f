"""The autograd.Function that all operators here derive from: torch's, called with less ado."""

from typing import Any, ClassVar

import torch


def is_plain() -> bool:
    """Whether this is a plain computation: nothing is differentiated, transformed by torch.func, or traced."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


class Function(torch.autograd.Function):
    """A torch.autograd.Function with `forward`, `setup_context` and `backward` that takes the short way when it can.

    Where `setup_context` stands apart from `forward`, torch looks up the signature of `forward` at every call, which
    costs as much as the arithmetic of a small layer (40 µs). Only the transforms of torch.func and torch.compile need
    the two apart. For everything else each subclass has a twin that runs both at once.
    """

    _twin: ClassVar[type[torch.autograd.Function]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()

        def forward(ctx: Any, *args: Any) -> Any:
            output = cls.forward(*args)
            cls.setup_context(ctx, args, output)
            return output

        members = {"forward": staticmethod(forward), "backward": staticmethod(cls.backward)}
        cls._twin = type(cls.__name__, (torch.autograd.Function,), members)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return super().apply(*args)
        if torch._C._get_tracing_state() is not None:  # torch.jit.trace, for a picture of the graph, sees no Function
            return cls.forward(*args)
        return cls._twin.apply(*args)
