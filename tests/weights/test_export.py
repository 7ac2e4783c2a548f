"""What is written is read by others: safetensors, torchvision, torch.export and onnxruntime."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors import safe_open
from tiny_networks import drawn, install

import repronet
from repronet import layers, weights
from repronet.data.preprocessing import PixelMap
from repronet.data.whitening import GlobalContrast, LocalContrast, PerImage, PerPixelMean, Zca
from repronet.errors import UserError
from repronet.weights import export


@pytest.fixture(autouse=True)
def zoo(monkeypatch):
    install(monkeypatch)


def test_safetensors_say_what_they_are(tmp_path):
    weights.save(drawn("tiny_v1_5", num_classes=4, in_channels=1), tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        said = file.metadata()
    assert json.loads(said.pop("blueprint")) == {
        "name": "tiny_v1_5",
        "num_classes": 4,
        "in_channels": 1,
        "normalization": None,
        "layers": "custom",
    }
    assert said == {
        "format": "pt",
        "network": "tiny_v1_5",
        "num_classes": "4",
        "in_channels": "1",
        "repronet": repronet.__version__,
    }


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_network_of_torchvision_s_goes_there_and_back(ending, tmp_path):
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=5).to(memory_format=torch.channels_last)
    weights.save(network, tmp_path / f"w{ending}")
    if ending == ".pth":
        state = torch.load(tmp_path / "w.pth", weights_only=True)
        torchvision.models.resnet18(num_classes=5).load_state_dict(state)
        assert state["conv1.weight"].is_contiguous()
    other = torchvision.models.resnet18(num_classes=5)
    weights.load(other, tmp_path / f"w{ending}")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_tensors_that_share_memory_are_written_each(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    network[1].weight = network[0].weight
    weights.save(network, tmp_path / "w.safetensors")
    weights.load(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)), tmp_path / "w.safetensors")


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_write_that_fails_leaves_what_was_there(ending, tmp_path, monkeypatch):
    path = tmp_path / f"w{ending}"
    path.write_text("the old content")

    def half(tensors, draft, **_):
        draft.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    monkeypatch.setattr(export.safetensors.torch, "save_file", half)
    with pytest.raises(UserError, match=r"cannot be written .*No space left on device"):
        weights.save(drawn("tiny"), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "the old content"


def test_where_nothing_can_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        weights.save(drawn("tiny"), tmp_path / "none" / "w.pth")
    (tmp_path / "w.pth").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        weights.save(drawn("tiny"), tmp_path / "w.pth")
    assert [file.name for file in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize(
    ("write", "endings"),
    [
        (lambda path: weights.save(drawn("tiny"), path), "ends in neither .safetensors nor .pth"),
        (lambda path: weights.export_program(drawn("tiny"), path, (3, 8, 8)), "does not end in .pt2"),
        (lambda path: weights.export_onnx(drawn("tiny"), path, (3, 8, 8)), "does not end in .onnx"),
    ],
)
def test_another_ending_is_refused(write, endings, tmp_path):
    with pytest.raises(UserError, match=endings):
        write(tmp_path / "w.bin")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", ["tiny", "lenet5", "lenet5_1998"])
def test_a_program_gives_the_same_logits_for_any_batch(name, layers, tmp_path):
    network = drawn(name, layers=layers)
    size = (3, 9, 9) if name == "tiny" else (1, 32, 32)
    weights.export_program(network, tmp_path / "net.pt2", size)
    program = torch.export.load(tmp_path / "net.pt2").module()
    assert network.training  # only the copy that is written went into eval mode
    for batch in (1, 2, 7):
        images = torch.randn(batch, *size)
        assert torch.allclose(program(images), network.eval()(images), rtol=1e-5, atol=1e-4)
        network.train()


def test_a_program_consists_of_torch_s_operators(tmp_path):
    network = drawn("tiny")
    weights.export_program(network, tmp_path / "net.pt2", (3, 8, 8))
    assert type(network.conv1).__module__ == "repronet.layers.conv"
    calls = {str(node.target) for node in torch.export.load(tmp_path / "net.pt2").graph.nodes}
    assert {"aten.conv2d.default", "aten.batch_norm.default", "aten.linear.default"} <= calls


def test_an_input_that_the_network_cannot_take_is_one_line(tmp_path):
    with pytest.raises(UserError) as caught:
        weights.export_program(drawn("lenet5"), tmp_path / "net.pt2", (1, 28, 28))
    assert str(caught.value).startswith("input_size=(1, 28, 28): LeNet5 cannot take it (")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_missing_onnx_is_named_with_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ONNX needs onnx and onnxscript: pip install onnx onnxscript"):
        weights.export_onnx(drawn("tiny"), tmp_path / "net.onnx", (3, 8, 8))


@pytest.mark.slow
def test_weights_need_no_onnx_to_be_imported():
    check = "import sys, repronet.weights; sys.exit(not {'onnx', 'onnxscript'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def onnx_outputs(network: torch.nn.Module, path: Path, images: list[torch.Tensor]) -> list[torch.Tensor]:
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    weights.export_onnx(network, path, tuple(images[0].shape[1:]))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0]) for batch in images]


@pytest.mark.parametrize("name", ["tiny", "lenet5", "lenet5_1998"])
def test_onnx_gives_the_same_logits_for_any_batch(name, tmp_path):
    network = drawn(name).eval()
    images = [5 * torch.randn(batch, *((3, 9, 9) if name == "tiny" else (1, 32, 32))) for batch in (1, 2, 7)]
    for batch, logits in zip(images, onnx_outputs(network, tmp_path / "net.onnx", images), strict=True):
        wanted = network(batch).detach()
        assert wanted.std() > 0.01  # or the comparison would tell nothing
        assert (logits - wanted).abs().max() <= 1e-4


@pytest.mark.slow
def test_onnx_of_a_network_of_torchvision_s(tmp_path):
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=5).eval()
    images = [torch.randn(3, 3, 64, 64)]
    (logits,) = onnx_outputs(network, tmp_path / "net.onnx", images)
    assert (logits - network(images[0])).abs().max() <= 1e-4


@pytest.mark.parametrize("padding", [0, 1])
def test_onnx_keeps_the_divisor_of_a_pooling(padding, tmp_path):
    network = torch.nn.Sequential(torch.nn.AvgPool2d((3, 2), 2, padding, count_include_pad=False, divisor_override=4))
    images = [torch.randn(2, 3, 9, 9)]
    (sums,) = onnx_outputs(network, tmp_path / "net.onnx", images)
    assert (sums - network(images[0])).abs().max() <= 1e-6


@pytest.mark.parametrize("size", [(3, 5), (13, 4), 1])
def test_onnx_pools_to_a_size_that_divides_the_maps_or_not(size, tmp_path):
    network, images = torch.nn.Sequential(layers.AdaptiveMaxPool2d(size)), torch.randn(3, 2, 13, 12)
    (maxima,) = onnx_outputs(network, tmp_path / "net.onnx", [images])
    torch.testing.assert_close(maxima, network(images))


def test_onnx_knows_where_the_maxima_stood(tmp_path):
    class Where(torch.nn.Module):
        def forward(self, images):
            return torch.nn.functional.adaptive_max_pool2d(images, (3, 5), return_indices=True)[1].float()

    images = torch.randn(3, 2, 13, 12)
    (where,) = onnx_outputs(Where(), tmp_path / "net.onnx", [images])
    torch.testing.assert_close(where, Where()(images))


def test_an_operator_that_onnx_lacks_is_named_in_one_line(tmp_path):
    class Airy(torch.nn.Module):
        def forward(self, images):
            return torch.special.airy_ai(images)

    with pytest.raises(UserError, match=r"cannot be written as ONNX \(.*aten.special_airy_ai") as refused:
        onnx_outputs(Airy(), tmp_path / "net.onnx", [torch.randn(2, 3, 8, 8)])
    assert str(refused.value).isprintable()  # no line ends, no colours of a terminal


def test_what_onnx_cannot_say_is_refused(tmp_path):
    network = torch.nn.Sequential(torch.nn.AvgPool2d(3, 2, ceil_mode=True, divisor_override=4))
    with pytest.raises(UserError, match="ONNX has no average pooling with divisor_override and ceil_mode"):
        onnx_outputs(network, tmp_path / "net.onnx", [torch.randn(2, 3, 8, 8)])


@pytest.mark.parametrize(
    "pixel_map",
    [
        PixelMap((4.0, 3.0, 2.0), (-1.0, 0.0, 0.5)),
        PerPixelMean(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))),
        PerImage(),
        GlobalContrast(scale=2.0, regularizer=0.1),
        LocalContrast(size=5),
        Zca(torch.zeros(192), torch.eye(192) * 3),
    ],
    ids=lambda pixel_map: type(pixel_map).__name__,
)
@pytest.mark.parametrize("enlarged_to", [None, 16])
def test_onnx_takes_pixels_with_the_preprocessing_in_the_graph(pixel_map, enlarged_to, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    network = drawn("tiny").eval()
    weights.export_onnx(weights.OnPixels(network, pixel_map, enlarged_to), tmp_path / "net.onnx", (3, 8, 8))
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("pixels", "tensor(uint8)", ["batch", 3, 8, 8])
    for batch in (1, 5):
        pixels = torch.randint(0, 256, (batch, 3, 8, 8), dtype=torch.uint8)
        images = pixel_map(pixels)
        if enlarged_to:
            images = torch.nn.functional.interpolate(images, (16, 16), mode="bilinear")
        found = torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])
        torch.testing.assert_close(found, network(images).detach(), rtol=1e-4, atol=1e-4)


def test_height_and_width_may_be_any(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    network = drawn("tiny").eval()
    weights.export_onnx(network, tmp_path / "w.onnx", (3, 8, 8), any_size=True, metadata={"classes": '["猫"]'})
    weights.export_program(network, tmp_path / "w.pt2", (3, 8, 8), any_size=True)
    model = onnx.load(tmp_path / "w.onnx")
    axes = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    assert {item.key: item.value for item in model.metadata_props}["classes"] == '["猫"]'
    session = runtime.InferenceSession(tmp_path / "w.onnx", providers=["CPUExecutionProvider"])
    program = torch.export.load(tmp_path / "w.pt2").module()
    for shape in ((1, 3, 8, 8), (3, 3, 21, 16)):
        images = torch.randn(shape)
        with torch.no_grad():
            expected = network(images)
            torch.testing.assert_close(program(images), expected)
        found = session.run(None, {"images": images.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)
