"""Runs that are killed, stopped and resumed, and held against one that was left alone.

    python tests/interruptions.py kills=50 chain=20 terms=20 writes=50

does in full what ``tests/test_interruptions.py`` does in short. Each training is a process of its own, forked from one
that has imported the libraries already, so that fifty of them take minutes. ``below=DIR`` puts the runs there: with
TMPDIR on another file system it shows that no checkpoint takes its way through it.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from repronet import runs
from repronet.training.checkpoints import read_checkpoint

# LeNet-5 with dropout and augmentation, momentum, a mean of the weights; saved in the midst of every chunk.
WORDS = (
    "trainer.max_epochs=4",
    "trainer.threads=1",
    "trainer.log_every_n_steps=2",  # so that gradients and updates are drawn in the midst of epochs too
    "dropout=0.3",
    "averaging=ema",
    "averaging.decay=0.98",
    "trainer.save_minutes=0.0005",
    "data.batch_size=32",
)
WRITING = ("bytes", "sync", "rename", "renamed")  # where a checkpoint can be struck
TIMING = ("train_seconds", "test_seconds", "finished", "git_commit", "git_commits")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["repronet.session.run", "repronet.cli.commands.train", "tensorboard.compat"])


@dataclass(frozen=True)
class Strike:
    """A signal that a process sends to itself at the ``nth`` call of something.

    ``where``: "step", "validation" or "test" batch; in writing a checkpoint, and no other file, "bytes" (after a share
    of them), "sync" and "rename" (before it), "renamed" (after it); "save best", before the best checkpoint is written.
    "step twice" sends it two times, "worker" sends it to a loader process, and "everyone" to all processes of the
    run, as a cluster does.
    """

    where: str
    nth: int
    number: int = signal.SIGKILL
    share: float = 0.5


def start(folder: Path, *words: str, strike: Strike | None = None) -> Any:
    """``repronet train WORDS`` in ``folder``, as a process; its output goes to ``folder/out.txt``."""
    process = _context.Process(target=_child, args=(str(folder), words, strike))
    process.start()
    return process


def run(folder: Path, *words: str, strike: Strike | None = None) -> int:
    """The exit code of :func:`start`; minus the signal's number for a process that a signal ended."""
    process = start(folder, *words, strike=strike)
    process.join()
    return process.exitcode


def _child(folder: str, words: tuple[str, ...], strike: Strike | None) -> None:
    os.chdir(folder)
    file = os.open("out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from repronet.cli import main

    if strike is not None:
        _arm(strike)
    main(["train", *words])


def _arm(strike: Strike) -> None:
    from repronet.runs import atomic as durable
    from repronet.training.callbacks.checkpoints import BestAndLast
    from repronet.training.module import ImageClassifier

    methods = {"step": "training_step", "validation": "validation_step", "test": "test_step"}
    if strike.where in methods:
        name = methods[strike.where]
        setattr(ImageClassifier, name, _striking(getattr(ImageClassifier, name), strike))
    elif strike.where == "step twice":
        ImageClassifier.training_step = _striking(_striking(ImageClassifier.training_step, strike), strike)  # type: ignore[method-assign]
    elif strike.where == "worker":
        ImageClassifier.training_step = _striking(
            ImageClassifier.training_step, strike, targets=lambda: _children()[:1]
        )  # type: ignore[method-assign]
    elif strike.where == "everyone":
        ImageClassifier.training_step = _striking(  # type: ignore[method-assign]
            ImageClassifier.training_step, strike, targets=lambda: [*_children(), os.getpid()]
        )
    elif strike.where == "save best":
        BestAndLast._save = _striking(BestAndLast._save, strike, only=lambda *args: runs.BEST in args)  # type: ignore[method-assign]
    elif strike.where == "sync":
        durable.os.fsync = _striking(os.fsync, strike, only=_is_open_checkpoint)  # type: ignore[assignment]
    elif strike.where in ("rename", "renamed"):
        after = strike.where == "renamed"
        Path.replace = _striking(Path.replace, strike, after, only=_names_checkpoint)  # type: ignore[method-assign]
    else:
        Path.open = _opening(Path.open, strike)  # type: ignore[method-assign]


def _striking(
    function: Callable[..., Any],
    strike: Strike,
    after: bool = False,
    only: Callable[..., bool] = lambda *_: True,
    targets: Callable[[], list[int]] = lambda: [os.getpid()],
) -> Callable[..., Any]:
    calls = []

    def called(*args: Any) -> Any:
        counts = only(*args)
        calls.extend([1] if counts else [])
        due = counts and len(calls) == strike.nth
        result = function(*args) if after else None
        for target in targets() if due else []:
            os.kill(target, strike.number)
        return result if after else function(*args)

    return called


def _names_checkpoint(path: Path, *_: Any) -> bool:
    return ".ckpt" in path.name


def _is_open_checkpoint(number: int) -> bool:
    """Whether a file descriptor is a checkpoint's, or that of the folder that its name is written into."""
    path = Path(f"/proc/self/fd/{number}").readlink()
    return _names_checkpoint(path) or path.name == Path(runs.LAST).parent.name


def _children() -> list[int]:
    return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _opening(function: Callable[..., Any], strike: Strike) -> Callable[..., Any]:
    drafts = []

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        file = function(path, *args, **kwargs)
        mode = kwargs.get("mode", args[0] if args else "r")
        if _names_checkpoint(path) and "w" in mode:
            drafts.append(path)
            if len(drafts) == strike.nth:
                write = file.write

                def torn(data: Any) -> None:
                    write(bytes(data)[: int(len(data) * strike.share)])
                    file.flush()
                    os.kill(os.getpid(), strike.number)

                return _Torn(file, torn)
        return file

    return opened


class _Torn:
    def __init__(self, file: Any, write: Callable[[Any], None]):
        self.file, self.write = file, write

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()


def everything(folder: Path) -> dict[str, Any]:
    """All that a run leaves which must not depend on how often it was interrupted."""
    last, best = (read_checkpoint(folder / name) for name in (runs.LAST, runs.BEST))
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "repronet", "training_sums", "global_step", "epoch")
    result = {key: value for key, value in runs.read_result(folder).items() if key not in TIMING}
    rows = [{**row, "seconds": 0} for row in last["callbacks"]["History"]["rows"]]
    for checkpoint in (last, best):
        del checkpoint["repronet"]["config"]  # of which the tests vary what must change nothing
    return {
        "last": {key: last[key] for key in keys},
        "best": {key: best[key] for key in keys},
        "result": result,
        "rows": rows,
        "curves": dict(curves(folder)),
    }


def curves(folder: Path) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """Every tag of a TensorBoard run with its points, as TensorBoard itself reads them; images count by steps."""
    kinds = ("scalars", "images", "histograms", "pr_curves")
    events = EventAccumulator(str(folder), tensor_size_guidance=dict.fromkeys(kinds, 0))
    events.Reload()
    for tag in events.Tags()["tensors"]:
        if tag == "custom_scalars__config__":  # how charts are laid out is no point of a curve
            continue
        arrays = [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        yield tag, [(step, float(array.sum()) if array.dtype.kind == "f" else 0.0) for step, array in arrays]


def difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two nested values differ first, bit for bit; None where nowhere."""
    if isinstance(one, torch.Tensor):
        return None if torch.equal(one, other) else path
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{path}: {sorted(map(str, one.keys() ^ other.keys()))}"
        return next((found for key in one if (found := difference(one[key], other[key], f"{path}/{key}"))), None)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{path}: {len(one)} and {len(other)} items"
        pairs = enumerate(zip(one, other, strict=True))
        return next((found for n, (a, b) in pairs if (found := difference(a, b, f"{path}[{n}]"))), None)
    return None if one == other else f"{path}: {one!r} and {other!r}"


def leftovers(folder: Path) -> list[str]:
    """Files that are nobody's."""
    return [str(path) for path in folder.rglob(".*") if path.name.endswith(".draft")]


class Trial:
    """Runs in a folder of their own, and the one that was left alone, which they are held against."""

    def __init__(self, folder: Path, words: tuple[str, ...] = WORDS):
        self.folder, self.words = folder, words
        for name in ("first", "whole"):  # the first measures which algorithms are the fastest
            began = time.monotonic()
            assert run(folder, *words, f"run_dir={name}") == 0, (folder / "out.txt").read_text()
        self.seconds = time.monotonic() - began
        self.whole = everything(folder / "whole")
        self._count = 0

    def fresh(self) -> str:
        """The name of a run that there is not yet."""
        self._count += 1
        return f"run{self._count}"

    def _words(self, name: str) -> list[str]:
        begun = (self.folder / name / runs.CONFIG).exists()
        return [f"resume={name}"] if begun else [*self.words, f"run_dir={name}"]

    def finish(self, name: str) -> str | None:
        """Resume the run until its end; returns where it differs from the one that was left alone."""
        if not (self.folder / name / runs.RESULT).exists() and run(self.folder, *self._words(name)) != 0:
            return "it did not go on: " + (self.folder / "out.txt").read_text()[-300:]
        left = leftovers(self.folder / name)
        return f"left behind: {left}" if left else difference(self.whole, everything(self.folder / name))

    def killed(self, share: float) -> str | None:
        """One kill after that share of a run's seconds."""
        name = self.fresh()
        if not self._strike_from_outside(name, share * self.seconds):
            return self.killed(0.9 * share)
        return self.finish(name)

    def chain(self, kills: int, seed: int = 0) -> str | None:
        """One run, killed at so many of its steps, each time after it went on from what the kill before had left."""
        name, last = self.fresh(), self.folder / f"run{self._count}" / runs.LAST
        steps = sorted(random.Random(seed).sample(range(1, self.whole["last"]["global_step"] + 1), kills))
        for number, step in enumerate(steps):
            done = read_checkpoint(last)["global_step"] if last.exists() else 0
            code = run(self.folder, *self._words(name), strike=Strike("step", step - done))
            if code != -signal.SIGKILL:
                return f"exit code {code} and no kill at step {step}, after {number} kills"
        return self.finish(name)

    def _strike_from_outside(self, name: str, seconds: float) -> bool:
        """Kill the run after so many seconds; returns whether it was still going on."""
        process = start(self.folder, *self._words(name))
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode == -signal.SIGKILL

    def struck(self, strike: Strike, *more: str) -> tuple[int, str | None]:
        """The exit code after that strike, and where the resumed run differs."""
        name = self.fresh()
        code = run(self.folder, *self.words, *more, f"run_dir={name}", strike=strike)
        there = [self.folder / name / path for path in (runs.LAST, runs.BEST) if (self.folder / name / path).exists()]
        for path in there:
            read_checkpoint(path)
        if strike.where in WRITING and not there:
            return code, "no checkpoint was left"
        return code, self.finish(name)


def term_strikes(count: int) -> list[Strike]:
    """SIGTERM while training, validating and saving, in turn."""
    drawn, kinds = random.Random(1), ("step", "validation", "sync", "bytes", "rename")
    most = {"step": 400, "validation": 4, "sync": 40, "bytes": 20, "rename": 20}
    chosen = [kinds[n % len(kinds)] for n in range(count)]
    return [Strike(kind, drawn.randint(1, most[kind]), signal.SIGTERM, share=1.0) for kind in chosen]


def write_strikes(count: int) -> list[Strike]:
    """SIGKILL in the midst of writing a checkpoint, the first one excepted, before which there is none."""
    drawn = random.Random(2)
    kinds = [WRITING[n % len(WRITING)] for n in range(count)]
    # Of each there are two syncs: of the file and of the name.
    return [Strike(kind, drawn.randint(3, 40 if kind == "sync" else 20), share=drawn.random()) for kind in kinds]


def main(words: list[str]) -> None:
    """Do what WORDS say and print what came of it."""
    counts = {"kills": 0, "chain": 0, "terms": 0, "writes": 0}
    given = dict(word.split("=", 1) for word in words)
    below = given.pop("below", None)
    counts |= {key: int(value) for key, value in given.items()}
    with tempfile.TemporaryDirectory(dir=below) as folder:
        trial = Trial(Path(folder))
        print(f"one run takes {trial.seconds:.1f} s, imports not counted", flush=True)
        drawn = random.Random(0)
        for _ in range(bool(counts["kills"])):
            _say("kills", [trial.killed(drawn.uniform(0.1, 0.98)) for _ in range(counts["kills"])])
        if counts["chain"]:
            _say(f"a chain of {counts['chain']} kills", [trial.chain(counts["chain"])])
        strikes = [trial.struck(strike) for strike in term_strikes(counts["terms"])]
        _say("SIGTERMs", [wrong or (None if code == 143 else f"exit code {code}") for code, wrong in strikes])
        strikes = [trial.struck(strike) for strike in write_strikes(counts["writes"])]
        _say("kills while writing", [wrong or (None if code == -9 else f"exit {code}") for code, wrong in strikes])


def _say(what: str, outcomes: list[str | None]) -> None:
    if outcomes:
        wrong = [outcome for outcome in outcomes if outcome]
        print(
            f"{what}: {len(outcomes) - len(wrong)} of {len(outcomes)} end bit-equal", *wrong[:3], sep="\n  ", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
