"""The test images that published errors are of, by a hash of their pixels and labels. Needs no torch.

As ``repronet.data.splits.Split.fingerprint`` gives it, of images of 32 × 32, to which digits of 28 × 28 are padded:
what the networks of all experiments on these sets take. The order of the images does not matter.
"""

from __future__ import annotations

OFFICIAL_TEST = {
    "mnist5k": "8d8005961899309c42371e0cca60f15520d2d08cbb2d1876d490e0ac11b920a7",  # ours: 1,000 of the 5,000 digits
    "mnist": "d6c037c2061dc7163ceaa0c5738e0c87afe2154d7f009c22ff0c187a656f2c52",
    "cifar10": "fdc2937544fd697a079922da1950b0d0be08abfc61a96ab19d818d8a335a92c6",
}


# The middle 24 × 24 pixels of the same images, which cuda-convnet's four-layer networks take.
OFFICIAL_MIDDLE = {"cifar10": "c3c29cfa84f53ae34f26efcc7d44626da100ed0726ace9fa0a3c3730ab3291ef"}


def deviation(dataset: str, test_sha256: str | None) -> str | None:
    """What a run must say whose test images are not those; None where they are, or nothing is known of them."""
    known = OFFICIAL_TEST.get(dataset)
    if known is None or test_sha256 in (None, known, OFFICIAL_MIDDLE.get(dataset)):
        return None
    return "tested on other images than the official ones, or under other labels"
