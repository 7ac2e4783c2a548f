"""The names of algorithms, and what they mean to an operator.

Most operators have two: `own`, the formulas of this package, and `vendor`, torch's fused kernels for the same numbers.
Convolution has several of its own (see `repronet.functional.conv`). "auto" takes the fastest, see
`repronet.functional.autotune`; "own" takes the fastest of ours.
"""

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS

__all__ = ["ALGORITHMS", "CONVOLUTIONS", "own_or_vendor"]


def own_or_vendor(algorithm: str) -> str:
    """What an algorithm's name means to an operator other than convolution: "auto", "own" or "vendor".

    Raises:
        ValueError: for an unknown name.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    return "own" if algorithm in CONVOLUTIONS else algorithm
