"""A trained network in Python: what it takes as an image, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from repronet import ImageClassifier, load, models
from repronet.data.module import ImageDataModule
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError
from repronet.session.console import quiet_lightning


@pytest.fixture(scope="module")
def classifier(finished_run):
    return load(finished_run)


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["path", "word", "pillow", "array", "tensor"])
def test_one_image_alone_or_several_of_any_kind(classifier, pixels, tmp_path, kind):
    image = Image.fromarray(pixels[0].numpy())
    image.save(tmp_path / "a.png")
    made = {
        "path": tmp_path / "a.png",
        "word": str(tmp_path / "a.png"),
        "pillow": image,
        "array": np.asarray(image),
        "tensor": pixels,
    }
    given = made[kind]
    alone = classifier.probabilities(given)
    assert alone.shape == (1, 10)
    assert torch.equal(alone, classifier.probabilities([pixels]))
    assert classifier.predict(given) == [classifier.classes[int(alone.argmax())]]
    assert classifier.features(given).shape == (1, 84)


def test_no_image(classifier):
    assert classifier.probabilities([]).shape == (0, 10)
    assert classifier.predict([]) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_with_its_channels_first_is_an_image_where_nothing_else_can_be_meant(classifier, channels):
    images = torch.randint(0, 256, (5, channels, 28, 30), dtype=torch.uint8)
    expected = classifier.probabilities(images)
    assert torch.equal(classifier.probabilities(images.numpy()), expected)
    torch.testing.assert_close(classifier.probabilities(images[0].numpy()), expected[:1])
    assert torch.equal(classifier.probabilities(images.movedim(1, -1).numpy()), expected)


def test_an_array_whose_first_and_last_axes_could_be_channels_has_them_last(classifier):
    strip = torch.randint(0, 256, (3, 28, 3), dtype=torch.uint8)  # three rows of RGB
    assert torch.equal(classifier.probabilities(strip.numpy()), classifier.probabilities(strip.movedim(-1, 0)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((2, 28, 28, 5), np.uint8), r"not ndarray of uint8, \(28, 28, 5\)$"),
        (np.zeros((1, 28, 28), np.float32), r"not ndarray of float32, \(1, 28, 28\)$"),
        (np.zeros((28,), np.uint8), r"not ndarray of uint8, \(28,\)$"),
        (torch.zeros(1, 28, 28), r"not Tensor of float32, \(1, 28, 28\)$"),
        (torch.zeros(28, 28, 3, dtype=torch.uint8), r"not Tensor of uint8, \(28, 28, 3\)$"),
        (None, "not NoneType$"),
        ([None], "not NoneType$"),
        (7, "not int$"),
    ],
)
def test_what_is_no_image_is_named_as_it_was_given(classifier, wrong, said):
    with pytest.raises(UserError, match=said) as error:
        classifier.predict(wrong)
    assert str(error.value).startswith("an image must be")


def test_a_folder_is_no_image(classifier, tmp_path):
    with pytest.raises(UserError, match="a folder; give its files"):
        classifier.predict(tmp_path)


def saved_by_a_plain_trainer(network, folder, datamodule):
    images = torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8)
    split = Split(images, torch.arange(20) % 2)
    data = ImageDataModule(ImageDataset("two", split, split, split, ("a", "b")), image_size=32, batch_size=10)
    quiet_lightning()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_steps=1, enable_model_summary=False, **quiet)
    model = ImageClassifier(network, 2)
    given = (data,) if datamodule else (data.train_dataloader(), data.val_dataloader())
    trainer.fit(model, *given)
    trainer.save_checkpoint(folder / "own.ckpt")
    return model.network.eval(), images


def test_a_plain_trainers_checkpoint_classifies(tmp_path):
    network, images = saved_by_a_plain_trainer(models.create("lenet5", num_classes=2, in_channels=1), tmp_path, True)
    loaded = load(tmp_path / "own.ckpt")
    assert loaded.classes == ("a", "b")
    prepared = torch.stack([loaded.transform(image) for image in images])
    with torch.inference_mode():
        torch.testing.assert_close(loaded.probabilities(images), network(prepared).softmax(dim=1))


def test_a_plain_trainers_checkpoint_that_lacks_something_says_what_loads_it(tmp_path):
    saved_by_a_plain_trainer(models.create("lenet5", num_classes=2, in_channels=1), tmp_path, False)
    with pytest.raises(UserError, match=r"how its images .* ImageClassifier.load_from_checkpoint\(path\)$"):
        load(tmp_path / "own.ckpt")
    own = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, 2))
    saved_by_a_plain_trainer(own, tmp_path, True)
    with pytest.raises(UserError, match=r"which network .*load_from_checkpoint\(path, network=…\)$"):
        load(tmp_path / "own.ckpt")
