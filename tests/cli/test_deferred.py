"""What is imported when: a first step, and what needs no torch, wait for nothing that they do not use."""

import subprocess
import sys

import pytest

HEAVY = {"scipy", "sklearn", "pandas", "matplotlib", "sympy", "torchvision.models", "torchvision.ops.roi_align"}
COMPILER = {"torch._dynamo.utils", "torch._inductor"}
AUDIO = {"torchmetrics.functional.audio.pit", "torchmetrics.functional.image.arniqa"}


def _python(code: str, *words: str, cwd=None) -> str:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["train", "--help"], ["list"], ["list", "experiment"]])
def test_what_needs_no_torch_imports_none(words):
    code = (
        "import sys\nfrom repronet.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert not end.code\n"
        "print('IMPORTED', *sorted(sys.modules))"
    )
    imported = set(_python(code, *words).rpartition("IMPORTED ")[2].split())
    assert "repronet.cli" in imported
    assert not imported & {"torch", "numpy", "torchvision", "pytorch_lightning", *HEAVY}


PLUGIN = """
import sys
from repronet import register

@register.callback("modules")
def modules():
    import pytorch_lightning as pl

    class Modules(pl.Callback):
        def on_train_batch_end(self, *given):
            print("IMPORTED", *(name for name, found in sys.modules.items() if type(found).__name__ == "module"))

    return Modules()
"""


def test_a_first_step_waits_for_no_plots_no_compiler_and_no_other_networks(tmp_path):
    (tmp_path / "modules.py").write_text(PLUGIN)
    words = ["train", "--plugin", "modules.py", "callbacks=[modules]", "model=mlp", "trainer.max_steps=1"]
    said = _python("from repronet.cli import main\nmain()", *words, "trainer.limit_val_batches=1", cwd=tmp_path)
    imported = set(said.partition("IMPORTED ")[2].partition("\n")[0].split())
    assert {"torch", "pytorch_lightning", "torchmetrics.metric"} <= imported
    assert not imported & (HEAVY | COMPILER | AUDIO)
    assert "test error" in said  # and with them it goes on to its end


@pytest.mark.slow
def test_what_is_deferred_is_all_there_when_it_is_asked_for():
    said = _python(
        """
from repronet.cli.deferred import defer
defer()
import sys, torch, torch._dynamo, torchmetrics, torchvision
from lightning_fabric.wrappers import _unwrap_compiled
layer = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), 0.1)  # which asks the compiler to leave it alone
optimizer.step()
assert torch.compiler.assume_constant_result(lambda: 1)._dynamo_marked_constant  # as the compiler itself marks it
assert torchmetrics.Metric is torchmetrics.metric.Metric and not _unwrap_compiled(layer)[1]
assert "torch._dynamo.utils" not in sys.modules and "torchvision.models.resnet" not in sys.modules
import torch._dynamo.utils  # a part of a package that runs as a whole
assert torch._dynamo.utils is sys.modules["torch._dynamo.utils"] and torch._dynamo.eval_frame
assert torch._dynamo.assume_constant_result(lambda: 1)._dynamo_marked_constant
compiled = torch.compile(layer, backend="eager")
assert torch.equal(compiled(torch.ones(1, 2)), layer(torch.ones(1, 2)))
assert _unwrap_compiled(compiled)[0] is layer
optimizer.step()
assert torchvision.models.resnet18 is torchvision.models.resnet.resnet18 and torchvision.ops.nms
assert torchmetrics.classification.MulticlassAccuracy(num_classes=3) and torchmetrics.image
figure, axes = torchmetrics.MeanMetric().plot(torch.ones(()))
assert "matplotlib.figure" in sys.modules
print("all there")
"""
    )
    assert said == "all there\n"
