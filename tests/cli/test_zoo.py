"""Weights that come with repronet: what they are, that they do what their records say, and what is done with them."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from PIL import Image

import repronet as library
from conftest import REPOSITORY
from repronet import models, runs, weights, zoo
from repronet.data import sources
from repronet.errors import UserError
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction import record as records

LENET = "repronet/lenet5-mnist"
DATASETS = REPOSITORY.parent / "shared" / "datasets"


@pytest.mark.parametrize("name", zoo.names())
def test_each_has_its_record_its_hash_and_is_small(name):
    record = zoo.record_of(name)
    assert record["weights"]["bytes"] == zoo.path_of(name).stat().st_size <= zoo.MOST
    assert record["experiment"] in EXPERIMENTS
    assert len(record["commit"]) == 40
    assert record["fingerprint"]["weights"]["0"]
    assert library.load(name).config["seed"] == record["seed"]


def test_all_of_them_are_small_together():
    assert 0 < sum(zoo.path_of(name).stat().st_size for name in zoo.names()) < 8_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_each_gives_the_recorded_error_to_the_digit(repronet, name):
    record = zoo.record_of(name)
    data = record["config"]["data"]["name"]
    if not (DATASETS / {"mnist": "MNIST", "cifar10": "cifar10"}[data]).is_dir():
        pytest.skip(f"{data} is not in ../shared/datasets")
    outcome = repronet("eval", f"weights={name}", f"data={data}", f"data_root={DATASETS}")
    assert (outcome.code, outcome.err) == (0, "")
    if record["config"]["trainer"].get("precision") == "bf16-mixed":
        # Processors round products in bfloat16 in their own ways; in float32 this network errs on six images more.
        (found,) = re.findall(r"^test_error  (\S+)$", outcome.out, re.MULTILINE)
        assert abs(float(found) - record["test_error"]) * record["test_images"] <= 10
    else:
        assert f"test_error  {record['test_error']!r}\n" in outcome.out


def test_the_list_says_what_a_record_says(repronet):
    out = repronet("list", "weights").out
    record = zoo.record_of(LENET)
    (row,) = [line for line in out.splitlines() if line.startswith(LENET)]
    assert row.split()[1:5] == [f"{record['test_error']:.2%}", "0", "20", "248"]
    assert record["weights"]["sha256"][:9] in row
    assert "  repronet reproduce lenet5_mnist threads=1\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_first_image_needs_no_data(repronet, tmp_path):
    outcome = repronet("visualize", f"weights={LENET}", "what=filters,curves")
    assert (outcome.code, outcome.err) == (0, "")
    assert {path.name for path in (tmp_path / "pictures").glob("*.png")} == {"filters.png", "curves.png"}


def test_digits_are_named_and_tested(repronet, tmp_path):
    digits = sources.load("mnist5k", sources.Request(None)).test
    for row in range(20):
        image = Image.fromarray(digits.image(row)[0].numpy())
        image.save(tmp_path / f"{row:02}.png")
    assert repronet("predict", f"weights={LENET}", f"images={tmp_path}", "top=1").code == 0
    rows = (tmp_path / "predictions.csv").read_text().splitlines()[1:]
    said = [row.split(",")[1] for row in rows]
    wrong = sum(name != str(int(digits.labels[row])) for row, name in enumerate(said))
    assert wrong <= 1
    out = repronet("eval", f"weights={LENET}", "data=mnist5k").out
    assert float(out.split("test_error  ")[1].split()[0]) < 0.01


def test_a_network_begins_with_them(repronet, tmp_path):
    network = models.create("lenet5", in_channels=1, num_classes=10)
    loaded = weights.load(network, LENET)
    assert loaded.network == "lenet5"
    assert torch.equal(network.state_dict()["c1.weight"], library.load(LENET).network.state_dict()["c1.weight"])
    tuned = repronet(
        *("train", f"weights={LENET}", "finetune=head", "data.per_class=10", "trainer.max_epochs=1", "data.val=100")
    )
    assert (tuned.code, tuned.err) == (0, "")
    assert "standardizing by their mean 0.131, std 0.308" in tuned.out
    (folder,) = (tmp_path / "runs" / "lenet5-mnist5k").iterdir()
    assert runs.read_result(folder)["weights"] == LENET


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("eval",), "run: missing; it must be a run folder, or give weights=repronet/lenet5-mnist for instance"),
        (("eval", "weights=repronet/lenet5-mnits"), "no such weights; nearest: repronet/lenet5-mnist"),
        (("train", "weights=repronet/nothing"), "weights=repronet/nothing: no such weights"),
        (("predict", f"weights={LENET}", "run=x", "images=y"), "run=x has weights of its own; give one of the two"),
        (("train", f"weights={LENET}", "model=resnet20"), "holds weights of model=lenet5, not of model=resnet20"),
    ],
)
def test_bad_words_are_one_line(repronet, words, said):
    outcome = repronet(*words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_other_bytes_and_other_figures_are_refused(tmp_path, monkeypatch):
    for path in zoo.FOLDER.glob("lenet5-mnist.*"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    zoo.path_of.cache_clear()
    content = bytearray((tmp_path / "lenet5-mnist.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "lenet5-mnist.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged, lenet5-mnist\.safetensors has not the SHA-256 of its record"):
        zoo.path_of(LENET)
    record = json.loads((tmp_path / "lenet5-mnist.json").read_text())
    (tmp_path / "lenet5-mnist.json").write_text(json.dumps({**record, "test_error": 0.0}))
    with pytest.raises(UserError, match="is not what its run wrote"):
        zoo.record_of(LENET)
    zoo.path_of.cache_clear()


def test_what_is_published_is_the_runs(repronet, tmp_path):
    """A run of seconds, put into a zoo of its own."""
    threads = torch.get_num_threads()
    assert repronet("reproduce", "lenet5_1998_mnist5k", "budget=smoke", "threads=1").code == 0
    record = records.place(tmp_path / "results", "lenet5_1998_mnist5k", "smoke", 0)
    outcome = repronet("reproduce", "publish", str(record), "to=small", "zoo=mine")
    assert (outcome.code, outcome.err) == (0, "")
    published = records.read(tmp_path / "mine" / "small.json")
    path = tmp_path / "mine" / "small.safetensors"
    assert published["weights"]["sha256"] == zoo.sha256(path)
    assert {key: published[key] for key in ("test_error", "fingerprint", "history")} == {
        key: records.read(record)[key] for key in ("test_error", "fingerprint", "history")
    }
    run = tmp_path / "runs/reproduced/lenet5_1998_mnist5k/smoke/seed0"
    found, there = (library.load(source).network.state_dict() for source in (path, run))
    assert all(torch.equal(found[key], there[key]) for key in there)
    out = repronet("eval", f"weights={path}", "data=mnist5k").out
    assert f"test_error  {published['test_error']!r}" in out
    other = runs.read_result(run)
    (run / runs.RESULT).write_text(json.dumps({**other, "best_val_error": 0.5}))
    outcome = repronet("reproduce", "publish", str(record), "to=small", "zoo=mine")
    assert (outcome.code, "these are different runs" in outcome.err) == (2, True)
    torch.set_num_threads(threads)
