"""Compare remedies for a class with few training images: nothing, oversampling, augmentation, or a GAN.

    python benchmarks/rare_classes.py DATA_ROOT [--data mnist] [--out runs/rare-mnist] [--shares 10 20 40] [--seeds 3]

Three classes of MNIST or CIFAR-10 with ``--images`` training images each; of the last class only the given shares, in
percent. LeNet-5 is trained once per remedy, share and seed and tested on all official test images of the classes. Each
seed has its own training images, and an AC-GAN and a BAGAN trained on these, with the arguments of ``--gan``.
Runs that have ended are not run again, so it may be stopped at any time. Prints a table of errors on the rare class and
on all, in percent: mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from finished_runs import ended

GANS = {
    "acgan": ("kind=acgan", "dropout=0.25", "trainer.max_epochs={epochs}"),
    "bagan": ("kind=bagan", "autoencoder_epochs=4", "trainer.max_epochs={more}"),
}
# Classes (the last is the rare one), epochs of LeNet-5, augmentation, and further arguments of the GANs.
DATA = {
    "mnist": (("3", "5", "8"), 24, "mnist", ()),
    "cifar10": (("cat", "deer", "horse"), 40, "lecture", ("judge=repronet/resnet20-cifar10",)),
}
WAYS = {
    "nothing": ("augmentation=none",),
    "oversampling": ("augmentation=none", "data.balance=sampler"),
    "augmentation": ("augmentation={policy}",),
    "acgan": ("augmentation=none", "data.balance=gan", "augmentation.generator={acgan}"),
    "bagan": ("augmentation=none", "data.balance=gan", "augmentation.generator={bagan}"),
}


def percent(errors: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(errors):.1f}" if len(errors) > 1 else ""
    return f"{100 * statistics.fmean(errors):.1f}{deviation}"


def errors_of(asked: argparse.Namespace, share: int, seed: int) -> dict[str, tuple[float, float]]:
    """The errors on the rare class and on all classes, by remedy."""
    classes, epochs, policy, gan_words = DATA[asked.data]
    *others, rare = classes
    most = ", ".join([*(f"{name}: {asked.images}" for name in others), f"{rare}: {asked.images * share // 100}"])
    data = [f"data={asked.data}", f"data.root={asked.root}", f"data.classes=[{','.join(classes)}]", "data.val=1500"]
    images = [f"data.per_class={{{most}}}", f"data.per_class_seed={seed}"]
    common = [*data, *images, "trainer.threads=1", "logger=none", f"seed={seed}"]
    words = {"epochs": asked.gan_epochs, "more": asked.gan_epochs + 4, "policy": policy}
    for kind, own in GANS.items():
        words[kind] = asked.out / f"{kind}-{share}-{seed}-gan"
        given = (*gan_words, *asked.gan, *(word.format(**words) for word in own))
        ended("gan_train", words[kind], *common, "data.batch_size=32", *given)
    found = {}
    for way, own in WAYS.items():
        given = [*(word.format(**words) for word in own), f"trainer.max_epochs={asked.epochs or epochs}"]
        folder = asked.out / f"{way}-{share}-{seed}"
        result = ended("train", folder, *common, "model=lenet5", "trainer.board=none", *given)
        found[way] = result["test_error_by_class"][rare], result["test_error"]
    return found


def rows_of(asked: argparse.Namespace, share: int) -> list[str]:
    """The table's rows for one share."""
    found = [errors_of(asked, share, seed) for seed in range(asked.seeds)]
    both = {way: zip(*(errors[way] for errors in found), strict=True) for way in WAYS}
    return [
        f"| {share} % | {way} | {' | '.join(percent(list(part)) for part in parts)} |" for way, parts in both.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", choices=list(DATA), default="mnist")
    parser.add_argument("--images", type=int, default=350)
    parser.add_argument("--shares", nargs="+", type=int, default=[10, 20, 40])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--gan", nargs="+", default=["width=8", "lr=1e-3"])
    parser.add_argument("--gan-epochs", type=int, default=16)
    asked = parser.parse_args()
    # The runs' configs store absolute paths of the GANs.
    asked.out = (asked.out or Path("runs") / f"rare-{asked.data}").resolve()
    torch.set_num_threads(1)
    rows = [row for share in asked.shares for row in rows_of(asked, share)]
    rare = DATA[asked.data][0][-1]
    print("\n".join([f"| share of {rare} | way | error on it | error on all |", "|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main()
