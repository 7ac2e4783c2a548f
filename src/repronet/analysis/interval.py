"""The confidence interval of an error rate measured on a sample of images."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054  # the normal distribution has 2.5 % above it


def wilson(share: float, images: int) -> tuple[float, float]:
    """The 95 % confidence interval, (low, high), of an error rate ``share`` measured on that many images.

    (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96 (E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference", 1927). It also holds for few images and for errors near 0. It does not
    cover how much the error varies between seeds.
    """
    p, rest = round(share * images) / images, Z**2 / images
    middle, reach = p + rest / 2, Z * sqrt(p * (1 - p) / images + rest / images / 4)
    return max(0.0, (middle - reach) / (1 + rest)), min(1.0, (middle + reach) / (1 + rest))


def interval(share: float, images: int) -> str:
    """The interval of :func:`wilson` as text: ``0.84% to 2.34%``."""
    return " to ".join(f"{end:.2%}" for end in wilson(share, images))
