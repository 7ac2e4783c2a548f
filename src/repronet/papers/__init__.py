"""What was published about each network, as data: sizes, errors with their protocol, recipes, deviations.

Nothing here imports torch. ``repronet list models``, ``repronet verify``, the tables of the README and the tests read
it.
"""

from __future__ import annotations

from repronet.papers import alexnet, densenet, inception, lenet, resnet, senet, vgg
from repronet.papers.records import Error, Facts

NETWORKS: dict[str, Facts] = {
    **lenet.NETWORKS,
    **alexnet.NETWORKS,
    **vgg.NETWORKS,
    **inception.NETWORKS,
    **resnet.NETWORKS,
    **densenet.NETWORKS,
    **senet.NETWORKS,
}


def published(network: str, percent: float) -> Error:
    """The error of so many percent among those of ``network``.

    Raises:
        KeyError: when none was published, or not that.
    """
    for error in NETWORKS[network].errors:
        if error.percent == percent:
            return error
    raise KeyError(f"{network}: no published error of {percent} %")


__all__ = ["NETWORKS", "Facts", "published"]
