"""How far an error that was counted on some images may be from that on all images of their kind."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054  # the normal distribution has 2.5 % beyond it


def wilson(share: float, images: int) -> tuple[float, float]:
    """The 95 % interval of an error of ``share`` on that many images, two shares.

    (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96 (E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference", 1927). It holds for few images and for errors near 0 too. It says nothing of
    how much another seed would change.
    """
    p, rest = round(share * images) / images, Z**2 / images
    middle, reach = p + rest / 2, Z * sqrt(p * (1 - p) / images + rest / images / 4)
    return max(0.0, (middle - reach) / (1 + rest)), min(1.0, (middle + reach) / (1 + rest))


def interval(share: float, images: int) -> str:
    """:func:`wilson` in words, ``0.84% to 2.34%``."""
    return " to ".join(f"{end:.2%}" for end in wilson(share, images))
