"""LeNet-5 and the small networks beside it."""

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe

GRADIENT_BASED = Paper(
    authors="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
    title="Gradient-Based Learning Applied to Document Recognition",
    venue="Proceedings of the IEEE 86(11)",
    year=1998,
)

_ERRORS = (
    Error(0.95, "MNIST test", "test images", "figure 5"),
    Error(0.8, "MNIST test", "test images", "section III.B", note="with distortions"),
)
_RECIPE = Recipe(
    "20 passes; stochastic diagonal Levenberg-Marquardt with μ = 0.02, global rate 5e-4 (2 passes), 2e-4 (3), 1e-4 (3),"
    " 5e-5 (4), then 1e-5; pictures padded to 32×32, background -0.1, foreground 1.175",
    "section III.B and appendix C",
)
_NO_SHARING = ("a baseline of ours after the lecture, not of the paper",)

NETWORKS = {
    "lenet5_1998": Facts(
        paper=GRADIENT_BASED,
        title="connection table, trainable subsampling, scaled tanh, RBF output",
        parameters=60_000,
        source="paper",
        input=(1, 32, 32),
        classes=10,
        printed=Printed("60,000"),
        stages=(
            ("c1", (6, 28, 28)),
            ("s2", (6, 14, 14)),
            ("c3", (16, 10, 10)),
            ("s4", (16, 5, 5)),
            ("c5", (120, 1, 1)),
        ),
        receptive_field=("c5", 32),
        connections=(
            ("c1", 122_304),
            ("s2", 5_880),
            ("c3", 151_600),
            ("s4", 2_000),
            ("c5", 48_120),
            ("f6", 10_164),
            ("output", 840),
            ("", 340_908),
        ),
        errors=_ERRORS,
        recipe=_RECIPE,
    ),
    "lenet5": Facts(
        paper=GRADIENT_BASED,
        title="as taught today: ReLU, max-pooling, dense C3",
        parameters=61_706,
        source="computed",
        input=(1, 32, 32),
        classes=10,
        modern=True,
        deviations=(
            "ReLU for the scaled tanh",
            "max-pooling for trainable subsampling",
            "a dense C3",
            "a linear output for the RBF",
        ),
        macs=Printed("0.417 M"),
        stages=(("c1", (6, 28, 28)), ("s2", (6, 14, 14)), ("c3", (16, 10, 10)), ("s4", (16, 5, 5))),
    ),
    "lecture_net": Facts(
        paper=GRADIENT_BASED,
        title="the lecture's small network: 12·4·4 → 120",
        parameters=32_998,
        source="computed",
        input=(1, 28, 28),
        classes=10,
        modern=True,
        deviations=_NO_SHARING,
        stages=(("conv1", (6, 24, 24)), ("conv2", (12, 8, 8))),
    ),
    "locally_connected": Facts(
        paper=GRADIENT_BASED,
        title="the lecture's network without shared weights",
        parameters=236_854,
        source="computed",
        input=(1, 28, 28),
        classes=10,
        modern=True,
        deviations=_NO_SHARING,
        stages=(("conv1", (6, 24, 24)), ("conv2", (12, 8, 8))),
    ),
    "mlp": Facts(
        paper=GRADIENT_BASED,
        title="784 → 300 → 100 → 10",
        parameters=266_610,
        source="computed",
        input=(1, 28, 28),
        classes=10,
        modern=True,
        deviations=("ReLU for tanh",),
        errors=(Error(3.05, "MNIST test", "test images", "figure 9"),),
    ),
}
