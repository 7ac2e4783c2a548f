"""Hashes of the pixels and labels of the test images on which published errors were measured. Needs no torch.

They are computed by ``repronet.data.splits.Split.fingerprint`` on 32 × 32 images (digits of 28 × 28 are padded), the
input size of the networks in all experiments on these sets. The order of the images does not matter.
"""

from __future__ import annotations

OFFICIAL_TEST = {
    "mnist5k": "8d8005961899309c42371e0cca60f15520d2d08cbb2d1876d490e0ac11b920a7",  # ours: 1,000 of the 5,000 digits
    "mnist": "d6c037c2061dc7163ceaa0c5738e0c87afe2154d7f009c22ff0c187a656f2c52",
    "cifar10": "fdc2937544fd697a079922da1950b0d0be08abfc61a96ab19d818d8a335a92c6",
}


# The middle 24 × 24 pixels of the same images, the input of cuda-convnet's four-layer networks.
OFFICIAL_MIDDLE = {"cifar10": "c3c29cfa84f53ae34f26efcc7d44626da100ed0726ace9fa0a3c3730ab3291ef"}


def deviation(dataset: str, test_sha256: str | None) -> str | None:
    """The deviation that a run must report if its test images are not those; None if they are, or that is unknown."""
    known = OFFICIAL_TEST.get(dataset)
    if known is None or test_sha256 in (None, known, OFFICIAL_MIDDLE.get(dataset)):
        return None
    return "tested on other images than the official ones, or under other labels"
