"""Runs of several processes of which one is killed, stopped or fails, and what the others make of it.

    python tests/process_trials.py kills=10 terms=10 nans=5 faults=1 launchers=1

does in full what ``tests/test_process_trials.py`` does in short: ``kills`` are resumed with one, two and three
processes each. A plugin, which every process of a run imports, strikes in the one that the environment names.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from repronet import runs
from repronet.training.checkpoints import read_checkpoint

# LeNet-5 with dropout, augmentation and an uneven last batch, at a rate at which rounding stays rounding.
WORDS = (
    *("data.per_class=10", "data.batch_size=7", "dropout=0.3", "optimizer.lr=0.002"),
    *("trainer.accelerator=cpu", "trainer.threads=1", "trainer.max_epochs=2", "trainer.save_minutes=0.00001"),
    *("trainer.board=none", "trainer.log_every_n_steps=2"),
)
ROUNDING = 1e-5  # of weights, after so few steps
PLUGIN = '''
"""Strikes at a training step in the process that STRIKE names: its rank, the step, and what."""
import os
import signal

from repronet.errors import UserError
from repronet.training.module import ImageClassifier

if "STRIKE" in os.environ:
    rank, step, what = os.environ["STRIKE"].split()
    whole = ImageClassifier.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_rank == int(rank) and self.trainer.global_step + 1 == int(step):
            if what.isdecimal():
                os.kill(os.getpid(), int(what))
            elif what == "image":
                raise UserError("photos/cat.jpg: cannot be read; mend it")
            elif what == "memory":
                raise MemoryError
            elif what == "disk":
                from repronet.runs import atomic

                def full(*_):
                    raise OSError(28, "No space left on device")

                atomic.os.fsync = full
        loss = whole(self, batch, batch_idx)
        struck = what == "nan" and self.trainer.global_rank == int(rank) and self.trainer.global_step + 1 == int(step)
        return loss * float("nan") if struck else loss

    ImageClassifier.training_step = training_step
'''

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["repronet.session.run", "repronet.cli.commands.train", "tensorboard.compat"])


class Ended:
    """How a run ended: its exit code and what it said on the terminal's error stream."""

    def __init__(self, code: int, said: str):
        self.code, self.said = code, said

    @property
    def lines(self) -> list[str]:
        return [line for line in self.said.splitlines() if line.strip()]


class Trials:
    """Runs below a folder, each held against the same run by one process that was left alone."""

    def __init__(self, folder: Path):
        self.folder, self._count = folder, 0
        (folder / "striking.py").write_text(PLUGIN)
        ended = self.run("whole", *WORDS)
        assert ended.code == 0, ended.said
        self.whole = read_checkpoint(folder / "whole" / runs.LAST)

    def fresh(self) -> str:
        """The name of a run that there is not yet."""
        self._count += 1
        return f"run{self._count}"

    def run(self, name: str, *words: str, strike: str | None = None) -> Ended:
        """``repronet train WORDS`` into the run folder of that name, or with ``resume=`` on with it."""
        where = f"resume={name}" if (self.folder / name / runs.CONFIG).exists() else f"run_dir={name}"
        process = _context.Process(
            target=_child, args=(str(self.folder), ["--plugin", "striking.py", where, *words], strike)
        )
        process.start()
        process.join()
        assert process.exitcode is not None
        deadline = time.monotonic() + 60
        while process.exitcode < 0 and not (self.folder / "err.txt").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)  # until another process says that the first one was killed
        return Ended(process.exitcode, (self.folder / "err.txt").read_text())

    def difference(self, name: str) -> str | None:
        """Where the end of a run differs from that of the whole one, by more than rounding."""
        if not (self.folder / name / runs.RESULT).exists():
            return "it has no result"
        last = read_checkpoint(self.folder / name / runs.LAST)
        for key in ("global_step", "epoch"):
            if last[key] != self.whole[key]:
                return f"{key}: {last[key]} and {self.whole[key]}"
        steps, whole = ([row["step"] for row in found["callbacks"]["History"]["rows"]] for found in (last, self.whole))
        if steps != whole:
            return f"steps of the epochs: {steps} and {whole}"
        for key, values in self.whole["state_dict"].items():
            if not torch.allclose(last["state_dict"][key].double(), values.double(), rtol=0, atol=ROUNDING):
                return f"{key}: {(last['state_dict'][key] - values).abs().max():.1e} apart"
        return None

    def killed(self, rank: int, step: int, resumed_with: int) -> str | None:
        """One of two processes is killed at a step, and the run gone on with by so many."""
        name = self.fresh()
        ended = self.run(name, *WORDS, "trainer.devices=2", strike=f"{rank} {step} {int(signal.SIGKILL)}")
        expected = -signal.SIGKILL if rank == 0 else 1
        if ended.code != expected:
            return f"exit code {ended.code}, not {expected}: {ended.said[-300:]}"
        goes_on = f"; resume with: repronet train resume={name} --plugin striking.py"
        if len(ended.lines) != 1 or not ended.lines[0].endswith(goes_on) or " was killed" not in ended.lines[0]:
            return f"it said {ended.said[-600:]!r}"
        done = read_checkpoint(self.folder / name / runs.LAST)["global_step"]
        if done not in (step - 1, step):
            return f"saved after step {done}, killed at {step}"
        ended = self.run(name, f"trainer.devices={resumed_with}")
        return self.difference(name) if ended.code == 0 else f"it did not go on: {ended.said[-300:]}"

    def stopped(self, rank: int, step: int, number: int = signal.SIGTERM) -> str | None:
        """One of two processes is told to stop: all save that very step, once, and end; two go on."""
        name = self.fresh()
        ended = self.run(name, *WORDS, "trainer.devices=2", strike=f"{rank} {step} {int(number)}")
        line = f"repronet: interrupted; resume with: repronet train resume={name} --plugin striking.py"
        if ended.code != 143 or ended.lines != [line]:
            return f"exit code {ended.code}: {ended.said[-600:]!r}"
        done = read_checkpoint(self.folder / name / runs.LAST)["global_step"]
        if done != step:
            return f"saved after step {done}, told at {step}"
        ended = self.run(name)
        return self.difference(name) if ended.code == 0 else f"it did not go on: {ended.said[-300:]}"

    def failed(self, rank: int, step: int, what: str, expected: str, code: int) -> str | None:
        """One of two processes fails: its line is all that is said."""
        name = self.fresh()
        ended = self.run(name, *WORDS, "trainer.devices=2", strike=f"{rank} {step} {what}")
        if ended.code != code or len(ended.lines) != 1 or not re.search(expected, ended.lines[0]):
            return f"exit code {ended.code}: {ended.said[-600:]!r}"
        return None

    def launched(self, nodes: int, per_node: int) -> str | None:
        """The run by torchrun, on so many machines, which are this one."""
        name, port = self.fresh(), _free_port()
        started = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--node-rank={node}"),
                    *(f"--nproc-per-node={per_node}", "--master-addr=127.0.0.1", f"--master-port={port}"),
                    *("-m", "repronet", "train", *WORDS, f"run_dir={name}"),
                ],
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for node in range(nodes)
        ]
        said = [process.communicate()[1] for process in started]
        if any(process.returncode for process in started):
            return f"exit codes {[process.returncode for process in started]}: {said}"
        return self.difference(name)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _child(folder: str, words: list[str], strike: str | None) -> None:
    os.chdir(folder)
    for stream, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if strike is not None:
        os.environ["STRIKE"] = strike
    from repronet.cli import main

    main(["train", *words])


FAULTS = {  # what fails, in which process; what is said; exit code
    "an image": (1, "image", r"photos/cat.jpg: cannot be read; mend it$", 2),
    "memory": (1, "memory", r"out of memory with data.batch_size=7; .*; what is done so far stays in run\d+$", 1),
    "the disk": (0, "disk", r"last.ckpt: cannot be written \(No space left on device\); resume with: .*", 1),
    "an image of the first": (0, "image", r"photos/cat.jpg: cannot be read; mend it$", 2),
}
NAN = r"the loss is no longer finite at step \d+: every layer's output is finite; lower optimizer.lr$"


def main(words: list[str]) -> None:
    """Do what WORDS say and print what came of it."""
    given = dict.fromkeys(("kills", "terms", "nans", "faults", "launchers"), 0)
    given |= {key: int(value) for key, value in (word.split("=", 1) for word in words)}
    drawn = random.Random(0)
    steps = [step for step in range(2, 28) if step % 15]  # after an epoch's last, what was saved before is gone on with
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder))
        for count in (2, 1, 3):
            _say(
                f"kills, gone on with by {count}",
                [trials.killed(n % 2, drawn.choice(steps), count) for n in range(given["kills"])],
            )
        _say("SIGTERMs", [trials.stopped(n % 2, drawn.choice(steps)) for n in range(given["terms"])])
        _say("NaN", [trials.failed(1, drawn.choice(steps), "nan", NAN, 2) for n in range(given["nans"])])
        for name, (rank, what, expected, code) in FAULTS.items() if given["faults"] else ():
            _say(name, [trials.failed(rank, 5, what, expected, code) for _ in range(given["faults"])])
        if given["launchers"]:
            _say("torchrun", [trials.launched(1, 2) for _ in range(given["launchers"])])
            _say("torchrun on two machines", [trials.launched(2, 1) for _ in range(given["launchers"])])


def _say(what: str, outcomes: list[Any]) -> None:
    if outcomes:
        wrong = [outcome for outcome in outcomes if outcome]
        print(f"{what}: {len(outcomes) - len(wrong)} of {len(outcomes)} right", *wrong[:3], sep="\n  ", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
