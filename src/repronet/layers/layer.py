"""Base class of all our layers, which makes them work with torch's tools for whole networks."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, Self

from torch import fx, nn
from torch.overrides import has_torch_function

from repronet.layers import exact_types


class Layer(nn.Module):
    """Base class to put before torch's layer.

    torch.fx records the layer as one node, as it records torch's own, so that the graph still distinguishes training
    from evaluation. torch.jit.script, which compiles the source text of the functions it calls, is refused.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):
            cls.forward = _as_one_node(cls.forward)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls.__module__.startswith("repronet.layers."):
            exact_types.enter(cls)
        return super().__new__(cls)

    def __prepare_scriptable__(self) -> NoReturn:  # called by torch.jit.script
        name = type(self).__name__
        raise NotImplementedError(f"torch.jit.script cannot compile {name}; use torch.jit.trace or torch.export")


def _as_one_node(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if has_torch_function(args) or kwargs:
            given = (*args, *kwargs.values())
            tracer: Any = next((value.tracer for value in given if isinstance(value, fx.Proxy)), None)
            if tracer is not None and tracer.root is not self:
                return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)
        return forward(self, *args, **kwargs)

    return call
