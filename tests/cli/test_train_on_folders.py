"""Training on a person's own images, from the command line to the result."""

from __future__ import annotations

import json
import logging
import multiprocessing

import pytest
import torch

from odd_images import write_good
from repronet import load, models, weights
from repronet.config.build import assemble
from repronet.config.compose import compose

SHORT = ["trainer.max_epochs=1", "model=resnet20", "layers=torch", "data.batch_size=8"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_good(tmp_path / "photos" / "train", count=10)
    write_good(tmp_path / "photos" / "val", count=4, seed=1)
    return tmp_path / "photos"


def result(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_a_folder_without_test_is_trained_on_and_says_so(repronet, tmp_path, photos):
    outcome = repronet("train", "data=image_folder", f"data.root={photos}", "run_dir=run", "augmentation=none", *SHORT)
    assert (outcome.code, outcome.err) == (0, "")
    assert "20 train, 8 validation, no test split" in outcome.out
    assert "note: data.batch_size=8: 20 images make 3 steps an epoch" in outcome.out  # that, and nothing else
    assert outcome.out.count("note:") - outcome.out.count("better than always") == 1
    assert "test error               -  the data has no test split" in outcome.out
    found = result(tmp_path / "run")
    assert (found["test_error"], found["test_images"], found["val_images"]) == (None, 0, 8)
    assert 0 <= found["best_val_error"] <= 1
    again = repronet("eval", "run=run")
    assert again.code == 2
    assert "its data has no test split" in again.err


@pytest.mark.slow
def test_memory_disk_and_processes_end_with_the_same_weights(repronet, tmp_path, photos):
    before = set(multiprocessing.active_children())  # of other tests, which their loaders end when they are collected
    words = ["train", "data=image_folder", f"data.root={photos}", "augmentation=cutmix", *SHORT]
    for name, more in {"memory": [], "disk": ["data.memory=0", "data.workers=0"], "two": ["data.workers=2"]}.items():
        outcome = repronet(*words, *more, f"run_dir={name}")
        assert (outcome.code, outcome.err) == (0, "")
        assert set(multiprocessing.active_children()) <= before
    losses = {name: result(tmp_path / name)["last_train_loss"] for name in ("memory", "disk", "two")}
    assert len(set(losses.values())) == 1, losses
    assert len({(tmp_path / name / "history.csv").read_text().split(",")[1] for name in losses}) == 1


def test_test_is_carved_where_there_is_one_folder(repronet, tmp_path, photos):
    words = [f"data.root={photos / 'train'}", "data.val=4", "data.test=6", "run_dir=run", "augmentation=none"]
    outcome = repronet("train", "data=image_folder", *words, *SHORT)
    assert outcome.code == 0, outcome.err
    assert "10 train, 4 validation, 6 test" in outcome.out
    again = repronet("eval", "run=run")
    assert repr(result(tmp_path / "run")["test_error"]) in again.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=nowhere"], "nowhere: no such folder"),
        ([], "data.root must name the folder"),
        (["data.root=photos", "data.val=paper"], "only works for published datasets"),
        (["data.root=photos", "data.val=1.5"], "data.val=1.5: must be paper, a share above 0 and below 1"),
        (["data.root=photos", "data.test=0"], "data.test=0: must be a share"),
        (["data.root=photos", "data.resize=0"], "data.resize=0: must be original or a whole number"),
        (["data.root=photos", "data.workers=-1"], "data.workers=-1: must be a whole number of processes"),
        (["data.root=photos", "preprocessing=zca"], "preprocessing=zca: needs images of one size"),
        (["data.root=photos", "data.split=3"], "nearest: data.split_seed"),
    ],
)
def test_bad_words_are_one_line_and_make_no_run(repronet, tmp_path, photos, words, message):
    outcome = repronet("train", "data=image_folder", *words, *SHORT)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_the_network_sees_images_of_the_size_that_is_asked_for(repronet, tmp_path, photos):
    words = ["data=image_folder", f"data.root={photos}", "image_size=48", *SHORT]
    outcome = repronet("train", *words, "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "as 48×48 pixels" in outcome.out
    classifier = load(tmp_path / "run")
    assert (classifier.transform.size, classifier.network.input_size) == (48, 48)
    assert repronet("export", "run=run", "to=onnx", "out=network.onnx").code == 0
    assert onnx_input(tmp_path / "network.onnx")[1:] == [3, 48, 48]


def onnx_input(file) -> list:
    onnx = pytest.importorskip("onnx", reason="pip install onnx")
    shape = onnx.load(file).graph.input[0].type.tensor_type.shape
    return [size.dim_value or size.dim_param for size in shape.dim]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=lenet5", "image_size=64"], "image_size=64: model=lenet5 takes 32 to 35 pixels"),
        (["model=googlenet", "image_size=128"], "image_size=128: model=googlenet takes 223 to 270 pixels"),
        (["model=vgg11", "image_size=16"], "image_size=16: model=vgg11 takes at least 32 pixels"),
        (["model=resnet18", "data.resize=64"], "give at least 224, or image_size=64, or leave it out"),
    ],
)
def test_a_size_that_the_network_cannot_take_is_refused(repronet, tmp_path, photos, words, message):
    outcome = repronet("train", "data=image_folder", f"data.root={photos}", "run_dir=run", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err
    assert not (tmp_path / "run").exists()


def test_distortions_of_digits_are_not_for_photographs(repronet, photos):
    of_their_own = repronet("train", "data=image_folder", f"data.root={photos}", *SHORT)
    assert "as 32×32 pixels, augmentation in 5 steps: random_resized_crop, flip, …" in of_their_own.out
    of_digits = repronet("train", "data=image_folder", f"data.root={photos}", "augmentation=mnist", *SHORT)
    assert of_digits.code == 0
    assert "note: augmentation=mnist suits digits" in of_digits.out


def test_a_bad_image_is_named_before_anything_is_made(repronet, tmp_path, photos):
    (photos / "train" / "cat" / "cut.png").write_bytes((photos / "train" / "cat" / "0_0.png").read_bytes()[:200])
    outcome = repronet("train", "data=image_folder", f"data.root={photos}", *SHORT)
    assert outcome.code == 2
    assert "cut.png: truncated" in outcome.err
    assert not (tmp_path / "runs").exists()


def test_mixed_labels_need_a_loss_that_knows_them(repronet):
    outcome = repronet("train", "model=lenet5_1998", "augmentation=mixup")
    assert outcome.code == 2
    assert "model.loss=rbf_map: needs unmixed labels" in outcome.err


def test_wrong_weights_are_refused_before_an_image_is_decoded(repronet, tmp_path, monkeypatch):
    write_good(tmp_path / "photos")
    monkeypatch.setattr("repronet.data.images.read_image", lambda *_: pytest.fail("decoded"))
    words = ("data=image_folder", "data.root=photos", "model=lenet5")
    weights.save(models.create("lecture_net"), tmp_path / "other.safetensors")
    for source in ("other.safetensors", "none.pth"):
        outcome = repronet("train", *words, f"weights={source}")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert outcome.err.startswith("repronet: weights=")
        assert f"{source}: " in outcome.err


def test_what_is_assumed_of_the_pixels_is_said_with_the_way_to_set_it(tmp_path, photos, caplog):
    words = ["data=image_folder", f"data.root={photos}", "data.workers=0", "layers=torch", "finetune=head"]
    for name, hint in (("lenet5", ""), ("resnet18", "; preprocessing=imagenet if they come from ImageNet")):
        weights.save(models.create(name), tmp_path / f"{name}.pth")
        caplog.clear()
        with caplog.at_level(logging.INFO, "repronet"):
            assemble(compose("train", [*words, f"model={name}", f"weights={tmp_path / name}.pth"]))
        (line,) = [record.getMessage() for record in caplog.records if "not known" in record.getMessage()]
        assert ": using the training split's, mean 0." in line
        assert line.partition("; ")[1:] == (hint[:2], hint[2:])


@pytest.mark.parametrize(("batch", "other"), [(19, 18), (1, 2)])
def test_a_last_batch_of_one_that_cannot_be_normalised_is_refused_before_the_first_step(
    repronet, tmp_path, photos, batch, other
):
    words = ["data=image_folder", f"data.root={photos}", "model=inception_v3", "run_dir=run"]
    outcome = repronet("train", *words, f"data.batch_size={batch}")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    said = "the last batch has only one of 20 training images, which inception_v3 cannot normalize"
    assert outcome.err == f"repronet: data.batch_size={batch}: {said}; use data.batch_size={other}\n"
    assert not (tmp_path / "run").exists()


def test_a_last_batch_of_one_that_can_be_normalised_is_trained_on(photos):
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=19", "data.workers=0"]
    assert assemble(compose("train", [*words, "model=resnet20"])).data.steps_per_epoch == 2
    words = ["model=lenet5_1998", "preprocessing=lecun", "data.batch_size=3499"]  # 3,500 digits, and no normalisation
    assert assemble(compose("train", words)).data.steps_per_epoch == 2


def test_weights_of_a_network_that_needs_numbers_are_looked_into(tmp_path):
    old = models.create("lenet5_1998")
    weights.save(old, tmp_path / "w.safetensors")
    words = ["model=lenet5_1998", "preprocessing=lecun", f"weights={tmp_path}/w.safetensors", "layers=torch"]
    assert torch.equal(assemble(compose("train", words)).task.network.c1.weight, old.c1.weight)
