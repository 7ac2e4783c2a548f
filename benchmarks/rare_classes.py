"""What helps a class of which there are few training images: nothing, oversampling, augmentation, or a GAN.

    python benchmarks/rare_classes.py DATA_ROOT [--out runs/rare] [--classes 3 5 8] [--shares 10 20 40] [--seeds 3]

MNIST with ``--images`` training images of each class, and of the last of ``--classes`` the given shares of them.
LeNet-5 is trained once for each way, share and seed and tested on all official test images of the classes. One AC-GAN
and one BAGAN are trained for each share, on the same images, with the words of ``--gan``. Runs that have ended are not
run again, so it may be stopped at any time. Prints a table of errors on the rare class and on all, in percent: mean ±
standard deviation over seeds.
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
WAYS = {
    "nothing": ("augmentation=none",),
    "oversampling": ("augmentation=none", "data.balance=sampler"),
    "distortions": ("augmentation=mnist",),
    "acgan": ("augmentation=none", "data.balance=gan", "augmentation.generator={out}/acgan-{share}"),
    "bagan": ("augmentation=none", "data.balance=gan", "augmentation.generator={out}/bagan-{share}"),
}


def percent(errors: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(errors):.1f}" if len(errors) > 1 else ""
    return f"{100 * statistics.fmean(errors):.1f}{deviation}"


def rows_of(asked: argparse.Namespace, share: int) -> list[str]:
    """The table's rows of a share."""
    *others, rare = asked.classes
    most = ", ".join([*(f"{name}: {asked.images}" for name in others), f"{rare}: {asked.images * share // 100}"])
    data = ["data=mnist", f"data.root={asked.root}", f"data.classes=[{','.join(asked.classes)}]", "data.val=1500"]
    common = [*data, f"data.per_class={{{most}}}", "trainer.threads=1", "logger=none"]
    lengths = {"epochs": asked.gan_epochs, "more": asked.gan_epochs + 4, "out": asked.out, "share": share}
    for kind, words in GANS.items():
        own = [word.format(**lengths) for word in words]
        ended("gan_train", asked.out / f"{kind}-{share}", *common, "data.batch_size=32", *asked.gan, *own)
    rows = []
    for way, words in WAYS.items():
        own = [*(word.format(**lengths) for word in words), f"trainer.max_epochs={asked.epochs}", "trainer.board=none"]
        seeds = range(asked.seeds)
        found = [ended("train", asked.out / f"{way}-{share}-{n}", *common, *own, f"seed={n}") for n in seeds]
        errors = percent([result["test_error_by_class"][rare] for result in found])
        rows.append(f"| {share} % | {way} | {errors} | {percent([result['test_error'] for result in found])} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/rare"))
    parser.add_argument("--classes", nargs="+", default=["3", "5", "8"])
    parser.add_argument("--images", type=int, default=350)
    parser.add_argument("--shares", nargs="+", type=int, default=[10, 20, 40])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--gan", nargs="+", default=["width=8", "lr=1e-3"])
    parser.add_argument("--gan-epochs", type=int, default=16)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for share in asked.shares for row in rows_of(asked, share)]
    print(
        "\n".join([f"| share of {asked.classes[-1]} | way | error on it | error on all |", "|---|---|---|---|", *rows])
    )


if __name__ == "__main__":
    main()
