"""Top-5 errors wherever top-1 errors are: a network of torchvision's with 1,000 classes through train, eval and report.

Its last layer answers alike for classes 500 apart, and the test labels are drawn out of its likeliest answers, so that
ties decide about the fifth place.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torchvision
from sklearn.metrics import top_k_accuracy_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchmetrics.classification import MulticlassAccuracy

from repronet import register, runs
from repronet.analysis.interval import interval
from repronet.figures.charts import read_history
from repronet.training.checkpoints import read_checkpoint
from repronet.training.classifier import of_run

CLASSES, IMAGES = 1000, 400


def theirs(num_classes: int = CLASSES, in_channels: int = 3) -> torch.nn.Module:
    network = torchvision.models.squeezenet1_1(num_classes=num_classes)
    with torch.no_grad():
        for parameter in network.classifier[1].parameters():
            parameter[num_classes // 2 :] = parameter[: num_classes // 2]
    return network


@pytest.fixture
def noise(tmp_path):
    """Images of noise, a hundred to validate with and one of each class to train on."""
    draw = np.random.default_rng(0)
    content = {
        "x_train": draw.integers(0, 256, (1100, 32, 32, 3), dtype=np.uint8),
        "y_train": np.arange(1100) % CLASSES,
        "x_test": draw.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8),
        "y_test": draw.integers(0, CLASSES, IMAGES),
    }
    np.savez(tmp_path / "noise.npz", **content)
    return content


@pytest.fixture
def run(repronet, tmp_path, noise, tables_as_they_were):
    """The words that a run of one epoch ended with, at a rate that leaves ties as they are."""
    register.model("theirs", input_size=32)(theirs)
    words = ("model=theirs", "data=npz", "data.root=noise.npz", "data.val=100", "augmentation=none", "layers=torch")
    outcome = repronet("train", *words, "optimizer.lr=1e-30", "trainer.max_epochs=1", "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


def printed(text: str, name: str) -> float:
    return float(re.search(rf"^{name} +(\S+)$", text, re.MULTILINE).group(1))


def test_eval_counts_as_torchmetrics_and_scikit_learn_do(repronet, tmp_path, noise, run):
    weights = read_checkpoint(tmp_path / "r" / runs.BEST)["state_dict"]
    network = torchvision.models.squeezenet1_1(num_classes=CLASSES).eval()
    network.load_state_dict(
        {key.removeprefix("network."): value for key, value in weights.items() if "network." in key}
    )
    result = runs.read_result(tmp_path / "r")
    mean, std = (torch.tensor(result[key])[:, None, None] for key in ("pixel_mean", "pixel_std"))
    images = torch.from_numpy(noise["x_test"]).permute(0, 3, 1, 2)  # (N, H, W, C) → (N, C, H, W)
    with torch.no_grad():
        logits = network((images / 255 - mean) / std)  # (N, classes)
    likely = logits.argsort(dim=1, descending=True, stable=True)
    drawn = torch.tensor([0, 1, 2, 3, 4, 6, 7, 8, 9, 10])  # the fourth and the fifth are equals
    labels = likely[torch.arange(IMAGES), drawn[torch.arange(IMAGES) % 10]]
    np.savez(tmp_path / "labelled.npz", **{**noise, "y_test": labels.numpy()})

    told = repronet("eval", "run=r", "data_root=labelled.npz").out
    places = likely.argsort(dim=1)  # (N, classes), of each class, of equals the earlier first
    torchmetrics = MulticlassAccuracy(CLASSES, average="micro", top_k=5)(-places.float(), labels)
    reversed_logits, classes = logits.flip(1).numpy(), range(CLASSES)  # scikit-learn takes the later of equals first
    sklearn = top_k_accuracy_score(CLASSES - 1 - labels.numpy(), reversed_logits, k=5, labels=classes)
    assert printed(told, "test_error_top5") == pytest.approx(1 - torchmetrics.item()) == pytest.approx(1 - sklearn)
    assert printed(told, "test_error_top5") == 0.5
    assert printed(told, "test_error") == 0.9
    assert f"top-5 error  50.00%  200 of 400, weights of epoch 1 (best)\n             {interval(0.5, 400)} with" in told
    otherwise = top_k_accuracy_score(labels.numpy(), logits.numpy(), k=5, labels=classes)
    assert 1 - otherwise > 0.55  # so ties do decide


@pytest.mark.slow
def test_every_protocol_counts_it(repronet, noise, run):
    """Of the mean over views. The labels are such that a quarter is right at once, and half among the first five."""
    classifier = of_run("r", layers="torch")
    images = noise["x_test"][:4]
    for protocol in ("center", "ten_crop", "multi_scale", "crops_144"):
        likely = classifier.probabilities(list(torch.from_numpy(images).permute(0, 3, 1, 2)), protocol)
        order = likely.argsort(dim=1, descending=True, stable=True)
        labels = order[torch.arange(4), torch.tensor([0, 3, 6, 999])]
        np.savez("labelled.npz", **{**noise, "x_test": images, "y_test": labels.numpy()})
        words = ("run=r", "data_root=labelled.npz", f"protocol={protocol}", "layers=torch")
        told = repronet("eval", *words).out
        assert (printed(told, "test_error"), printed(told, "test_error_top5")) == (0.75, 0.5), protocol
        assert "3 of 4, " in told


def test_it_is_where_the_error_is(repronet, tmp_path, run):
    """From 20 classes on: lines of the terminal, history, curves, their charts, result, report."""
    result = runs.read_result(tmp_path / "r")
    (row,) = read_history(tmp_path / "r" / runs.HISTORY)
    assert re.search(r"epoch 1/1 .* val \d+\.\d% top-5 \d+\.\d% ", run)
    assert f"top-5 error       {result['test_error_top5']:7.2%}  " in run
    assert max(len(line) for line in run.splitlines() if "top-5" in line) <= 85
    assert row["val_error_top5"] == result["best_val_error_top5"] <= result["best_val_error"]
    assert 0.9 < row["train_error_top5"] < row["train_error"]
    events = EventAccumulator(str(tmp_path / "r")).Reload()
    for tag in ("train/error_top5", "val/error_top5", "whole_run/test_error_top5"):
        assert tag in events.Tags()["scalars"]
    assert events.Scalars("train/error_top5")[-1].step == events.Scalars("train/error")[-1].step
    assert "top-5 error" in str(events.Tensors("custom_scalars__config__"))
    # In the report too, with what papers published of each kind beside it: it stands in for a run of AlexNet.
    config = (tmp_path / "r" / runs.CONFIG).read_text()
    config = config.replace("name: theirs", "name: alexnet").replace("name: npz", "name: imagenet")
    (tmp_path / "r" / runs.CONFIG).write_text(config)
    assert "top-5" in repronet("report", "r").out
    table = (tmp_path / "report.html").read_text().split("</table>")[0]
    assert f">{100 * result['test_error_top5']:.2f} %</td>" in table
    cells = re.findall(r"<t[hd](?: [^>]*)?>([^<]*)<", table)
    row = dict(zip(cells[: len(cells) // 2], cells[len(cells) // 2 :], strict=True))
    for heading, first, five in (("published", "40.7", "38.1"), ("published top-5", "18.2", "16.4")):  # table 2
        assert row[heading].startswith(f"{first} % (10-crop")
        assert f", {five} % (10-crop, " in row[heading]


def test_few_classes_have_it_in_their_files_alone(repronet, finished_run, tmp_path):
    result = runs.read_result(finished_run)
    rows = read_history(finished_run / runs.HISTORY)
    assert result["best_val_error_top5"] == min(rows, key=lambda row: row["val_error"])["val_error_top5"] < 0.1
    assert 0 <= result["test_error_top5"] < result["test_error"]
    assert "train_error_top5" not in rows[0]
    assert "top-5" not in (finished_run / runs.LOG).read_text()
    assert "top" not in repronet("eval", f"run={finished_run}").out
    assert "top-5 error" not in repronet("report", str(finished_run)).out
