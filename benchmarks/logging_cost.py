"""The cost of TensorBoard: the fraction of a run's time spent on drawing, and the size of the event files.

    python benchmarks/logging_cost.py [trainer.max_epochs=5] [trainer.threads=1] ...

Times every call that draws something during one run of ``repronet train``. Drawing and training are timed in the same
run, so that changes of machine speed affect both. Prints the seconds before the first step, between steps (curves,
gradients, inputs, graph, snapshots) and after the last one (answers, features, hyperparameters), each also as a
fraction of the time of training and validation without them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from repronet.config.compose import compose
from repronet.session import run as command
from repronet.training.callbacks.gradient_norms import GradientNorms
from repronet.training.callbacks.inputs_and_graph import InputsAndGraph
from repronet.training.callbacks.snapshots import Snapshots
from repronet.training.module import ImageClassifier

BEFORE, BETWEEN, AFTER = "before", "between", "after"


class Clock:
    """Adds up the seconds spent in functions, by the phase in which they are called."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def watch(self, owner: Any, name: str, when: str) -> None:
        """Replace ``owner.name`` with a timed version."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.counting(when):
                return function(*args, **kwargs)

        setattr(owner, name, timed)

    @contextmanager
    def counting(self, when: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[when] += time.perf_counter() - began
        self.calls[when] += 1


def watched() -> Clock:
    clock = Clock()
    for callback in (InputsAndGraph, GradientNorms, Snapshots):
        for name in vars(callback):
            if name.startswith("on_"):
                clock.watch(callback, name, BEFORE if name == "on_train_start" else BETWEEN)
    clock.watch(ImageClassifier, "_draw_point", BETWEEN)
    for name in ("draw_evaluation", "add_hyperparameters"):
        clock.watch(command, name, AFTER)
    return clock


def main(words: list[str]) -> None:
    clock = watched()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        config = compose("train", [*words, f"run_dir={folder}"])
        result = command.train(config, Console(quiet=True))
        written = sum(path.stat().st_size for path in folder.rglob("events.*"))
    # A run's clock starts with the preparation of its first step, so its time contains both.
    training = result["train_seconds"] - clock.seconds[BEFORE] - clock.seconds[BETWEEN]
    print(f"{config.model.name}, {config.data.name}, {result['epochs']} epochs, {result['steps']} steps")
    print(f"  training and validation  {training:7.2f} s")
    for when in (BEFORE, BETWEEN, AFTER):
        print(f"  drawing {when:<15}  {clock.seconds[when]:7.2f} s  {clock.seconds[when] / training:6.2%}")
    print(f"  event files              {written / 1e6:7.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
