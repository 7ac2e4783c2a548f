"""What a run's first hundred steps came to, bit by bit and in little space: whether another machine does the same."""

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
MOST = 100  # hashes of layers a step: neighbours share one in deeper networks
DIGITS = 4  # of a hash, hexadecimal
LOSS_DIGITS = 8  # a float32, in full


@dataclass(frozen=True)
class Parting:
    """Where two runs are no longer the same bits."""

    step: int  #: counted from 1; 0 for the weights that they began with
    where: str  #: the layer and what of it, "c1's output" for instance; "" where only the loss was kept of that step
    losses: tuple[float, float] | None = None  #: of that step, the recorded one and the new one


class Fingerprint(pl.Callback):
    """Keeps the loss of each of the first :data:`STEPS` batches, and of some steps hashes of every layer's output and
    weights.

    ``content``, of plain texts::

        loss     8 digits a step, its float32
        outputs  by step, DIGITS digits a layer, in the order of the network's definition: SHA-256 of the forward pass
        weights  by step, the same of parameters and buffers after it; of step 0 before the first

    Under gradient accumulation a step here is a batch.
    """

    def __init__(self) -> None:
        self._content: dict[str, Any] = {"loss": "", "outputs": {}, "weights": {}}
        self._losses: list[Tensor] = []  # not read from the device yet, for which a step would wait
        self._outputs: dict[str, str] = {}
        self._hooks: list[Any] = []

    @property
    def content(self) -> dict[str, Any]:
        """What is kept, with all losses so far."""
        self._content["loss"] += "".join(struct.pack(">f", float(loss)).hex() for loss in self._losses)
        self._losses = []
        return self._content

    @property
    def steps(self) -> int:
        """How many are kept."""
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
        if self.steps >= STEPS or (self.steps == 0 and trainer.global_step > 1):  # resumed from before there was one
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
    """The modules that have tensors of their own, by their paths."""
    return {
        name: module
        for name, module in network.named_modules()
        if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))
    }


def parting(recorded: dict[str, Any], now: dict[str, Any], names: Sequence[str]) -> Parting | None:
    """The first difference of two fingerprints' contents, or None where all that both have agrees.

    Args:
        names: of :func:`layers_of`.
    """
    if recorded["weights"].get("0") != now["weights"].get("0"):
        return Parting(0, _first(recorded["weights"]["0"], now["weights"]["0"], names) + "'s weights")
    for step in range(1, min(len(one["loss"]) // LOSS_DIGITS for one in (recorded, now)) + 1):
        losses = tuple(_loss(one, step) for one in (recorded, now))
        if str(step) in recorded["outputs"] and str(step) in now["outputs"]:
            for part, last_first in (("outputs", False), ("weights", True)):  # gradients begin at the end
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
    """The layer, or the neighbours that share a hash, of the first pair of hashes that differ."""
    shared = _shared(len(names))
    differing = [at for at in range(0, len(there), DIGITS) if there[at : at + DIGITS] != here[at : at + DIGITS]]
    place = (differing[-1] if last_first else differing[0]) // DIGITS * shared
    group = names[place : place + shared]
    return group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}"


def _shared(layers: int) -> int:
    """How many neighbours have one hash together."""
    return -(-layers // MOST)


def _joined(hashes: Iterator[str]) -> str:
    """One text of all layers' hashes."""
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
