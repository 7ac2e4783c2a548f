"""Synchronized batch norm over all processes, as a Lightning plugin; torch's own supports GPUs only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.plugins import LayerSync
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from repronet.layers import convert


class SynchronizedBatchNorm(LayerSync):
    """Makes every batch norm compute its statistics over all processes while a Trainer fits.

    Meanwhile torch's layers are replaced by ours, under the same names. Others' classes stay, see :func:`local`.
    """

    def __init__(self) -> None:
        self._converted: list[nn.Module] = []

    def apply(self, model: nn.Module) -> nn.Module:
        for norm in _norms(model):
            before = type(norm)
            convert(norm)
            self._converted += [norm] if type(norm) is not before else []
            if hasattr(norm, "synchronized"):
                norm.synchronized = True  # type: ignore[assignment]
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        for norm in _norms(model):
            vars(norm).pop("synchronized", None)
        for norm in self._converted:
            convert(norm, "torch")
        self._converted.clear()
        return model


def local(model: nn.Module) -> list[str]:
    """The batch norm classes that cannot be synchronized: subclasses of torch's from other libraries."""
    kinds = {type(norm) for norm in _norms(model)}
    torchs = (nn.BatchNorm1d, nn.BatchNorm2d)
    return sorted(kind.__name__ for kind in kinds if not hasattr(kind, "synchronized") and kind not in torchs)


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def apart(model: nn.Module) -> Iterator[None]:
    """Context in which this process runs the network without synchronizing with the others."""
    held = [norm for norm in _norms(model) if vars(norm).pop("synchronized", False)]
    try:
        yield
    finally:
        for norm in held:
            norm.synchronized = True  # type: ignore[assignment]
