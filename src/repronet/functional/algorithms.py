"""The names of algorithms, and their meaning for an operator.

Most operators have two: `own`, the formulas of this package, and `vendor`, torch's fused kernels for the same numbers.
Convolution and batch normalisation also have `native`, kernels of this package in C (`repronet.native`).
Convolution has several of its own (see `repronet.functional.conv`). "auto" takes the one that was fastest in
measurements, by a fixed rule in each operator's code; "own" takes the fastest of ours. Nothing is measured while a
network runs, so that the same call gives the same bits every time.
"""

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS

__all__ = ["ALGORITHMS", "CONVOLUTIONS", "own_or_vendor"]


def own_or_vendor(algorithm: str) -> str:
    """Translate an algorithm's name, for operators other than convolution, to "auto", "own" or "vendor".

    Raises:
        ValueError: for an unknown name.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if algorithm == "native":  # for operators without compiled kernels: the fastest
        return "auto"
    return "own" if algorithm in CONVOLUTIONS else algorithm
