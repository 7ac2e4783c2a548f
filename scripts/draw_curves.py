"""Draw the curves of runs as the README shows them: ``python scripts/draw_curves.py OUT.png RUN [RUN ...]``."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

from repronet import runs


def main(out: Path, folders: list[Path]) -> None:
    """Loss and error by epoch, training dashed and validation solid, one colour a run."""
    figure = Figure(figsize=(9, 3.2), dpi=110, layout="constrained")
    for axes, (name, scale, label) in zip(
        figure.subplots(1, 2), [("loss", 1, "loss"), ("error", 100, "error, %")], strict=True
    ):
        for colour, folder in enumerate(folders):
            with (folder / runs.HISTORY).open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            epochs = [int(row["epoch"]) for row in rows]
            for split, style in (("train", "--"), ("val", "-")):
                values = [scale * float(row[f"{split}_{name}"]) for row in rows]
                axes.plot(epochs, values, style, color=f"C{colour}", label=f"{folder.name}, {split}")
        axes.set(xlabel="epoch", ylabel=label, yscale="log")
        axes.grid(which="both", alpha=0.25)
        axes.legend(fontsize=8)
    figure.savefig(out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
