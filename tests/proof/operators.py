"""The operators that are proved on the sample inputs with which torch tests its own.

torch.testing._internal keeps for each of torch's operators a list of inputs that has grown with its bug reports, and a
list of inputs that must be refused (`op_db`). Both are private, so that all that touches them is in `table`, and tests
skip without them.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

import repronet.functional
from differential import NATIVE

POOLS = ("own", "vendor")
CONVOLUTIONS = ("direct", "im2col", "adjoint", "vendor", *NATIVE)


@dataclass(frozen=True)
class Operator:
    """One of ours, and where torch keeps the samples of its namesake.

    Args:
        name: in repronet.functional.
        samples: in op_db; None for `nn.functional.<name>`.
        images: whether there are samples (N, C, H, W), which can lie in memory with the channels last.
        algorithms: what its parameter `algorithm` is to be; empty if it has none.
        random: whether it draws random numbers, so that only the same seed and dtype gives the same output.
        many: whether there are so many samples that they are tried in one dtype and layout unless all tests run.
    """

    name: str
    samples: str | None = None
    images: bool = False
    algorithms: tuple[str, ...] = ()
    random: bool = False
    many: bool = False


OPERATORS = (
    Operator("conv2d", images=True, algorithms=CONVOLUTIONS),
    Operator("conv_transpose2d", images=True, algorithms=CONVOLUTIONS),
    Operator("linear", algorithms=POOLS),
    Operator("max_pool2d", images=True, algorithms=POOLS, many=True),
    Operator("avg_pool2d", images=True, algorithms=POOLS),
    Operator("adaptive_avg_pool2d", images=True),
    Operator("adaptive_max_pool2d", images=True, algorithms=POOLS),
    Operator("batch_norm", images=True, algorithms=(*POOLS, *NATIVE)),
    Operator("layer_norm"),
    Operator("group_norm", images=True),
    Operator("local_response_norm"),
    Operator("relu", algorithms=POOLS),
    Operator("leaky_relu"),
    Operator("prelu"),
    Operator("elu"),
    Operator("silu"),
    Operator("sigmoid", "sigmoid"),
    Operator("tanh", "tanh"),
    Operator("softmax", "softmax"),
    Operator("log_softmax", "log_softmax"),
    Operator("dropout", random=True),
    Operator("dropout2d", images=True, random=True),
    Operator("cross_entropy"),
    Operator("nll_loss"),
    Operator("multiclass_hinge", "nn.functional.multi_margin_loss"),
    Operator("binary_cross_entropy_with_logits"),
    Operator("mse_loss"),
)

# Operators that are still being written: they are skipped while they are not there. Everything else must be there.
COMING: frozenset[str] = frozenset()

Function = Callable[..., Any]

# torch's C++ refuses in earnest; in its Python code an error may be an accident: no such attribute.
ACCIDENTS = (AttributeError, IndexError, ZeroDivisionError)
DELIBERATE = (TypeError, ValueError, RuntimeError, IndexError)


@dataclass(frozen=True)
class Case:
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def map(self, change: Callable[[Tensor], Any]) -> Case:
        """The same call with every tensor changed."""

        def changed(value: Any) -> Any:
            return change(value) if isinstance(value, Tensor) else value

        return Case(tuple(map(changed, self.args)), {name: changed(value) for name, value in self.kwargs.items()})

    def places(self) -> Iterator[tuple[int | str, Any]]:
        """Every argument with its position or name."""
        yield from enumerate(self.args)
        yield from self.kwargs.items()

    def tensors(self) -> list[tuple[int | str, Tensor]]:
        return [(place, value) for place, value in self.places() if isinstance(value, Tensor)]

    def leaves(self) -> list[tuple[int | str, Tensor]]:
        """The tensors that gradients are wanted for."""
        return [(place, tensor) for place, tensor in self.tensors() if tensor.requires_grad]

    def replace(self, place: int | str, value: Any) -> Case:
        if isinstance(place, str):
            return Case(self.args, {**self.kwargs, place: value})
        return Case((*self.args[:place], value, *self.args[place + 1 :]), self.kwargs)

    def call(self, function: Function) -> Any:
        return function(*self.args, **self.kwargs)

    def __str__(self) -> str:
        shown = [f"{place}={_shown(value)}" for place, value in self.places()]
        return f"({', '.join(shown)})"


def _shown(value: Any) -> str:
    return f"{str(value.dtype)[6:]}{list(value.shape)}" if isinstance(value, Tensor) else repr(value)


@cache
def table() -> dict[str, Any] | ImportError:
    """torch's own table, by name; or why this torch has none in that place."""
    try:
        # Unpatched, the import forbids assignments like torch.backends.cudnn.benchmark = True, which later tests make.
        with mock.patch.object(torch.backends, "disable_global_flags"):
            from torch.testing._internal.common_methods_invocations import op_db
    except ImportError as error:
        return error
    return {entry.name: entry for entry in reversed(op_db) if not entry.variant_test_name}


def entry_of(operator: Operator) -> Any:
    """The row of torch's table; skips the test if there is none."""
    name, found = operator.samples or f"nn.functional.{operator.name}", table()
    if isinstance(found, ImportError):
        pytest.skip(f"torch's private table of sample inputs cannot be imported: {found}")
    if name not in found:
        pytest.skip(f"torch's private table has no samples of {name}")
    return found[name]


def ours(operator: Operator, algorithm: str | None = None) -> Function:
    """Our function, computing by the named algorithm."""
    if operator.name in COMING and not hasattr(repronet.functional, operator.name):
        pytest.skip(f"repronet.functional.{operator.name} is not there yet")
    function = getattr(repronet.functional, operator.name)
    return function if algorithm is None else partial(function, algorithm=algorithm)


def theirs(operator: Operator) -> Function:
    """The namesake from torch.nn.functional, or from torch where that has none."""
    # torch's table has random operators begin with a seed of its own.
    return getattr(torch.nn.functional, operator.name) if operator.random else entry_of(operator).op


def quiet(function: Function) -> Function:
    """Without the warnings that torch gives for unusual arguments, and ours may give as well."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return function(*args, **kwargs)

    return call


def refused_alike(found: object, expected: Exception) -> bool:
    """Whether an `except` written for torch's error catches ours."""
    return isinstance(found, DELIBERATE if isinstance(expected, ACCIDENTS) else type(expected))


def samples(operator: Operator, dtype: torch.dtype) -> list[Case]:
    """torch's samples of that dtype; empty if torch's kernel does not take it."""
    entry = entry_of(operator)
    if not entry.supports_dtype(dtype, "cpu"):
        return []
    return [_case(sample) for sample in entry.sample_inputs("cpu", dtype, requires_grad=True)]


def some_samples(operator: Operator, dtype: torch.dtype, many: int = 3) -> list[Case]:
    """A few samples from all over the list, for what would take too long with all."""
    return copy.deepcopy(_some_samples(operator, dtype, many))


@cache
def _some_samples(operator: Operator, dtype: torch.dtype, many: int) -> list[Case]:
    """Drawn once: max_pool2d has more than a thousand, which take a second and a half."""
    cases = samples(operator, dtype)
    return [cases[i * (len(cases) - 1) // max(many - 1, 1)] for i in range(min(many, len(cases)))]


def without_elements(case: Case) -> Iterator[Case]:
    """The case with an input of size 0 in each of its dimensions, and with an empty batch of everything."""
    place, input = case.tensors()[0]
    for dim in range(input.dim()):
        yield case.replace(place, _narrowed(input, dim))
    if input.dim() > 0:
        yield case.map(lambda tensor: _narrowed(tensor, 0) if tensor.shape[:1] == input.shape[:1] else tensor)


def _narrowed(tensor: Tensor, dim: int) -> Tensor:
    return tensor.detach().narrow(dim, 0, 0).requires_grad_(tensor.requires_grad)


def error_samples(operator: Operator) -> list[Case]:
    """The inputs that torch's own tests require to be refused."""
    entry = entry_of(operator)
    if entry.error_inputs_func is None:
        return []
    return [_case(error.sample_input) for error in entry.error_inputs("cpu")]


def _case(sample: Any) -> Case:
    return Case((sample.input, *sample.args), dict(sample.kwargs))
