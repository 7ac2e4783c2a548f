"""The names of algorithms, and what they mean to an operator.

Most operators have two: `own`, the formulas of this package, and `vendor`, torch's fused kernels for the same numbers.
Convolution and batch normalisation also have `native`, kernels of this package in C (`repronet.native`).
Convolution has several of its own (see `repronet.functional.conv`). "auto" takes the one that measurements found to be
the fastest, by a rule that stands beside each operator; "own" takes the fastest of ours. Nothing is measured while a
network runs, so that the same call gives the same bits every time.
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
    if algorithm == "native":  # compiled kernels, where an operator has them; else what is fastest
        return "auto"
    return "own" if algorithm in CONVOLUTIONS else algorithm
