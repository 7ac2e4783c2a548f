"""LeNet-5 and the small networks beside it."""

from functools import partial

from repronet.papers.records import Citation, Error, Facts, Paper, Printed, Recipe, stages

GRADIENT_BASED = Paper(
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    "Gradient-Based Learning Applied to Document Recognition",
    "Proceedings of the IEEE 86(11)",
    1998,
)

# The paper's text was read in two copies of its passages and tables, which agree.
_cited = partial(Citation, "LeCun et al. 1998", kind="secondary")
_ERRORS = (
    Error(0.95, "MNIST test", "test images", _cited("figure 5 and section III.B")),
    Error(0.8, "MNIST test", "test images", _cited("section III.B"), note="with distortions"),
)
_RECIPE = Recipe(
    "20 passes; stochastic diagonal Levenberg-Marquardt with μ = 0.02, global rate 5e-4 (2 passes), 2e-4 (3), 1e-4 (3),"
    " 5e-5 (4), then 1e-5; pictures padded to 32×32, background -0.1, foreground 1.175",
    _cited("section III.B and appendix C"),
)
_LENET, _DIGITS = ((1, 32, 32), 10), ((1, 28, 28), 10)
_STAGES = "c1 6×28×28, s2 6×14×14, c3 16×10×10, s4 16×5×5"


def _lecture(title: str, parameters: int) -> Facts:
    return Facts(
        GRADIENT_BASED,
        title,
        parameters,
        *_DIGITS,
        modern=True,
        deviations=("a baseline of ours after the lecture, not of the paper",),
        stages=stages("conv1 6×24×24, conv2 12×8×8"),
    )


NETWORKS = {
    "lenet5_1998": Facts(
        GRADIENT_BASED,
        "connection table, trainable subsampling, scaled tanh, RBF output",
        60_000,
        *_LENET,
        source="paper",
        printed=Printed("60,000"),
        stages=stages(f"{_STAGES}, c5 120×1×1"),
        receptive_field=("c5", 32),
        connections=(
            *(("c1", 122_304), ("s2", 5_880), ("c3", 151_600), ("s4", 2_000), ("c5", 48_120)),
            *(("f6", 10_164), ("output", 840), ("", 340_908)),
        ),
        errors=_ERRORS,
        recipe=_RECIPE,
    ),
    "lenet5": Facts(
        GRADIENT_BASED,
        "as taught today: ReLU, max-pooling, dense C3",
        61_706,
        *_LENET,
        modern=True,
        deviations=(
            "ReLU for the scaled tanh",
            "max-pooling for trainable subsampling",
            "a dense C3",
            "a linear output for the RBF",
        ),
        macs=416_520,
        stages=stages(_STAGES),
    ),
    "lecture_net": _lecture("the lecture's small network: 12·4·4 → 120", 32_998),
    "locally_connected": _lecture("the lecture's network without shared weights", 236_854),
    "mlp": Facts(
        GRADIENT_BASED,
        "784 → 300 → 100 → 10",
        266_610,
        *_DIGITS,
        modern=True,
        deviations=("ReLU for tanh", "cross entropy for the squared error", "first-order SGD"),
        errors=(
            Error(3.05, "MNIST test", "test images", _cited("figure 9")),
            Error(2.5, "MNIST test", "test images", _cited("figure 9"), note="with distortions"),
        ),
    ),
}
