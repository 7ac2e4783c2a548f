"""A compact, bitwise fingerprint of a run's first hundred steps, to check whether another machine reproduces them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from repronet.training.module import network_of

STEPS = 100
LOOKED_INTO = (1, 2, 5, 10, 50, 100)  # steps whose layers are hashed
MOST = 100  # hashes of layers per step: in deeper networks, neighbouring layers share one
DIGITS = 4  # hexadecimal digits of a hash
LOSS_DIGITS = 8  # hexadecimal digits of a float32


@dataclass(frozen=True)
class Parting:
    """The point where two runs first differ in a bit."""

    step: int  #: counted from 1; 0 for the initial weights
    where: str  #: the layer and which of its values, such as "c1's output"; "" if only the loss of that step was kept
    losses: tuple[float, float] | None = None  #: the losses of that step, recorded and new


class Fingerprint(pl.Callback):
    """Records the loss of each of the first :data:`STEPS` batches, and for some steps hashes of every layer's output
    and weights.

    ``content`` consists of strings::

        loss     8 digits per step: the float32
        outputs  by step, DIGITS digits per layer, in the order of the network's definition: SHA-256 of the forward pass
        weights  by step, the same for parameters and buffers after the step; step 0: before the first step

    With gradient accumulation, a step means a batch here.
    """

    def __init__(self) -> None:
        self._content: dict[str, Any] = {"loss": "", "outputs": {}, "weights": {}}
        self._losses: list[Tensor] = []  # not yet read from the device, since a step would wait for that
        self._outputs: dict[str, str] = {}
        self._hooks: list[Any] = []

    @property
    def content(self) -> dict[str, Any]:
        """The recorded values, with all losses so far."""
        self._content["loss"] += "".join(struct.pack(">f", float(loss)).hex() for loss in self._losses)
        self._losses = []
        return self._content

    @property
    def steps(self) -> int:
        """The number of recorded steps."""
        return len(self._content["loss"]) // LOSS_DIGITS + len(self._losses)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.steps == trainer.global_step == 0:
            self._content["weights"]["0"] = _joined(_weights(network_of(pl_module)))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int):
        if self.steps + 1 not in LOOKED_INTO:
            return
        self._outputs = {}
        for name, layer in layers_of(network_of(pl_module)).items():
            self._hooks.append(layer.register_forward_hook(self._seen(name)))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.steps >= STEPS or (self.steps == 0 and trainer.global_step > 1):  # resumed without a fingerprint
            return
        self._losses.append(outputs["loss"].detach().clone())  # type: ignore[index]
        if self.steps in LOOKED_INTO:
            network = network_of(pl_module)
            self._content["weights"][str(self.steps)] = _joined(_weights(network))
            self._content["outputs"][str(self.steps)] = _joined(
                self._outputs.get(name, "") for name in layers_of(network)
            )

    def _seen(self, name: str):
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                self._outputs[name] = _hash([output])

        return hook

    def state_dict(self) -> dict[str, Any]:
        return {"content": self.content}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._content, self._losses = state_dict["content"], []


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """The modules with parameters or buffers of their own, by path."""
    return {
        name: module
        for name, module in network.named_modules()
        if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))
    }


def parting(recorded: dict[str, Any], now: dict[str, Any], names: Sequence[str]) -> Parting | None:
    """The first difference between the contents of two fingerprints, or None if all that both recorded is equal.

    Args:
        names: the keys of :func:`layers_of`.
    """
    if recorded["weights"].get("0") != now["weights"].get("0"):
        return Parting(0, _first(recorded["weights"]["0"], now["weights"]["0"], names) + "'s weights")
    for step in range(1, min(len(one["loss"]) // LOSS_DIGITS for one in (recorded, now)) + 1):
        losses = tuple(_loss(one, step) for one in (recorded, now))
        if str(step) in recorded["outputs"] and str(step) in now["outputs"]:
            for part, last_first in (("outputs", False), ("weights", True)):  # gradients start at the end
                there, here = recorded[part][str(step)], now[part][str(step)]
                if there != here:
                    word = {"outputs": "output", "weights": "update"}[part]
                    return Parting(step, f"{_first(there, here, names, last_first)}'s {word}", losses)  # type: ignore[arg-type]
        at = slice((step - 1) * LOSS_DIGITS, step * LOSS_DIGITS)
        if recorded["loss"][at] != now["loss"][at]:
            where = "the loss itself" if str(step) in recorded["outputs"] else ""
            return Parting(step, where, losses)  # type: ignore[arg-type]
    return None


def _loss(content: dict[str, Any], step: int) -> float:
    return struct.unpack(">f", bytes.fromhex(content["loss"][(step - 1) * LOSS_DIGITS : step * LOSS_DIGITS]))[0]


def _first(there: str, here: str, names: Sequence[str], last_first: bool = False) -> str:
    """The layer of the first hashes that differ, or the neighbouring layers that share this hash."""
    shared = _shared(len(names))
    differing = [at for at in range(0, len(there), DIGITS) if there[at : at + DIGITS] != here[at : at + DIGITS]]
    place = (differing[-1] if last_first else differing[0]) // DIGITS * shared
    group = names[place : place + shared]
    return group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}"


def _shared(layers: int) -> int:
    """The number of neighbouring layers that share one hash."""
    return -(-layers // MOST)


def _joined(hashes: Iterator[str]) -> str:
    """All layers' hashes as one string, shortened to DIGITS per group of layers."""
    all_of = list(hashes)
    shared = _shared(len(all_of)) if all_of else 1
    groups = ("".join(all_of[at : at + shared]) for at in range(0, len(all_of), shared))
    return "".join(hashlib.sha256(group.encode()).hexdigest()[:DIGITS] for group in groups)


def _weights(network: nn.Module) -> Iterator[str]:
    for layer in layers_of(network).values():
        yield _hash([*layer.parameters(recurse=False), *layer.buffers(recurse=False)])


def _hash(tensors: Sequence[Tensor]) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous().flatten()
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
