"""Draw the curves of runs like those in README.md: ``python scripts/draw_curves.py OUT.png RUN [RUN ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

from repronet import runs
from repronet.figures import charts


def main(out: Path, folders: list[Path]) -> None:
    """Draw loss and error by epoch, training dashed and validation solid, one colour per run."""
    charts.curves({folder.name: charts.read_history(folder / runs.HISTORY) for folder in folders}).savefig(out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
