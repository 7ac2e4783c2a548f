"""Networks of timm and torchvision by name: found, adapted to classes and channels, cut into stages, tuned."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
import pytorch_lightning as pl
import timm
import torch
import torchvision
from torch import Tensor, nn

from repronet import ImageClassifier, models, weights
from repronet.config.compose import compose
from repronet.errors import UserError
from repronet.layers import set_algorithm
from repronet.models import foreign
from repronet.models.stages import class_layers, stages
from repronet.training.distillation import LearningWithoutForgetting

WAYS = ("none", "scratch", "all", "head", "discriminative", "gradual", "head_then_all", "lwf")
VALUES = {"discriminative": {"factor": 0.4}, "gradual": {"factor": 0.4, "epochs_each": 1}}
VALUES |= {way: {"factor": 0.4, "head_epochs": 1} for way in ("head_then_all", "lwf")}

# A name: the side of the images that it is tried on.
BACKBONES = {
    "timm/test_resnet": 32,
    "timm/test_vit": 160,
    "timm/test_convnext": 64,
    "timm/test_efficientnet": 64,
    "timm/test_byobnet": 64,
    "timm/test_mambaout": 64,
    "timm/test_nfnet": 64,
    "timm/mobilenetv3_small_050": 64,
    "timm/regnetx_002": 64,
    "timm/ghostnet_050": 64,
    "timm/poolformer_s12": 64,
    "timm/mobilevit_xxs": 64,
    "torchvision/resnet18": 32,
    "torchvision/mobilenet_v3_small": 32,
    "torchvision/shufflenet_v2_x0_5": 32,
    "torchvision/efficientnet_b0": 32,
    "torchvision/densenet121": 32,
    "torchvision/regnet_x_400mf": 32,
    "torchvision/mnasnet0_5": 32,
    "torchvision/swin_t": 32,
}
QUICK = ("timm/test_resnet", "torchvision/shufflenet_v2_x0_5")


def of_library(name: str) -> nn.Module:
    """The library's own network, as it makes it, with statistics that are not those of a fresh one."""
    library, short = name.split("/")
    torch.manual_seed(1)
    network = timm.create_model(short) if library == "timm" else torchvision.models.get_model(short, weights=None)
    for key, tensor in network.named_buffers():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
    return network.eval()


def slow_unless_quick(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow_unless_quick(BACKBONES))
def test_computes_what_the_library_computes_from_a_saved_file(name, tmp_path):
    theirs, side = of_library(name), BACKBONES[name]
    images = torch.randn(2, 3, side, side)
    for ending, layers in ((".pth", "custom"), (".safetensors", "torch")):
        weights.save(theirs, tmp_path / f"saved{ending}")
        ours = models.create(name, layers=layers).eval()
        weights.load(ours, tmp_path / f"saved{ending}")
        with torch.no_grad():
            expected, found = theirs(images), ours(images)
        if layers == "torch":
            assert torch.equal(found, expected)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.filterwarnings("default")  # Lightning's, about loaders
@pytest.mark.parametrize("name", slow_unless_quick(BACKBONES))
def test_head_and_channels_are_adapted_and_every_way_takes_a_step(name):
    theirs, side = of_library(name).state_dict(), BACKBONES[name]
    torch.manual_seed(0)
    images, labels = torch.randn(4, 1, side, side), torch.tensor([0, 1, 2, 3])
    for way in WAYS:
        network = models.create(name, num_classes=5, in_channels=1)
        set_algorithm(network, "vendor")  # nothing is measured
        loaded = weights.load(network, theirs, adapt_head=True, adapt_input=True)
        assert {key.rpartition(".")[0] for key in loaded.fresh} == class_layers(network)
        assert loaded.reshaped is not None
        step(network, theirs, way, images, labels)


def step(network: nn.Module, theirs: dict[str, Tensor], way: str, images: Tensor, labels: Tensor) -> None:
    """One step, after which what is trained has moved, and what is frozen has not."""
    tuning = None if way in ("none", "scratch") else {"name": way, **VALUES.get(way, {})}
    kept = None
    if way == "lwf":
        old = models.create(str(network.architecture), in_channels=1, layers="torch")
        weights.load(old, theirs, adapt_input=True)
        kept = LearningWithoutForgetting(network, old, 1.0, 2.0)
    task = ImageClassifier(network, 5, optimizer={"name": "sgd", "lr": 0.1}, finetune=tuning, distillation=kept)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    fit(task, images, labels)
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
    moved = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    heads, first = class_layers(network), stages(network)[0].name
    assert moved & {f"{layer}.weight" for layer in heads}
    if way in ("head", "gradual", "head_then_all", "lwf"):
        assert {key.rpartition(".")[0] for key in moved} <= heads
    else:
        assert any(key.startswith(first) for key in moved)


def fit(task: ImageClassifier, images: Tensor, labels: Tensor) -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=len(images))
    trainer = pl.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, loader, loader)


def test_the_names_are_those_that_the_libraries_register():
    assert foreign.names("timm") == tuple(f"timm/{name}" for name in sorted(timm.list_models()))
    classifiers = torchvision.models.list_models(module=torchvision.models)
    assert foreign.names("torchvision") == tuple(f"torchvision/{name}" for name in sorted(classifiers))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnt18", "no such network; nearest: timm/resnet18 (`repronet list timm` names all"),
        ("torchvision/fcn_resnet50", "no such network; nearest: torchvision/resnet50"),  # of another task
        ("timm/hf-hub:somebody/network", "no such network"),
        ("timm/resnet18.a1_in1k", "has weights in its name; use model=timm/resnet18 weights=timm/resnet18.a1_in1k"),
    ],
)
@pytest.mark.parametrize("way", [models.create, lambda name: compose("train", [f"model={name}"])])
def test_another_name_is_refused(way: Callable[[str], object], name, message):
    with pytest.raises(UserError) as caught:
        way(name)
    assert str(caught.value).startswith(f"model={name}: {message}")


def test_a_name_is_refused_without_torch():
    code = "import sys; from repronet.models import foreign; foreign.require('timm/vgg11'); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in found.stdout.split()


def test_a_missing_library_is_said_in_a_line(monkeypatch):
    monkeypatch.setattr(foreign, "names", lambda library: ())
    with pytest.raises(UserError, match=re.escape("model=timm/resnet18: needs timm: pip install timm")):
        models.create("timm/resnet18")


def test_what_ours_alone_have_is_refused():
    with pytest.raises(UserError, match="normalization=group: networks of other libraries keep their own"):
        models.create("timm/test_resnet", normalization="group")
    with pytest.raises(UserError, match="only a network from outside the package has options"):
        models.create("timm/test_resnet", options={"drop_rate": 0.5})
    with torch.device("meta"), pytest.raises(UserError, match="needs images of 1024×768, not square"):
        models.create("timm/vit_base_patch16_sapiens2")


def test_stages_are_timms_groups_or_torchvisions_blocks():
    def names(name):
        with torch.device("meta"):
            return [stage.name for stage in stages(models.create(name))]

    assert names("timm/resnet18") == ["conv1", "layer1", "layer2", "layer3", "layer4", "head"]
    assert names("timm/convnext_atto") == ["stem", "stages.0", "stages.1", "stages.2", "stages.3", "head"]
    with torch.device("meta"):
        head = stages(models.create("timm/convnext_atto"))[-1]
    assert [path for path, _ in head.parts] == ["head.fc"]  # beside which stands head.norm
    assert names("timm/deit_tiny_distilled_patch16_224")[:2] == ["cls_token", "blocks.0"]
    assert names("torchvision/regnet_x_400mf")[:3] == ["stem", "trunk_output.block1", "trunk_output.block2"]
    assert names("torchvision/vit_b_16")[:2] == ["class_token", "encoder.layers.encoder_layer_0"]


def test_where_timm_does_not_group_stages_are_found_or_refused():
    with torch.device("meta"):
        grouped, shared = models.create("timm/rdnet_tiny"), models.create("timm/coat_lite_tiny")
    assert [stage.name for stage in stages(grouped)] == ["stem", "dense_stages", "head"]
    with pytest.raises(UserError, match="stages of timm/coat_lite_tiny share weights; keep finetune=none"):
        stages(shared)


@pytest.mark.parametrize("name", slow_unless_quick(BACKBONES))
def test_stages_hold_every_parameter_once_and_the_head_alone_is_of_the_classes(name):
    with torch.device("meta"):
        network = models.create(name)
    found, heads = stages(network), class_layers(network)
    held = [id(parameter) for stage in found for parameter in stage.parameters()]
    assert sorted(held) == sorted(map(id, network.parameters()))
    assert found[-1].name == "head"
    ends = [id(parameter) for path in heads for parameter in network.get_submodule(path).parameters()]
    assert sorted(map(id, found[-1].parameters())) == sorted(ends)
    if hasattr(network, "get_classifier"):
        classifier = network.get_classifier()  # type: ignore[operator]
        assert heads == {path for path, module in network.named_modules() if module is classifier}


def test_an_old_head_is_kept_where_it_is_linear():
    network, old = (models.create("torchvision/squeezenet1_1", num_classes=n, layers="torch") for n in (5, 7))
    with pytest.raises(UserError, match="the head of torchvision/squeezenet1_1 is not linear; take head_then_all"):
        LearningWithoutForgetting(network, old, 1.0, 2.0)
