"""``repronet gan train``: train a GAN, or resume its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from repronet.errors import UserError


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Train as the config says, or resume the run of ``resume=``."""
    from repronet.session import gan

    loose = [word for word in words if "=" not in word]
    if loose:
        raise UserError(f"{loose[0]}: not KEY=VALUE; write for example kind=bagan")
    others = [word for word in words if not word.startswith("resume=")]
    if config.resume is None:
        gan.train(config, console)
    elif others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give resume={config.resume} alone")
    else:
        gan.resume(Path(config.resume).expanduser(), console)
