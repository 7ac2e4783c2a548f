"""Pipelines as models of a run: fitted, saved as tensors, tested again to the digit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.kernel_approximation import AdditiveChi2Sampler

import repronet as package
from repronet import models
from repronet.classical.encoding import pyramid
from repronet.classical.fitting import FittedClassifier, compact, stacked
from repronet.config import plugins
from repronet.config.compose import compose
from repronet.errors import UserError

SMALL = {
    "pixels_svm": [],
    "hog_svm": [],
    "bovw_spm_svm": ["model.words=12", "model.levels=2", "model.stride=4"],
    "fisher_svm": ["model.gaussians=2", "model.components=8", "model.stride=4"],
}
FEW = ["data.per_class=8", "data.classes=['0','1','7']", "trainer.board=none", "logger=none", "run_dir=run"]


@pytest.fixture(autouse=True)
def entered():
    pytest.importorskip("kornia", reason="dense SIFT is kornia's")
    pytest.importorskip("skimage", reason="histograms of oriented gradients are scikit-image's")
    plugins.load(plugins.OURS[0])


def images(count: int = 3, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", ["bovw_spm_svm", *(pytest.param(n, marks=pytest.mark.slow) for n in SMALL if n != "bovw_spm_svm")]
)
def test_a_run_is_tested_again_to_the_digit(name, repronet, tmp_path):
    assert repronet("train", f"model={name}", *FEW, *SMALL[name], "model.costs=[0.1,10]").code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test_error"] < 0.3  # guessing has two thirds
    assert result["epochs"] == 2  # one for each C
    names, *rows = [row.split(",") for row in (tmp_path / "run" / "history.csv").read_text().splitlines()]
    assert [float(row[names.index("lr")]) for row in rows] == [0.1, 10.0]
    assert (tmp_path / "run" / "confusion.csv").exists()
    said = repronet("eval", "run=run").out
    assert f"test_error  {result['test_error']!r}\n" in said
    assert "--plugin" not in said


def test_the_c_of_the_lowest_validation_error_is_kept(repronet, tmp_path):
    """With a far too small C all answers are nearly alike; its neighbour in the list is chosen."""
    assert repronet("train", "model=pixels_svm", *FEW, "model.costs=[1e-9,10,1e-8]").code == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["best_epoch"] == 2
    assert repronet("report", "run", "out=page.html").code == 0
    assert "value of C; C = 10 has the smallest validation error" in (tmp_path / "page.html").read_text("utf-8")
    svm = package.load(tmp_path / "run").network.svm
    assert svm.weight.norm() > 0.1  # 1e-8 gives hardly any


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_its_vocabulary(repronet, tmp_path, monkeypatch):
    """Stopped in the second fit; afterwards all tensors are those of a run that was not stopped."""
    words = ["train", "model=bovw_spm_svm", *FEW[:-1], *SMALL["bovw_spm_svm"], "model.costs=[0.1,10]"]
    assert repronet(*words, "run_dir=whole").code == 0
    solve = FittedClassifier._solve

    def stopped(self, cost: float) -> None:
        if cost == 10:
            raise KeyboardInterrupt
        solve(self, cost)

    with monkeypatch.context() as patch:
        patch.setattr(FittedClassifier, "_solve", stopped)
        assert repronet(*words, "run_dir=cut").code != 0
        assert not (tmp_path / "cut" / "result.json").exists()
    assert repronet("train", "resume=cut").code == 0
    whole, cut = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "cut")
    )
    assert whole["state_dict"].keys() == cut["state_dict"].keys()
    assert all(torch.equal(whole["state_dict"][key], cut["state_dict"][key]) for key in whole["state_dict"])


def test_the_words_of_an_image_are_mapped_as_scikit_learn_maps_them():
    network = models.create("bovw_spm_svm", options={"words": 6, "levels": 2, "stride": 4})
    network.learn(images(), seed=0)
    counts = pyramid(network.affinity(images()).argmax(-1), 6, 2).numpy()
    expected = AdditiveChi2Sampler(sample_steps=2).fit_transform(counts)
    np.testing.assert_allclose(network.features(images()), expected, rtol=1e-5, atol=1e-7)
    assert network.features(images()).shape == (3, network.svm.in_features)


def test_a_histogram_of_gradients_is_scikit_images():
    hog = pytest.importorskip("skimage.feature").hog
    network = models.create("hog_svm", options={"cell": 8})
    one = images(1)[0].movedim(0, -1).numpy()
    expected = hog(one, 9, (8, 8), (2, 2), channel_axis=-1) / 3  # nine blocks
    np.testing.assert_allclose(network.features(images(1))[0], expected, rtol=1e-5)


def test_components_are_uncorrelated_and_the_mixture_is_one():
    network = models.create("fisher_svm", options={"gaussians": 3, "components": 5, "stride": 4})
    network.learn(images(20), seed=0)
    reduced = network.reduced(images(20)).flatten(0, 2)
    covariance = torch.cov(reduced.t())
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-3 * covariance.diag().max()
    torch.testing.assert_close(network.weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(network.features(images()).norm(dim=1), torch.ones(3))


def test_one_seed_gives_one_vocabulary():
    made = [models.create("bovw_spm_svm", options={"words": 6, "stride": 4}) for _ in range(3)]
    for network, seed in zip(made, (0, 0, 1), strict=True):
        network.learn(images(), seed)
    assert torch.equal(made[0].words, made[1].words)
    assert not torch.equal(made[0].words, made[2].words)


def test_few_numbers_are_kept_of_what_is_mostly_zero():
    features = torch.eye(10)
    assert compact(features).nnz == 10
    assert isinstance(compact(torch.ones(2, 3)), np.ndarray)


@pytest.mark.parametrize("turn", [1, -1])
def test_blocks_of_either_kind_are_stacked_in_their_order(turn):
    """Sorted by class, the first batches of digits may be nearly empty and later ones full, or the other way round."""
    blocks = [torch.eye(6)[:2], torch.ones(3, 6), torch.eye(6)[4:]][::turn]
    blocks = [*blocks, torch.full((1, 6), 2.0)][::turn]
    found = stacked(iter(blocks), 8)
    dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    assert hasattr(found, "toarray") == (turn == 1)
    assert np.array_equal(dense, torch.cat(blocks).numpy())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=bovw_spm_svm", "model.bin=9"], "model.bin=9: .* give at most 8"),
        (["model=hog_svm", "model.cell=20"], "model.cell=20: .* give at most 16"),
        (["model=fisher_svm", "model.components=200"], "model.components=200"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(words, said):
    config = compose("train", words)
    with pytest.raises(UserError, match=said):
        models.create(config.model.name, options=models.own_keys(config.model))


@pytest.mark.parametrize(
    "word",
    [
        *("trainer.devices=2", "trainer.precision=bf16-mixed", "model.words=0", "model.costs=[]"),
        *("label_smoothing=0.1", "dropout=0.5", "data.balance=loss"),
    ],
)
def test_what_a_pipeline_cannot_do_is_refused(word):
    with pytest.raises(UserError, match=word.partition("=")[0]):
        compose("train", ["model=bovw_spm_svm", word])


def test_a_pipeline_has_an_epoch_for_each_c_and_no_augmentation():
    config = compose("train", ["model=pixels_svm", "data=cifar10", "model.costs=[1,2]", "trainer.max_epochs=9"])
    assert config.trainer.max_epochs == 2
    assert config.augmentation.name == "none"


def test_a_pipeline_takes_generated_images():
    words = ["model=pixels_svm", "augmentation.generator=gan", "augmentation.generated=0.3"]
    config = compose("train", words)
    assert (config.augmentation.generator.endswith("gan"), config.augmentation.generated) == (True, 0.3)


def test_a_missing_package_is_one_line(monkeypatch, repronet):
    monkeypatch.setitem(__import__("sys").modules, "kornia.feature", None)
    said = repronet("train", "model=fisher_svm", *FEW)
    assert said.code == 2
    assert said.err == "repronet: model: features need kornia: pip install 'repronet[classical]'\n"


class Bomb:
    def __reduce__(self):
        return print, ("it ran",)


def test_a_checkpoint_that_holds_more_than_tensors_is_refused(repronet, tmp_path):
    assert repronet("train", "model=pixels_svm", *FEW, "model.costs=[1]").code == 0
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "estimator": Bomb()}, path)
    said = repronet("eval", "run=run")
    assert said.code == 2
    assert "refused" in said.err
    assert "it ran" not in said.out
