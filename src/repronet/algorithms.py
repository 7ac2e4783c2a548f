"""The names of the algorithms that can compute an operator.

They are separate from the operators, so that checking a name needs no torch.
"""

CONVOLUTIONS = ("direct", "im2col", "adjoint", "winograd", "fft")
ALGORITHMS = ("auto", "own", "vendor", "native", *CONVOLUTIONS)
TRAINING_ALGORITHMS = tuple(name for name in ALGORITHMS if name != "winograd")  # winograd supports only 3×3 filters
