"""The Python interface: the same as the command line, in a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import repronet
from repronet import runs
from repronet.errors import UserError


def test_training_returns_what_the_run_came_to(tmp_path, monkeypatch, finished_run, capsys):
    monkeypatch.chdir(tmp_path)
    result = repronet.train("trainer.max_epochs=2", "run_dir=mine", quiet=True)
    assert capsys.readouterr().out == ""
    assert result.run_dir.name == "mine"
    assert result.test_error == runs.read_result(finished_run)["test_error"]  # the command line's, bit for bit
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert result.best_val_error == min(row["val_error"] for row in result.history)
    with pytest.raises(UserError, match="has ended"):
        repronet.train("resume=mine")


def test_bad_words_are_the_command_lines_errors():
    with pytest.raises(UserError, match="model=lenet6: no such model; nearest: lenet5"):
        repronet.train("model=lenet6")
    with pytest.raises(UserError, match="a resumed run keeps its config"):
        repronet.train("resume=x", "seed=1")


@pytest.mark.parametrize(
    ("words", "keys"), [([{"model": "lenet5"}], {}), ([], {"model": "lenet5"}), ([["model=lenet5"]], {})]
)
def test_what_is_no_word_is_told_the_word(words, keys):
    with pytest.raises(
        UserError, match=r'^train takes the words of the command line: repronet.train\("model=lenet5"\)$'
    ):
        repronet.train(*words, **keys)


def test_results_and_classifiers_are_shown_in_a_line(finished_run):
    assert repr(repronet.load(finished_run)) == "Classifier(lenet5, 10 classes, 32×32)"
    result = repronet.Result(finished_run, {"test_error": 0.25}, [{"epoch": 1}])
    assert repr(result) == f"Result(run_dir={str(finished_run)!r}, test_error=0.25, epochs=1)"


@pytest.fixture(scope="module")
def digits() -> list[np.ndarray]:
    images = repronet.data("mnist5k").test.images[:12]  # type: ignore[operator]
    return [image[0, 2:-2, 2:-2].numpy() if image.shape[-1] == 32 else image[0].numpy() for image in images]


def test_a_run_classifies_images_of_every_kind(finished_run, digits, tmp_path):
    classifier = repronet.load(finished_run)
    Image.fromarray(digits[0]).save(tmp_path / "0.png")
    expected = classifier.probabilities(digits[:1])
    for image in (tmp_path / "0.png", str(tmp_path / "0.png"), Image.fromarray(digits[0])):
        torch.testing.assert_close(classifier.probabilities([image]), expected)
    torch.testing.assert_close(classifier.probabilities([torch.from_numpy(digits[0])[None]]), expected)
    assert classifier.predict(digits[0]) == classifier.predict(tmp_path / "0.png")
    assert len(classifier.predict(digits)) == 12
    assert set(classifier.predict(digits)) <= set(classifier.classes)
    assert classifier.features(digits).shape == (12, 84)
    assert classifier.transform(digits[0]).shape == (1, 32, 32)
    assert not classifier.network.training


def test_what_is_no_image_is_one_line(finished_run):
    classifier = repronet.load(finished_run)
    for wrong in (torch.zeros(1, 32, 32), np.zeros((2, 32, 32, 5), np.uint8)):
        with pytest.raises(UserError, match="an image must be bytes"):
            classifier.probabilities([wrong])


def test_a_checkpoint_and_an_exported_file_classify_alike(finished_run, digits, repronet, tmp_path):
    from repronet import load

    expected = load(finished_run).probabilities(digits)
    assert torch.equal(load(finished_run / runs.BEST).probabilities(digits), expected)
    assert repronet("export", f"run={finished_run}", "to=safetensors", f"out={tmp_path / 'net.safetensors'}").code == 0
    exported = load(tmp_path / "net.safetensors")
    torch.testing.assert_close(exported.probabilities(digits), expected)
    assert exported.classes == load(finished_run).classes


MISSING = ["nowhere", "runs/nope", "/tmp/nope", "runs/nope/checkpoints/best.ckpt", "no_such_net/IMAGENET1K_V1"]


@pytest.mark.parametrize("name", [*MISSING, "lenet5", Path("runs/nope")])
def test_what_is_not_there_is_no_folder_or_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{name}: no such folder or file, nor NETWORK/WEIGHTS") as said:
        repronet.load(name)
    assert "\n" not in str(said.value)


def test_weights_that_a_known_network_does_not_have():
    with pytest.raises(UserError, match="NO_SUCH_WEIGHTS"):
        repronet.load("resnet18/NO_SUCH_WEIGHTS")


def test_the_data_is_a_lightning_data_module():
    data = repronet.data("mnist5k", "data.batch_size=50")  # type: ignore[operator]
    images, _ = next(iter(data.train_dataloader()))
    assert images.shape == (50, 1, 32, 32)
    assert len(data.classes) == 10
    assert isinstance(data, repronet.ImageDataModule)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, repronet; dir(repronet); print([m for m in ('torch', 'numpy', 'hydra') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    assert {"train", "load", "ImageClassifier", "ImageDataModule", "register"} <= set(dir(repronet))
    assert not {"annotations", "sys", "import_module", "ModuleType", "_PLACES"} & set(dir(repronet))
    code = "import repronet; print(repronet.layers.Conv2d.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "Conv2d\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        repronet.nothing  # noqa: B018


@pytest.mark.slow
def test_lenet5_learns_the_digits_within_its_interval(tmp_path):
    """Ten epochs of the default recipe: seeds 0 to 2 gave 3.3, 2.5 and 3.0 %."""
    result = repronet.train("trainer.max_epochs=10", f"run_dir={tmp_path / 'r'}", quiet=True)
    assert result.test_error is not None
    assert 0.010 <= result.test_error <= 0.040


@pytest.mark.slow
def test_resnet20_learns_the_digits_within_its_interval(tmp_path):
    """Two epochs: seed 0 gave 6.6 %."""
    words = ("model=resnet20", "trainer.max_epochs=2", "optimizer.lr=0.1", "layers=torch")
    result = repronet.train(*words, f"run_dir={tmp_path / 'r'}", quiet=True)
    assert result.test_error is not None
    assert 0.02 <= result.test_error <= 0.20
