"""Files that would run code, are damaged, or belong elsewhere: each is refused in one line, and nothing is changed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from repronet import models, runs, weights
from repronet.errors import UserError
from repronet.training.checkpoints import read_checkpoint

pytestmark = pytest.mark.field

MARKER = "it ran"


class Call:
    """Unpickled, it calls ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def good() -> dict[str, torch.Tensor]:
    return models.create("lenet5").state_dict()


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def system_call(path: Path) -> None:
    torch.save({**good(), "x": Call(os.system, f"touch '{path.parent / MARKER}'")}, path)


def open_for_writing(path: Path) -> None:
    torch.save({"state_dict": good(), "x": Call(open, str(path.parent / MARKER), "w")}, path)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({**good(), "x": Call(eval, f"open({str(path.parent / MARKER)!r}, 'w')")}))


def old_format(path: Path) -> None:
    content = {**good(), "x": Call(open, str(path.parent / MARKER), "w")}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def whole_network(path: Path) -> None:
    torch.save(models.create("lenet5"), path)


def scripted(path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 2)), path)


def numpy_objects(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([Call(open, str(path.parent / MARKER), "w")], dtype=object), allow_pickle=True)


def second_pickle_in_the_archive(path: Path) -> None:
    torch.save(good(), path)
    evil = pickle.dumps(Call(open, str(path.parent / MARKER), "w"))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, evil if name.endswith("data.pkl") else data)


def truncated(path: Path) -> None:
    torch.save(good(), path)
    cut(path, 0.5)


def one_bit(path: Path) -> None:
    torch.save(good(), path)
    flip(path)


def truncated_safetensors(path: Path) -> None:
    save_file(good(), path)
    cut(path, 0.5)


def endless_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}" * 100)


def error_page(path: Path) -> None:
    path.write_text("<html><body>404 Not Found</body></html>\n" * 40)


def other_shapes(path: Path) -> None:
    torch.save(models.create("lenet5", num_classes=7).state_dict(), path)


def other_network(path: Path) -> None:
    torch.save(models.create("lecture_net").state_dict(), path)


def not_finite(path: Path) -> None:
    torch.save({name: tensor / 0 for name, tensor in good().items()}, path)


SLOW = (other_network,)  # every network is looked through for the one that it fits
FILES = [
    *((make, "w.pth") for make in (system_call, open_for_writing, plain_pickle, old_format, whole_network)),
    *((make, "w.pth") for make in (numpy_objects, second_pickle_in_the_archive, truncated, one_bit, error_page)),
    *((make, "w.pth") for make in (other_shapes, other_network, not_finite)),
    *((make, "w.safetensors") for make in (truncated_safetensors, endless_header, error_page)),
    (scripted, "w.pt"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "name"),
    [pytest.param(make, name, marks=pytest.mark.slow if make in SLOW else ()) for make, name in FILES],
    ids=[f"{make.__name__}-{name}" for make, name in FILES],
)
def test_it_is_refused_in_one_line_and_nothing_is_run(make, name, tmp_path):
    make(tmp_path / name)
    network = models.create("lenet5")
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(UserError) as refused:
        weights.load(network, tmp_path / name)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / MARKER).exists()
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


HOSTILE = [system_call, open_for_writing, plain_pickle, old_format, whole_network, second_pickle_in_the_archive]


@pytest.mark.parametrize("make", [*HOSTILE, truncated, one_bit, error_page, other_shapes])
@pytest.mark.parametrize("command", ["eval", pytest.param("train", marks=pytest.mark.slow)])
def test_no_command_takes_it_for_a_checkpoint(make, command, tmp_path, repronet):
    checkpoint = tmp_path / "r" / runs.LAST
    checkpoint.parent.mkdir(parents=True)
    (tmp_path / "r" / runs.CONFIG).write_text("")
    make(checkpoint)
    outcome = repronet(*(("eval", "run=r", "checkpoint=last") if command == "eval" else ("train", "resume=r")))
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (checkpoint.parent / MARKER).exists()


def test_a_single_bit_of_a_checkpoint_is_found(tmp_path, finished_run):
    whole = (finished_run / runs.LAST).read_bytes()
    for place in range(len(whole) // 50, len(whole), len(whole) // 12):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / "x.ckpt").write_bytes(damaged)
        try:
            content = read_checkpoint(tmp_path / "x.ckpt")
        except UserError:
            continue
        # Padding between the tensors and the archive's own directory hold nothing of the run.
        assert content["sha256"] == read_checkpoint(finished_run / runs.LAST)["sha256"]


def test_the_averaged_weights_of_a_run_are_those_that_are_loaded(tmp_path):
    latest, mean = good(), good()
    content = {f"network.{key}": value for key, value in latest.items()}
    content |= {f"averaged.module.{key}": value for key, value in mean.items()}
    for steps, expected in ((0, latest), (3, mean)):
        torch.save({"state_dict": {**content, "averaged.n_averaged": torch.tensor(steps)}}, tmp_path / "r.ckpt")
        network = models.create("lenet5")
        weights.load(network, tmp_path / "r.ckpt")
        assert torch.equal(network.c1.weight, expected["c1.weight"])
