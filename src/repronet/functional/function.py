"""Operators: a forward function and its gradients, declared together and differentiable by autograd.

    _linear = differentiable(
        linear_forward, input=linear_input_gradient, weight=linear_weight_gradient, bias=linear_bias_gradient
    )

`_linear` is called like `linear_forward`, and `backward()` then calls the three gradient functions. The parameters of a
gradient function name what it needs: `linear_input_gradient(grad_output, weight)` receives the gradient of the output
and the forward's weight. Only values that some gradient function names are kept from forward to backward.

The declaration becomes an autograd.Function. Its methods are generated as source text and compiled, as the standard
library does for dataclasses, so that they are as fast as handwritten ones. `print(_linear.source)` shows them:

    def forward(input, weight, bias,):
        return compute(input, weight, bias,)

    def setup_context(ctx, inputs, output):
        (input, weight, bias,) = inputs
        ctx.save_for_backward(weight, input)
        ctx.settings = (None if bias is None else bias.shape,)

    def backward(ctx, grad_of_output):
        (weight, input,) = ctx.saved_tensors
        (bias_shape,) = ctx.settings
        needs = ctx.needs_input_grad
        return (
            gradient_of_input(grad_of_output, weight) if needs[0] else None,
            gradient_of_weight(grad_of_output, input) if needs[1] else None,
            gradient_of_bias(grad_of_output, bias_shape) if needs[2] else None,
        )
"""

import inspect
import linecache
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from types import NoneType, SimpleNamespace
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_args

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _get_tracing_state
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def is_transformed() -> bool:
    """Whether this computation is traced (torch.compile, torch.jit), transformed (torch.func) or in forward mode."""
    return (
        is_compiling()
        or forward_ad._current_level >= 0
        or _are_functorch_transforms_active()
        or _get_tracing_state() is not None
    )


def is_traced() -> bool:
    """Whether torch.jit.trace records this computation, to run it on batches of other sizes too."""
    return _get_tracing_state() is not None


def is_plain() -> bool:
    """Whether this is a plain computation: nothing is differentiated, transformed or traced."""
    return not (torch.is_grad_enabled() or is_transformed())


def is_differentiated(tensor: Tensor) -> bool:
    """Whether autograd tracks this tensor, in reverse or forward mode."""
    if forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None:
        return True
    return tensor.requires_grad and torch.is_grad_enabled()


def overridable(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let arguments with a `__torch_function__` override a public function, as in torch.nn.functional.

    torch.fx then records the function as one node, and a subclass of Tensor stays that subclass.
    """

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if has_torch_function(args) or (kwargs and has_torch_function(tuple(kwargs.values()))):
            given = [value for value in (*args, *kwargs.values()) if hasattr(value, "__torch_function__")]
            return handle_torch_function(call, given, *args, **kwargs)
        return function(*args, **kwargs)

    return call


class Operator(Generic[Arguments, Result]):
    """A forward function that autograd can differentiate, made by `differentiable`. Arguments are positional only.

    All calls of all operators pass through `__call__`. Most run `_joint`, an autograd.Function whose `forward` also
    saves what the gradients need. torch.func and torch.compile need forward and saving as separate methods, as in
    `_apart`. For such a Function, torch looks up the signature of `forward` in every call, which takes as long as the
    arithmetic of a small layer (40 µs). In forward-mode differentiation, `_both_ways` also saves for the tangents what
    the gradients need. torch.compile does not support such a Function.

    Args:
        source: the text of the functions `forward`, `setup_context` and `backward`.
        gradients: the functions that `source` calls, by name, other than `compute`, which is the forward function.
        vmap: see `differentiable`.
    """

    def __init__(
        self,
        forward: Callable[Arguments, Result],
        source: str,
        gradients: Mapping[str, Callable[..., Any]],
        vmap: Callable[..., Any] | None,
    ) -> None:
        # torch.compile traces these functions: they need the forward's own parameters, and must not capture `self`.
        self.forward = compute = cast(Callable[..., Any], forward)
        self.source = source
        self._name = forward.__name__.strip("_")
        apart, setup_context, self._backward = _compiled(source, self._name, {"compute": compute, **gradients})

        def joint(ctx: Any, *args: Any) -> Any:
            output = compute(*args)
            setup_context(ctx, args, output)
            return output

        def overwriting(ctx: Any, *args: Any) -> Any:
            output = compute(*args, out=args[0])
            ctx.mark_dirty(args[0])
            setup_context(ctx, args, output)
            return output

        def setup_both_ways(ctx: Any, inputs: Any, output: Any) -> None:
            setup_context(ctx, inputs, output)
            forward = SimpleNamespace(save_for_backward=ctx.save_for_forward, set_materialize_grads=bool)
            setup_context(forward, inputs, output)
            outputs = output if isinstance(output, tuple) else (output,)
            ctx.outlines = [(one.shape, one.dtype, one.device) for one in outputs]

        rule = {"generate_vmap_rule": True} if vmap is None else {"vmap": staticmethod(partial(vmap, self))}
        self._apart = self._function(apart, setup_context=staticmethod(setup_context), **rule)
        both_ways = {"setup_context": staticmethod(setup_both_ways), "jvp": staticmethod(self._jvp)}
        self._both_ways = self._function(apart, **both_ways, **rule)
        self._joint, self._overwriting = self._function(joint), self._function(overwriting)

    def _function(self, forward: Callable[..., Any], **members: Any) -> Any:
        members |= {"forward": staticmethod(forward), "backward": staticmethod(self._backward)}
        return type(self._name, (torch.autograd.Function,), members)

    def _jvp(self, ctx: Any, *tangents: Tensor | None) -> Any:
        """The derivative of the outputs along `tangents`: J·t, where backward gives Jᵀ·g for output gradients g.

        Since Jᵀ·g is linear in g, its own gradient with respect to g, as in second derivatives, is J·t.
        """
        wanted = [isinstance(tangent, Tensor) and not tangent._is_zerotensor() for tangent in tangents]

        def gradients(*grads: Tensor) -> dict[int, Tensor]:
            found = self._backward(known, *grads)
            return {i: gradient for i, gradient in enumerate(found) if gradient is not None and wanted[i]}

        with forward_ad._set_fwd_grad_enabled(True):  # torch disables it here, and with it the outer of two transforms
            # Drop the tangents of saved tensors: operators on them would call this function again without end.
            kept = [None if tensor is None else forward_ad.unpack_dual(tensor).primal for tensor in ctx.saved_tensors]
            settings = getattr(ctx, "settings", ())
            known = SimpleNamespace(saved_tensors=kept, settings=settings, needs_input_grad=wanted)
            zeros = [torch.zeros(shape, dtype=dtype, device=device) for shape, dtype, device in ctx.outlines]
            found, transposed = torch.func.vjp(gradients, *zeros)[:2]
            along = transposed({i: tangents[i] for i in found})
        return along if len(along) > 1 else along[0]

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if kwargs:
            raise TypeError(f"{self._name} takes no keywords, got {', '.join(kwargs)}")
        return self._transformed(*args) if is_transformed() else self._joint.apply(*args)

    def _transformed(self, *args: Any) -> Any:
        if is_compiling():
            if _are_functorch_transforms_active():
                torch._dynamo.graph_break()  # torch.compile cannot transform a Function: run this uncompiled
            return self._apart.apply(*args)
        if forward_ad._current_level >= 0:
            return self._both_ways.apply(*args)
        if _are_functorch_transforms_active():
            return self._apart.apply(*args)
        return self.forward(*args)  # torch.jit.trace does not see into a Function

    def overwrite(self, *args: Any) -> Result:
        """Write the output into the first argument, by the forward's parameter `out`. Not for use if `is_transformed`.

        No gradient function may name that argument, since its values are lost.
        """
        return self._overwriting.apply(*args)


def differentiable(
    forward: Callable[Arguments, Result],
    backward: Callable[..., Sequence[Tensor | None]] | None = None,
    *,
    outputs: Sequence[str] = ("output",),
    vmap: Callable[..., Any] | None = None,
    **gradients: Callable[..., Tensor | None],
) -> Operator[Arguments, Result]:
    """Make an operator from a forward function and its gradients.

    Args:
        forward: computes the output from tensors and settings, which its annotations tell apart. A parameter `out` is
            not an argument of the operator.
        gradients: for each of the forward's arguments, by name, the function that computes its gradient, called if that
            is needed. Its first parameters receive the gradient of each output; with several outputs, None for one that
            nothing depends on. The other parameters name arguments or outputs of the forward. `x_shape` and `x_dtype`
            give a property of x without keeping x in memory. Second derivatives exist if the function consists of
            differentiable operations.
        backward: instead of `gradients`, one function that returns the gradients of all arguments. Its parameter
            `needs` tells which of them are needed.
        outputs: names of the forward's outputs.
        vmap: the rule of torch.func.vmap, called as `vmap(operator, info, in_dims, *args)`; None to generate one.

    Raises:
        TypeError: for a gradient of an unknown argument, or one with a parameter that the forward does not know.
    """
    parameters = inspect.signature(forward, eval_str=True).parameters
    arguments = {name: parameter.annotation for name, parameter in parameters.items() if name != "out"}
    if not gradients.keys() <= arguments.keys():
        raise TypeError(f"{forward.__name__} takes {', '.join(arguments)}, got gradients of {', '.join(gradients)}")
    functions = {"gradients": backward} if backward else {f"gradient_of_{name}": f for name, f in gradients.items()}
    asked = {name: list(inspect.signature(f).parameters)[len(outputs) :] for name, f in functions.items()}
    return Operator(forward, _written(arguments, outputs, asked), functions, vmap)


def _written(arguments: Mapping[str, Any], outputs: Sequence[str], asked: Mapping[str, list[str]]) -> str:
    """The text of `forward`, `setup_context` and `backward`.

    Args:
        arguments: annotations of the forward's arguments, by name.
        outputs: names of its outputs.
        asked: the parameters of each gradient function, after the gradients of the outputs.
    """
    tensors, settings, either = _kept({**arguments, **dict.fromkeys(outputs, Tensor)}, asked)
    grads = [f"grad_of_{name}" for name in outputs]
    calls = {name: f"{name}({', '.join([*grads, *names])})" for name, names in asked.items()}
    several = len(outputs) > 1
    lines = [
        f"def forward{_tuple(arguments)}:",
        f"    return compute{_tuple(arguments)}",
        "def setup_context(ctx, inputs, output):",
        f"    {_tuple(arguments)} = inputs",
        f"    {_tuple(outputs)} = output" if several else "",
        "    ctx.set_materialize_grads(False)" if several else "",
        f"    ctx.save_for_backward({', '.join(tensors.values())})",
        f"    ctx.settings = {_tuple(settings.values())}" if settings else "",
        f"def backward(ctx, {', '.join(grads)}):",
        f"    {_tuple(tensors)} = ctx.saved_tensors" if tensors else "",
        f"    {_tuple(settings)} = ctx.settings" if settings else "",
        *(f"    {name} = {name}_setting if {name} is None else {name}" for name in either),
    ]
    if "gradients" in calls:
        lines += ["    needs = ctx.needs_input_grad", f"    found = {calls['gradients']}"]
        lines += [f"    return *found, *[None] * ({len(arguments)} - len(found))"]
    else:
        needs = "{} if needs[{}] else None" if len(calls) > 1 else "{}"
        found = (calls.get(f"gradient_of_{name}", "None") for name in arguments)
        lines += ["    needs = ctx.needs_input_grad" if len(calls) > 1 else "", "    return ("]
        lines += [f"        {'None' if call == 'None' else needs.format(call, i)}," for i, call in enumerate(found)]
        lines += ["    )"]
    return "\n".join(filter(None, lines)) + "\n"


def _kept(known: Mapping[str, Any], asked: Mapping[str, list[str]]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """What backward keeps: tensors and settings (names, each with the text that computes it), and names of either kind.

    The annotation tells the kind. A value that may be of either, like `float | Tensor`, is checked in every call.
    """
    tensors, settings, either = {}, {}, []
    for name in dict.fromkeys(name for names in asked.values() for name in names if name != "needs"):
        whole, _, kind = name.rpartition("_")
        if name not in known and (whole not in known or kind not in ("shape", "dtype")):
            raise TypeError(f"a gradient asks for {name}, but the forward knows only {', '.join(known)}")
        types = set(get_args(known.get(name)) or [known.get(name)]) - {NoneType}
        if name not in known:
            settings[name] = f"None if {whole} is None else {whole}.{kind}"
        elif types == {Tensor}:
            tensors[name] = name
        elif types.isdisjoint({Tensor, inspect.Parameter.empty}):
            settings[name] = name
        else:
            tensors[name] = f"{name} if isinstance({name}, Tensor) else None"
            settings[f"{name}_setting"] = f"None if isinstance({name}, Tensor) else {name}"
            either.append(name)
    return tensors, settings, either


def _tuple(texts: Iterable[str]) -> str:
    return f"({', '.join(texts)},)"


def _compiled(source: str, name: str, scope: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Compile the text, which can use the names in `scope`, to `forward`, `setup_context` and `backward`."""
    file, scope = f"<differentiable {name}>", {"Tensor": Tensor, **scope}
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # for tracebacks
    exec(compile(source, file, "exec"), scope)
    return scope["forward"], scope["setup_context"], scope["backward"]


def added(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The sum of two gradients, either of which may be None."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


def by_batch(tensor: Tensor, dim: int | None, many: int) -> Tensor:
    """For a torch.func.vmap rule: move the mapped dimension first, or repeat the tensor `many` times if it has none."""
    return tensor.expand(many, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
