"""Time training steps on a GPU: our layers, our Trainer, a bare torch loop, and torchvision's and timm's scripts.

    python benchmarks/gpu.py                         # everything, within an hour on one GPU; one table
    python benchmarks/gpu.py --network resnet50 --mode bf16 --seconds 20
    python benchmarks/gpu.py --device cpu --tiny     # a trial on any machine: a small network, a few steps

Images are on the device, as with `data=cifar10`, so only the step is timed, without a loader. The table has one row per
network, mode and program: median, minimum and maximum over the rounds, in which the programs take turns. A step is
forward, loss, backward and SGD with momentum 0.9 and weight decay:

    bare         a loop as in a tutorial, on torch's layers
    ours         the same loop on our layers
    trainer      our layers with Lightning's Trainer and our callbacks: what `repronet train` does in a step
    torchvision  the steps of references/classification/train.py: scaler for fp16, zero_grad, metrics every 10 steps
    timm         the steps of train.py: its own network, optimizer by create_optimizer_v2, loss.item() when it logs

Modes: fp32 (TF32 off), tf32, bf16 (autocast), channels_last (with bf16), compile (with bf16 and channels last, CUDA
graphs: mode="reduce-overhead"). Also printed: peak memory, the ratio to the bare loop in the same mode, and for
ResNet-20 the computed time of 182 epochs of 391 steps with batches of 128 at that speed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from repronet import ImageClassifier, models
from repronet.session.console import quiet_lightning
from repronet.training.callbacks.nonfinite import StopAtNonFinite
from repronet.training.callbacks.steps import CountedSeeds


@dataclass(frozen=True)
class Workload:
    """A network and its batch.

    Args:
        theirs, timm: torchvision's and timm's names for the same network; None if they lack it.
    """

    name: str
    batch: int
    size: int
    classes: int
    theirs: str | None = None
    timm: str | None = None


WORKLOADS = {
    "resnet20": Workload("resnet20", 128, 32, 10),
    "resnet56": Workload("resnet56", 128, 32, 10),
    "resnet50": Workload("resnet50_v1_5", 256, 224, 1000, "resnet50", "resnet50"),
    "vgg16": Workload("vgg16", 128, 224, 1000, "vgg16", "vgg16"),
}
TINY = {"resnet20": Workload("resnet20", 4, 32, 10)}
MODES = ("fp32", "tf32", "bf16", "channels_last", "compile")
PROGRAMS = ("bare", "ours", "trainer", "torchvision", "timm")
EPOCHS, STEPS = 182, 391  # of ResNet-20 on CIFAR-10, 50,000 images in batches of 128
Rounds = Callable[[int], None]  # trains the given number of steps


@dataclass(frozen=True)
class Setting:
    """The network, mode and device of a measurement."""

    workload: Workload
    mode: str
    device: torch.device

    @property
    def half(self) -> bool:
        return self.mode in ("bf16", "channels_last", "compile")

    @property
    def channels_last(self) -> bool:
        return self.mode in ("channels_last", "compile")

    def autocast(self) -> Any:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.half else nullcontext()

    def batch(self) -> tuple[Tensor, Tensor]:
        w, drawn = self.workload, torch.Generator().manual_seed(0)
        images = torch.randn(w.batch, 3, w.size, w.size, generator=drawn).to(self.device)
        labels = torch.randint(w.classes, (w.batch,), generator=drawn).to(self.device)
        return images.contiguous(memory_format=self.layout), labels

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def ready(self, network: nn.Module) -> nn.Module:
        network = network.to(self.device, memory_format=self.layout).train()  # type: ignore[call-overload]
        graphs = "reduce-overhead" if self.device.type == "cuda" else "default"
        return torch.compile(network, mode=graphs) if self.mode == "compile" else network  # type: ignore[return-value]


def loop(setting: Setting, network: nn.Module, optimizer: Any = None, log_every: int = 0) -> Rounds:
    """A function that trains in a plain loop, which reads loss and error every `log_every` steps."""
    images, labels = setting.batch()
    optimizer = optimizer or torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    done = 0

    def train(steps: int) -> None:
        nonlocal done
        for _ in range(steps):
            if setting.mode == "compile" and setting.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            with setting.autocast():
                logits = network(images)
                loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            done += 1
            if log_every and done % log_every == 0:
                loss.item()
                (logits.argmax(1) == labels).sum().item()

    return train


def bare(setting: Setting) -> Rounds:
    return loop(setting, setting.ready(models.create(setting.workload.name, layers="torch")))


def ours(setting: Setting) -> Rounds:
    return loop(setting, setting.ready(models.create(setting.workload.name)))


def torchvision(setting: Setting) -> Rounds:
    import torchvision.models

    assert setting.workload.theirs is not None
    network = torchvision.models.get_model(setting.workload.theirs, num_classes=setting.workload.classes)
    return loop(setting, setting.ready(network), log_every=10)


def timm(setting: Setting) -> Rounds:
    import timm
    from timm.optim import create_optimizer_v2  # pyright: ignore[reportPrivateImportUsage]

    assert setting.workload.timm is not None
    network = timm.create_model(setting.workload.timm, num_classes=setting.workload.classes)
    optimizer = create_optimizer_v2(network, opt="sgd", lr=1e-3, weight_decay=1e-4, momentum=0.9)
    return loop(setting, setting.ready(network), optimizer, log_every=50)


def trainer(setting: Setting) -> Rounds:
    """One call of fit per round. Its start is timed too, which does not matter since rounds are long."""
    quiet_lightning()
    optimizer = {"name": "sgd", "lr": 1e-3, "weight_decay": 1e-4}
    task = ImageClassifier(
        models.create(setting.workload.name), optimizer=optimizer, channels_last=setting.channels_last
    )
    fitted = setting.ready(task) if setting.mode == "compile" else task
    batch = setting.batch()
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}

    def train(steps: int) -> None:
        pl.Trainer(
            accelerator="gpu" if setting.device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if setting.half else "32-true",
            max_epochs=1,
            logger=False,
            limit_val_batches=0,
            callbacks=[CountedSeeds(0), StopAtNonFinite()],
            **quiet,  # type: ignore[arg-type]
        ).fit(fitted, DataLoader([batch] * steps, batch_size=None))  # type: ignore[arg-type]

    return train


MAKERS: dict[str, Callable[[Setting], Rounds]] = {
    "bare": bare,
    "ours": ours,
    "trainer": trainer,
    "torchvision": torchvision,
    "timm": timm,
}


def takes(program: str, workload: Workload) -> bool:
    """Whether a program is available and has that network."""
    if program == "timm":
        return workload.timm is not None and find_spec("timm") is not None
    return program != "torchvision" or workload.theirs is not None


@contextmanager
def tensor_cores(allowed: bool) -> Iterator[None]:
    """Switch TF32 for float32 matrix products and convolutions on or off."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def waited(device: torch.device, train: Rounds, steps: int) -> float:
    """Seconds per step until the device has finished; measured with CUDA events on a GPU."""
    if device.type != "cuda":
        begun = time.perf_counter()
        train(steps)
        return (time.perf_counter() - begun) / steps
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    train(steps)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / steps


@dataclass
class Row:
    """The measurements of one program."""

    program: str
    seconds: list[float]
    megabytes: float


def measure(setting: Setting, programs: list[str], seconds: float, rounds: int) -> list[Row]:
    """Run the rounds of all programs in turns; each program takes about `seconds` in total."""
    rows, trains, steps = [], {}, {}
    with tensor_cores(setting.mode == "tf32"):
        for program in programs:
            torch.manual_seed(0)
            train = MAKERS[program](setting)
            if setting.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            train(3)  # warms up: cuDNN tries its algorithms, and compilation takes place
            once = waited(setting.device, train, 3)
            peak = torch.cuda.max_memory_allocated() / 2**20 if setting.device.type == "cuda" else float("nan")
            trains[program], steps[program] = train, max(1, int(seconds / rounds / once))
            rows.append(Row(program, [], peak))
        for _ in range(rounds):
            for row in rows:
                row.seconds.append(waited(setting.device, trains[row.program], steps[row.program]))
    return rows


def shown(setting: Setting, rows: list[Row]) -> Iterator[str]:
    """One line of the table per program."""
    first = statistics.median(rows[0].seconds)
    for row in rows:
        median, spread = statistics.median(row.seconds), sorted(row.seconds)
        reckoned = f"{median * EPOCHS * STEPS:8.0f} s" if setting.workload.name == "resnet20" else ""
        yield (
            f"{setting.workload.name:<14}{setting.mode:<14}{row.program:<12}{median * 1e3:9.2f}"
            f"{spread[0] * 1e3:9.2f}{spread[-1] * 1e3:9.2f}{setting.workload.batch / median:10.0f}"
            f"{median / first:7.2f}{row.megabytes:9.0f}  {reckoned}"
        )


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=WORKLOADS)
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("--program", action="append", choices=PROGRAMS)
    parser.add_argument("--seconds", type=float, default=12.0, help="for each program, network and mode")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args(words)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU here; --device cpu --tiny shows whether it runs")
    workloads = TINY if options.tiny else WORKLOADS
    named = torch.cuda.get_device_name() if device.type == "cuda" else "processor"
    print(f"torch {torch.__version__}, {named}, {options.rounds} rounds in turns")
    columns = ("network", "mode", "program")
    print(
        "{:<14}{:<14}{:<12}".format(*columns)
        + f"{'ms':>9}{'least':>9}{'most':>9}{'images/s':>10}{'bare':>7}{'MB':>9}  182 epochs"
    )
    for name in options.network or workloads:
        for mode in options.mode or MODES:
            setting = Setting(workloads[name], mode, device)
            programs = [program for program in options.program or PROGRAMS if takes(program, setting.workload)]
            for line in shown(setting, measure(setting, programs, options.seconds, options.rounds)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
