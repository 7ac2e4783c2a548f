"""The names of the ways to compute an operator.

They stand apart from the operators, so that checking a name needs no torch.
"""

CONVOLUTIONS = ("direct", "im2col", "adjoint", "winograd", "fft")
ALGORITHMS = ("auto", "own", "vendor", "native", *CONVOLUTIONS)
TRAINING_ALGORITHMS = tuple(name for name in ALGORITHMS if name != "winograd")  # that one serves 3×3 filters alone
