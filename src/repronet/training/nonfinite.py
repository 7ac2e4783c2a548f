"""When a loss is no longer a number: which layer went bad first."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def explain(network: nn.Module, images: Tensor) -> str:
    """Why the network's answer to ``images`` is not finite, as far as its weights and outputs show it.

    The network is run once more, without gradients and in the mode that it is in; its weights stay as they are.
    """
    if not _finite(images):
        return "the images are not finite"
    weights = first_bad_weight(network)
    if weights is not None:
        return f"{weights} is not finite, after the gradient of the step before"
    output = first_bad_output(network, images)
    return f"the output of {output} is the first that is not finite" if output else "every layer's output is finite"


def first_bad_weight(network: nn.Module) -> str | None:
    """The first parameter that is not finite; None if all are."""
    return next((name for name, weight in network.named_parameters() if not _finite(weight)), None)


def any_infinite(gradients: list[Tensor]) -> Tensor:
    """1 if one of ``gradients`` holds an infinity or no number, else 0: (), on their device, without waiting for it.

    It is what torch's gradient scaler asks with, and takes a quarter of the time of a norm.
    """
    found = torch.zeros((), device=gradients[0].device)
    look = torch._amp_foreach_non_finite_check_and_unscale_  # type: ignore[attr-defined]
    look(gradients, found, torch.ones_like(found))  # which multiplies them by 1
    return found


def first_bad_gradient(network: nn.Module) -> str | None:
    """The parameter whose gradient went bad first: the last one, since gradients are computed from the end."""
    graded = [(name, weight.grad) for name, weight in network.named_parameters() if weight.grad is not None]
    return next((name for name, gradient in reversed(graded) if not _finite(gradient)), None)


def first_bad_output(network: nn.Module, images: Tensor) -> str | None:
    """The first layer without layers in it whose output is not finite, with its class; None if all outputs are."""
    found: list[str] = []

    def watch(name: str, layer: nn.Module):
        def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
            outputs = [output] if isinstance(output, Tensor) else list(output)
            if not found and not all(map(_finite, outputs)):
                found.append(f"{name} ({type(layer).__name__})")

        return layer.register_forward_hook(look)

    leaves = [(name, layer) for name, layer in network.named_modules() if not list(layer.children())]
    handles = [watch(name, layer) for name, layer in leaves]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
