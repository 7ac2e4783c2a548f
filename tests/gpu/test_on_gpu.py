"""What only a GPU can show. REPRONET_TEST_DEVICE=cpu runs the same lines on the processor, to try them.

pytest -m gpu
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from layer_table import LAYERS, LOSSES, NETWORKS
from PIL import Image
from torch import Tensor, nn

import interruptions
from interruptions import WORDS, Strike
from proof.operators import OPERATORS, ours, quiet, some_samples, theirs
from repronet import layers, models
from repronet.functional import cross_entropy, rbf_loss
from repronet.training.losses import loss_of_heads

DEVICE = torch.device(os.environ.get("REPRONET_TEST_DEVICE", "cuda"))
ACCELERATOR = "gpu" if DEVICE.type == "cuda" else DEVICE.type
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="needs a GPU that torch sees; here is none"
    ),
]
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
on_cuda_alone = pytest.mark.skipif(DEVICE.type != "cuda", reason="is about CUDA itself")


def moved(tensor: Tensor) -> Tensor:
    return tensor.detach().to(DEVICE).requires_grad_(tensor.requires_grad)


@pytest.mark.parametrize(
    ("operator", "algorithm"),
    [
        pytest.param(operator, algorithm, id="-".join(word for word in (operator.name, algorithm) if word))
        for operator in OPERATORS
        if not operator.random
        for algorithm in (operator.algorithms or (None,))
    ],
)
def test_operators(operator, algorithm):
    """Values and gradients in float64, as torch's own operator has them on the same device."""
    for case in some_samples(operator, torch.float64, 8):
        found = []
        for function in (quiet(ours(operator, algorithm)), quiet(theirs(operator))):
            given = case.map(moved)
            result = given.call(function)
            output = result[0] if isinstance(result, tuple) else result
            leaves = [leaf for _, leaf in given.leaves()]
            found.append([output, *torch.autograd.grad(output.sum(), leaves, allow_unused=True)])
        torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("half", [None, *HALVES])
@pytest.mark.parametrize("name", [*LAYERS, *LOSSES])
def test_layers(name, half):
    """As on the CPU in float32; within autocast finite, and with float32 gradients."""
    arguments, shape = LAYERS.get(name, ((), (5, 4)))
    torch.manual_seed(0)
    layer, x = getattr(layers, name)(*arguments).eval(), torch.randn(shape)
    target = torch.rand(5, 4) if name in ("BCEWithLogitsLoss", "MSELoss") else torch.tensor([0, 1, 2, 3, 0])
    results = {}
    for device in (torch.device("cpu"), DEVICE):
        leaf = x.detach().to(device).requires_grad_()
        given = [target.to(device)] if name in LOSSES else []
        with torch.autocast(device.type, dtype=HALVES.get(half or "", torch.bfloat16), enabled=half is not None):
            output = layer.to(device)(leaf, *given)
        output.float().sum().backward()
        results[device] = [output.detach().float().cpu(), leaf.grad.cpu()]
    assert all(part.dtype == torch.float32 and part.isfinite().all() for part in results[DEVICE])
    if half is None:
        torch.testing.assert_close(results[DEVICE], results[torch.device("cpu")], rtol=1e-3, atol=1e-3)  # TF32


def one_step(network: nn.Module, images: Tensor, half: str | None = None) -> Tensor:
    labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=half == "fp16")  # type: ignore[attr-defined]
    with torch.autocast(DEVICE.type, dtype=HALVES.get(half or "", torch.bfloat16), enabled=half is not None):
        output = network(images)
        criterion = rbf_loss if getattr(network, "architecture", "") == "lenet5_1998" else cross_entropy
        loss = loss_of_heads(network, output, labels, criterion)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    network = models.create(name)
    size = int(network.input_size)  # type: ignore[arg-type]
    return network.to(DEVICE), torch.randn(2, models.usual_channels(name), size, size).to(DEVICE)


@pytest.mark.parametrize("half", [None, *HALVES])
@pytest.mark.parametrize("name", NETWORKS.values())
def test_one_step_of_each_family(name, half):
    network, images = made(name)
    assert one_step(network, images, half).isfinite()
    assert all(weight.isfinite().all() for weight in network.parameters())


def test_channels_last_gives_the_same():
    network, images = made("resnet20")
    expected = one_step(network, images)
    network, images = made("resnet20")
    network.to(memory_format=torch.channels_last)
    found = one_step(network, images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled(mode):
    network, images = made("resnet20")
    expected = [one_step(network, images) for _ in range(3)]
    network, images = made("resnet20")
    torch.compiler.reset()
    compiled = torch.compile(network, mode=mode)
    found = [one_step(compiled, images) for _ in range(3)]
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def words(*more: str) -> list[str]:
    return ["data.per_class=30", "trainer.max_epochs=2", f"trainer.accelerator={ACCELERATOR}", *more]


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize(
    "way", [[], ["trainer.precision=bf16-mixed"], ["trainer.channels_last=true"], ["averaging=ema"]], ids=str
)
def test_the_whole_training(repronet, tmp_path, way):
    outcome = repronet("train", *words(*way), f"run_dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    assert result_of(tmp_path / "run")["steps"] > 0
    assert repronet("eval", f"run={tmp_path / 'run'}").code == 0


@on_cuda_alone
def test_training_in_fp16(repronet, tmp_path):
    assert repronet("train", *words("trainer.precision=16-mixed"), f"run_dir={tmp_path / 'run'}").code == 0


def test_deterministic_runs_are_equal_whether_killed_or_not(tmp_path):
    """Bit for bit: weights, optimizer, averages, curves, result."""
    given = [*WORDS, "trainer.max_epochs=2", "data.per_class=60", f"trainer.accelerator={ACCELERATOR}"]
    given.append("deterministic=true")
    for name in ("first", "second"):
        assert interruptions.run(tmp_path, *given, f"run_dir={name}") == 0, (tmp_path / "out.txt").read_text()
    killed = interruptions.run(tmp_path, *given, "run_dir=killed", strike=Strike("step", 20))
    assert killed == -signal.SIGKILL
    assert interruptions.run(tmp_path, "resume=killed") == 0, (tmp_path / "out.txt").read_text()
    first, *others = (interruptions.everything(tmp_path / name) for name in ("first", "second", "killed"))
    assert [interruptions.difference(first, other) for other in others] == [None, None]


@on_cuda_alone
def test_images_come_from_pinned_memory(tmp_path):
    """By loader processes that fetch ahead; the batches are those that are made in this process."""
    folder_of_images(tmp_path / "photos", 8)
    found = []
    for workers in (0, 2):
        run = tmp_path / str(workers)
        given = ["data=image_folder", f"data.root={tmp_path / 'photos'}", "model=resnet20", f"data.workers={workers}"]
        given += ["trainer.max_epochs=1", "trainer.accelerator=gpu", "deterministic=true", "data.batch_size=4"]
        assert interruptions.run(tmp_path, *given, f"run_dir={run}") == 0, (tmp_path / "out.txt").read_text()
        found.append(result_of(run)["last_val_error"])
    assert found[0] == found[1]


def folder_of_images(root: Path, each: int) -> None:
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (40, 40), tuple(max(0, part - number) for part in colour)).save(
                root / name / f"{number}.png"
            )


DDP = """
import pytorch_lightning as pl, torch
from torch.utils.data import DataLoader, TensorDataset
from repronet import ImageClassifier, models
drawn = torch.Generator().manual_seed(0)
data = TensorDataset(torch.randn(64, 1, 32, 32, generator=drawn), torch.randint(10, (64,), generator=drawn))
task = ImageClassifier(models.create("lenet5"))
quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer = pl.Trainer(accelerator="gpu", devices=-1, strategy="ddp", max_epochs=1, **quiet)
trainer.fit(task, DataLoader(data, 8))
total = torch.stack([weight.double().sum() for weight in task.parameters()]).sum().to(trainer.strategy.root_device)
sums = trainer.strategy.all_gather(total).flatten()
assert torch.equal(sums, sums[:1].expand_as(sums)), sums
print("processes", trainer.world_size)
"""


@on_cuda_alone
def test_ddp_on_the_devices_there_are():
    """All processes end with the same weights."""
    done = subprocess.run([sys.executable, "-c", DDP], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"processes {torch.cuda.device_count()}" in done.stdout


@on_cuda_alone
def test_a_step_waits_for_nothing():
    """torch's own watch over what synchronizes, in a step of our layers."""
    network, images = made("resnet20")
    one_step(network, images)
    torch.cuda.set_sync_debug_mode("error")
    try:
        one_step(network, images)
    finally:
        torch.cuda.set_sync_debug_mode("default")
