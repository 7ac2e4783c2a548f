"""What was published about each network, as data: sizes, errors with their protocol, recipes, deviations.

Nothing here imports torch. ``repronet list models``, ``repronet verify``, the tables of the README and the tests read
it.
"""

from __future__ import annotations

from repronet.papers import alexnet, densenet, inception, lenet, resnet, senet, vgg
from repronet.papers.records import Facts

NETWORKS: dict[str, Facts] = {
    **lenet.NETWORKS,
    **alexnet.NETWORKS,
    **vgg.NETWORKS,
    **inception.NETWORKS,
    **resnet.NETWORKS,
    **densenet.NETWORKS,
    **senet.NETWORKS,
}

__all__ = ["NETWORKS", "Facts"]
