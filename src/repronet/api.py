"""The Python equivalent of the command line: train a network, load one, get the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repronet.errors import UserError

if TYPE_CHECKING:
    from repronet.data.module import ImageDataModule
    from repronet.training.classifier import Classifier


@dataclass(frozen=True, repr=False)
class Result:
    """The result of a finished run."""

    run_dir: Path  # the run folder
    values: Mapping[str, Any]  # the content of its ``result.json``
    history: list[dict[str, float]]  # one row per epoch, as in its ``history.csv``

    def __repr__(self) -> str:
        return f"Result(run_dir={str(self.run_dir)!r}, test_error={self.test_error}, epochs={len(self.history)})"

    @property
    def test_error(self) -> float | None:
        """Error of the best-validation weights on the test split, from 0 to 1; None without a test split."""
        return self.values["test_error"]

    @property
    def test_error_top5(self) -> float | None:
        """Share of test images whose class is not among the five most probable; None with five classes or fewer."""
        return self.values.get("test_error_top5")

    @property
    def best_val_error(self) -> float | None:
        """The lowest validation error of any epoch; None if there was no validation."""
        return self.values["best_val_error"]

    @property
    def last_val_error(self) -> float | None:
        """The validation error after the last epoch; None if that epoch was not validated."""
        return self.values["last_val_error"]


def train(*overrides: str, config_dir: str | Path | None = None, quiet: bool = False, **keys: Any) -> Result:
    """Train and test a network as ``repronet train OVERRIDES`` does.

    Args:
        overrides: words of the command line: ``"model=resnet20"``, ``"optimizer.lr=0.05"``, or ``"resume=DIR"`` alone.
        config_dir: a folder with your own config files.
        quiet: print nothing; the run folder's ``train.log`` still has all messages.
        keys: not accepted; the error shows the equivalent word.

    Raises:
        UserError: for words, data or weights that do not fit, before anything is written.
        Fault: if something fails during the run; the message says how to resume it.
    """
    from rich.console import Console

    from repronet.config.compose import compose
    from repronet.config.schema_trainer import ELSEWHERE
    from repronet.figures.charts import read_history
    from repronet.runs import HISTORY
    from repronet.runs.processes import refuse_several
    from repronet.session import run
    from repronet.session.console import speaking_to

    given = keys | {str(key): value for word in overrides if isinstance(word, Mapping) for key, value in word.items()}
    if given or not all(isinstance(word, str) for word in overrides):
        words = ", ".join(f'"{key}={value}"' for key, value in given.items()) or '"model=lenet5"'
        raise UserError(f"train takes the words of the command line: repronet.train({words})")
    refuse_several()
    console = Console(highlight=False, quiet=quiet)
    resumed = [word.removeprefix("resume=") for word in overrides if word.startswith("resume=")]
    changed = [word for word in overrides if word.startswith(tuple(f"{key}=" for key in ELSEWHERE))]
    if resumed and len(overrides) > 1 + len(changed):
        raise UserError(f"resume={resumed[-1]}: a resumed run keeps its config; give it alone")
    with speaking_to(console):
        if resumed:
            values = run.resume(Path(resumed[0]).expanduser(), console, changed)
        else:
            values = run.train(compose("train", overrides, Path(config_dir) if config_dir else None), console)
    folder = Path(values["run_dir"])
    return Result(folder, values, list(read_history(folder / HISTORY)))


def load(source: str | Path) -> Classifier:
    """Load a trained network, ready to classify images.

    Args:
        source: a run folder; a checkpoint (``…/checkpoints/last.ckpt``); a ``.safetensors`` file of
            ``repronet export``; "repronet/NAME" of ``repronet list weights``; or "NETWORK/NAME" of torchvision's
            weights, such as ``"resnet18/IMAGENET1K_V1"``.

    Raises:
        UserError: if the source does not exist, is damaged, or its run needs a plugin that is not imported.
    """
    from repronet.config import plugins
    from repronet.training.classifier import of_source

    path = Path(source).expanduser()
    if path.is_dir() or path.suffix == ".ckpt":
        plugins.require_for(path if path.is_dir() else path.parent.parent)  # the run folder, if the file is still there
    return of_source(source)


def data(name: str, *overrides: str) -> ImageDataModule:
    """The LightningDataModule of a dataset, as ``repronet train data=NAME OVERRIDES`` would use it.

    Args:
        name: a name from ``repronet list data``, such as "cifar10".
        overrides: more words, such as ``"data.root=photos"``, ``"augmentation=cifar_standard"`` or
            ``"data.batch_size=32"``; ``"model=resnet50"`` determines the size of the images.

    Raises:
        UserError: for unknown words, or if the data cannot be had.
    """
    from repronet.config.build import data_of
    from repronet.config.compose import compose

    return data_of(compose("train", [f"data={name}", *overrides]))
