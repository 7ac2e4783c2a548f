"""The networks as their authors released them, written down as data. The numbers are taken over; no file is copied.

Nothing here imports torch. ``repronet verify source=release`` compares our networks with these definitions.
"""

from __future__ import annotations

from repronet.papers.releases import caffe, cuda_convnet, densenet, inception, lenet, resnet
from repronet.papers.releases.notation import Difference, Operator, Release

RELEASES: dict[str, Release] = {
    **lenet.RELEASES,
    **cuda_convnet.RELEASES,
    **caffe.RELEASES,
    **inception.RELEASES,
    **resnet.RELEASES,
    **densenet.RELEASES,
}

# Networks whose authors are not known to have released a definition.
NONE_KNOWN = ("zfnet", "zfnet_wide")

__all__ = ["NONE_KNOWN", "RELEASES", "Difference", "Operator", "Release"]
