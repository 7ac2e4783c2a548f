"""Figures of a run as files in its folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from repronet.runs import PICTURES
from repronet.runs.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("repronet.train")


def tolerated(what: str, action: Callable[[], object]) -> None:
    """Call ``action``; if it fails, log a warning and continue, so that no training result is lost."""
    try:
        action()
    except Exception as error:
        log.warning(f"{what} is not written ({type(error).__name__}: {error}); the run goes on")


def save_figure(folder: Path, name: str, figure: Callable[[], Figure | None]) -> None:
    """Write the figure to ``pictures/<name>.png`` in the run folder, unless there is none or it fails."""

    def save() -> None:
        drawn = figure()
        if drawn is not None:
            content = BytesIO()
            drawn.savefig(content, format="png")
            (folder / PICTURES).mkdir(exist_ok=True)
            write_whole(folder / PICTURES / f"{name}.png", content.getbuffer(), survives_power_cut=False)

    tolerated(f"{PICTURES}/{name}.png", save)
