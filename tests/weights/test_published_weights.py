"""torchvision's names: which network they are for, and that a file is what its name says. Nothing is downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torchvision
from tiny_networks import drawn, install, same
from torchvision.models import Weights, WeightsEnum

from repronet import weights
from repronet.errors import UserError
from repronet.weights import published


@pytest.fixture
def server(tmp_path, monkeypatch) -> Path:
    """A folder to download from; torchvision has tiny_v1_5 under the name tiny, with weights in it."""
    install(monkeypatch)
    folder = tmp_path / "server"
    folder.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    torch.save(drawn("tiny_v1_5", seed=5).state_dict(), folder / "draft")
    digest = hashlib.sha256((folder / "draft").read_bytes()).hexdigest()
    file = (folder / "draft").rename(folder / f"tiny-{digest[:8]}.pth")

    class TinyWeights(WeightsEnum):
        IMAGENET1K_V1 = Weights(url=file.as_uri(), transforms=torch.nn.Identity, meta={})
        IMAGENET1K_V2 = Weights(url=(folder / "gone-0123abcd.pth").as_uri(), transforms=torch.nn.Identity, meta={})
        DEFAULT = IMAGENET1K_V1

    monkeypatch.setattr(published, "BUILDERS", {"tiny_v1_5": "tiny"})
    monkeypatch.setattr(published, "OTHERWISE_NAMED", {"tiny": "tiny_v1_5"})
    monkeypatch.setattr(
        "torchvision.models.get_model_weights", lambda builder: TinyWeights if builder == "tiny" else ()
    )
    return folder


def cached(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "home" / "hub" / "checkpoints").iterdir()
    return file


@pytest.mark.parametrize("name", ["IMAGENET1K_V1", "DEFAULT"])
@pytest.mark.parametrize("layers", ["custom", "torch"])
def test_a_name_is_downloaded_once_and_loaded(name, layers, server, tmp_path):
    network = drawn("tiny_v1_5", layers=layers)
    assert weights.load(network, name) == weights.Loaded(f"weights={name}", "tiny_v1_5")
    assert same(network, drawn("tiny_v1_5", seed=5))
    for file in server.iterdir():
        file.unlink()
    again = drawn("tiny_v1_5")
    weights.load(again, name)  # out of torch.hub's folder
    assert same(again, network)


def test_a_name_adapts_like_any_source(server):
    network = drawn("tiny_v1_5", num_classes=2, in_channels=1)
    loaded = weights.load(network, "IMAGENET1K_V1", adapt_head=True, adapt_input=True)
    assert loaded.reshaped == "conv1.weight"
    assert torch.equal(network.conv2.weight, drawn("tiny_v1_5", seed=5).conv2.weight)


def test_a_damaged_file_is_removed_named_and_had_again(server, tmp_path):
    weights.load(drawn("tiny_v1_5"), "IMAGENET1K_V1")
    file = cached(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit; torch.hub alone would not see it
    network = drawn("tiny_v1_5")
    with pytest.raises(UserError, match=f"^weights=IMAGENET1K_V1: {file} was damaged .* and is removed; try again$"):
        weights.load(network, "IMAGENET1K_V1")
    assert not file.exists()
    assert same(network, drawn("tiny_v1_5"))
    weights.load(network, "IMAGENET1K_V1")
    assert file.read_bytes() == whole


def test_a_download_that_is_not_what_was_asked_for_is_one_line(server, tmp_path):
    (file,) = server.iterdir()
    file.write_bytes(b"an error page")
    with pytest.raises(UserError) as caught:
        weights.load(drawn("tiny_v1_5"), "IMAGENET1K_V1")
    assert str(caught.value).startswith(
        f"weights=IMAGENET1K_V1: {file.as_uri()} cannot be downloaded (invalid hash value"
    )
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "home" / "hub" / "checkpoints").iterdir())


def test_no_way_to_the_file_is_one_line_with_the_place_for_it(server, tmp_path):
    with pytest.raises(UserError) as caught:
        weights.load(drawn("tiny_v1_5"), "IMAGENET1K_V2")
    place = tmp_path / "home" / "hub" / "checkpoints" / "gone-0123abcd.pth"
    assert "cannot be downloaded (" in str(caught.value)
    assert str(caught.value).endswith(f"; save the file as {place}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("network", "name", "message"),
    [
        ("tiny", "IMAGENET1K_V1", "torchvision's tiny is not model=tiny here; it is model=tiny_v1_5"),
        ("lenet5", "IMAGENET1K_V1", "torchvision has no weights for model=lenet5; give the path of a file"),
        (
            "tiny_v1_5",
            "IMAGENET1K_V3",
            "torchvision has none of that name for model=tiny_v1_5 (choices: IMAGENET1K_V1, IMAGENET1K_V2)",
        ),
    ],
)
def test_a_name_that_is_not_for_the_network_is_refused_before_anything_is_fetched(
    network, name, message, server, tmp_path
):
    with pytest.raises(UserError) as caught:
        weights.load(drawn(network), name)
    assert str(caught.value) == f"weights={name}: {message}"
    assert not (tmp_path / "home").exists()


def test_a_network_of_others_has_no_names(server):
    with pytest.raises(UserError, match="this is no network of repronet"):
        weights.load(torch.nn.Linear(2, 2), "IMAGENET1K_V1")


def test_a_published_file_says_by_its_name_what_it_is(server):
    (file,) = server.iterdir()
    assert weights.load(drawn("tiny_v1_5"), file).network == "tiny_v1_5"
    with pytest.raises(UserError) as caught:
        weights.load(drawn("tiny"), file)
    assert str(caught.value) == f"{file}: holds weights of model=tiny_v1_5, not of model=tiny"
    renamed = file.rename(file.with_name("own.pth"))
    assert weights.load(drawn("tiny"), renamed).network is None  # nothing in it tells


def test_another_content_under_a_published_name_is_refused_and_kept(server):
    (file,) = server.iterdir()
    torch.save(drawn("tiny_v1_5").state_dict(), file)
    with pytest.raises(
        UserError, match="damaged, its SHA-256 is not the one in its name; download it again, or rename"
    ):
        weights.load(drawn("tiny_v1_5"), file)
    assert file.exists()


def test_a_file_may_be_called_like_a_name(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = drawn("tiny", seed=2)
    torch.save(network.state_dict(), "WEIGHTS")
    weights.load(other := drawn("tiny"), "WEIGHTS")
    assert same(network, other)


def test_every_builder_is_torchvision_s_and_its_files_are_told_apart():
    assert set(published.BUILDERS.values()) <= set(torchvision.models.list_models(torchvision.models))
    urls = [e.url for builder in published.BUILDERS.values() for e in torchvision.models.get_model_weights(builder)]
    names = [url.rpartition("/")[2] for url in urls]
    assert len(set(names)) == len(names)
    unhashed = [name for name in names if not published._HASH.search(name)]
    assert not unhashed


def test_the_papers_own_names_are_refused_and_torchvision_s_variants_named():
    assert published.OTHERWISE_NAMED == {
        "alexnet": "alexnet_owt",
        "googlenet": "googlenet_bn",
        "resnet50": "resnet50_v1_5",
        "resnet101": "resnet101_v1_5",
        "resnet152": "resnet152_v1_5",
    }
