"""Learning without Forgetting: a network learns new classes and keeps its outputs for the old ones.

Z. Li and D. Hoiem, "Learning without Forgetting", ECCV 2016, section 3. No image of the old task is needed: the targets
for the old classes are the original network's outputs for the new images.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from repronet.errors import UserError
from repronet.functional import log_softmax, softmax
from repronet.models.stages import class_layers


def distillation(logits: Tensor, old_logits: Tensor, temperature: float) -> Tensor:
    """−Σ p log q, averaged over the batch; p and q: old and new probabilities at ``temperature`` (equations 2 and 3).

    Shapes: (N, classes) and (N, classes) → ().
    """
    old, new = softmax(old_logits / temperature, dim=1), log_softmax(logits / temperature, dim=1)
    return -(old * new).sum(dim=1).mean()


class LearningWithoutForgetting(nn.Module):
    """The old head, which is trained together with the network, and the old network, which is not trained.

    Args:
        network: the network that learns; a hook records the input of its head.
        old: a copy of the network before training, with its old head.
        weight: λ, the weight of the distillation loss.
        temperature: T of :func:`distillation`; 2 in the paper.

    Raises:
        UserError: for a network without exactly one linear head; the input of a convolutional head is feature maps.
    """

    def __init__(self, network: nn.Module, old: nn.Module, weight: float, temperature: float):
        super().__init__()
        self.place = head_of(network)
        if not isinstance(network.get_submodule(self.place), nn.Linear):
            raise UserError(f"finetune=lwf: the head of {network.architecture} is not linear; take head_then_all")
        self.teacher = old.eval().requires_grad_(False)
        self.old_head = copy.deepcopy(old.get_submodule(self.place)).requires_grad_(True)
        self.weight, self.temperature = weight, temperature
        self._features: Tensor | None = None
        network.get_submodule(self.place).register_forward_pre_hook(self._listen)

    def _listen(self, head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0] if head.training else None

    def loss(self, images: Tensor) -> Tensor:
        """λ times the distillation loss of the images of the latest forward pass: (N, C, H, W) → ()."""
        assert self._features is not None
        features, self._features = self._features, None
        with torch.no_grad():
            before = self.teacher.eval()(images)
        return self.weight * distillation(self.old_head(features), before, self.temperature)


def head_of(network: nn.Module) -> str:
    """The module path of the network's only head.

    Raises:
        UserError: for a network with auxiliary heads, or one made for a fixed number of classes.
    """
    heads = class_layers(network)
    if len(heads) != 1:
        raise UserError(f"finetune=lwf: {network.architecture} has {len(heads)} layers of its classes, not one")
    return next(iter(heads))


def with_head(network: nn.Module, head: nn.Module) -> nn.Module:
    """A copy of the network with another head, in eval mode."""
    twin = copy.deepcopy(network)
    path, _, name = head_of(network).rpartition(".")
    twin.get_submodule(path)._modules[name] = copy.deepcopy(head)
    return twin.eval()
