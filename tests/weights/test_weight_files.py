"""Files are read without running anything in them, and what cannot be read is one line with its path."""

from __future__ import annotations

import pickle
import random

import pytest
import safetensors.torch
import torch
from torch import nn

from repronet.errors import UserError
from repronet.weights import files


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def layer() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(30, 20).state_dict()


def line(path) -> str:
    with pytest.raises(UserError) as caught:
        files.read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ending", [".pth", ".pt", ".th", ".ckpt"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_every_customary_form_is_read(ending, wrapper, zipped, tmp_path):
    content = layer() if wrapper is None else {wrapper: layer(), "epoch": 3}
    torch.save(content, tmp_path / f"w{ending}", _use_new_zipfile_serialization=zipped)
    source = files.read(tmp_path / f"w{ending}")
    assert source.network is None
    assert all(torch.equal(source.tensors[key], tensor) for key, tensor in layer().items())


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_pickles_that_would_run_code_are_refused(ending, tmp_path):
    marker = tmp_path / "it ran"
    content = {"state_dict": layer(), "x": Malicious(marker)}
    torch.save(content, tmp_path / f"zip.{ending}")
    torch.save(content, tmp_path / f"old.{ending}", _use_new_zipfile_serialization=False)
    (tmp_path / f"bare.{ending}").write_bytes(pickle.dumps(content))
    for name in ("zip", "old", "bare"):
        assert ("refused" if ending == "pth" else "no safetensors") in line(tmp_path / f"{name}.{ending}")
    assert not marker.exists()
    pickle.loads((tmp_path / f"bare.{ending}").read_bytes())["x"].close()
    assert marker.exists()  # an unwary program would have run it


def test_a_whole_network_that_was_pickled_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "net.pth")
    assert "refused, it holds torch.nn.modules.linear.Linear" in line(tmp_path / "net.pth")


@pytest.mark.parametrize("ending", ["pth", "old.pth", "safetensors"])
def test_truncated_files_are_one_line(ending, tmp_path):
    path = tmp_path / f"w.{ending}"
    if ending == "safetensors":
        safetensors.torch.save_file(layer(), path)
    else:
        torch.save(layer(), path, _use_new_zipfile_serialization=ending == "pth")
    whole = path.read_bytes()
    for kept in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert "damaged" in line(path)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_garbage_is_one_line(ending, tmp_path):
    noise = random.Random(0)
    path = tmp_path / f"w.{ending}"
    for start in (b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x02}q\x00(", b"hello world\n" * 20, b"\xff" * 7 + b"\x00"):
        path.write_bytes(start + noise.randbytes(300))
        assert "damaged" in line(path)


@pytest.mark.parametrize("network", [None, 7, ["lenet5"], "lenet5"])
def test_the_name_in_a_config_is_taken_only_as_text(network, tmp_path):
    content = {"state_dict": layer(), "hyper_parameters": {"config": {"model": {"name": network}}}}
    torch.save(content, tmp_path / "w.ckpt")
    assert files.read(tmp_path / "w.ckpt").network == (network if network == "lenet5" else None)
    content["hyper_parameters"]["config"]["model"] = network
    torch.save(content, tmp_path / "w.ckpt")
    assert files.read(tmp_path / "w.ckpt").network is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ([1, 2], "holds a list, not a state dict"),
        ({"epoch": 1, "best": {"error": 0.1}}, "no state dict: epoch is a int, not a tensor"),
        ({"state_dict": {}}, "holds no tensor"),
    ],
)
def test_something_else_than_a_state_dict_is_said(content, message, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    assert message in line(tmp_path / "w.pth")


def test_what_is_not_there_is_said(tmp_path):
    assert line(tmp_path / "none.pth").endswith("no such file")
    with pytest.raises(UserError, match="no run there"):
        files.read(tmp_path)
