"""What TensorBoard itself makes of a run, asked through its own HTTP interface."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image

from repronet.data import sources

LAYERS = ("c1", "c3", "c5", "f6", "output")
RECTIFIED = ("c1", "c3", "c5", "f6")


@pytest.fixture(scope="module")
def ask(finished_run) -> Iterator[Callable[..., Any]]:
    """Asks a TensorBoard that looks at the finished run."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(finished_run), "--port", "0"]
    process = subprocess.Popen([*command, "--load_fast", "false"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = next(found.group() for line in process.stderr if (found := re.search(r"http://\S+", line)))
    # It reads what it is told in a thread of its own.
    deadline = time.monotonic() + 60
    while (
        b"whole_run/last_val_error" not in urllib.request.urlopen(f"{url}data/plugin/scalars/tags", timeout=30).read()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    def answer(path: str, body: dict | None = None, **query: str) -> Any:
        wanted = f"{url}data/plugin/{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(wanted, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if "json" in response.headers["Content-Type"] else content

    yield answer
    process.terminate()
    process.communicate()


def test_scalars(ask):
    tags = ask("scalars/tags")
    curves = {"train/loss", "val/loss", "train/error", "val/error", "val/error_top5", "train/lr"}
    ends = {f"whole_run/{name}" for name in ("best_val_error", "last_val_error", "test_error", "test_loss")}
    inside = {f"watch_{kind}/{layer}" for kind in ("gradient", "update") for layer in LAYERS}
    assert curves | ends | inside | {f"watch_dead/{layer}" for layer in RECTIFIED} <= set(tags["."])
    assert set(tags) == {"."}
    # TensorBoard sorts by name: what everybody looks for comes first.
    assert sorted(tags["."])[:3] == ["train/error", "train/loss", "train/lr"]
    assert [tag.split("/")[0] for tag in sorted(tags["."])[3:7]] == ["val"] * 4
    points = ask("scalars/scalars", run=".", tag="watch_gradient/c1")
    assert [step for _, step, _ in points] == [49, 99]
    assert all(value > 0 for _, _, value in points)


def test_charts_are_grouped(ask):
    layout = ask("custom_scalars/layout")
    titles = {category["title"]: [chart["title"] for chart in category["chart"]] for category in layout["category"]}
    assert titles["training and validation"] == ["loss", "error"]
    assert set(titles) == {"training and validation", "gradients and updates", "dead units"}
    drawn = ask("custom_scalars/scalars", run=".", tag="watch_gradient/.*")
    assert len(drawn["tag_to_events"]) == len(LAYERS)


def test_images(ask):
    tags = ask("images/tags")["."]
    assert set(tags) == {
        *("view_inputs/augmented", "view_filters/first_layer", "view_maps/c1", "view_maps/c3"),
        *("view_answers/confusion", "view_answers/wrong", "view_answers/least_certain"),
    }
    filters = ask("images/images", run=".", tag="view_filters/first_layer", sample="0")
    assert [image["step"] for image in filters] == [0, 54, 109]
    assert [image["step"] for image in ask("images/images", run=".", tag="view_answers/wrong", sample="0")] == [111]
    assert ask(f"images/individualImage?{filters[0]['query']}").startswith(b"\x89PNG")


def test_drawings_are_hardly_larger_than_they_are_shown(ask):
    """Some 370 pixels wide; letters of drawings that are made smaller cannot be read."""
    for tag in ("view_inputs/augmented", "view_answers/confusion", "view_answers/wrong"):
        [image] = ask("images/images", run=".", tag=tag, sample="0")
        drawn = Image.open(io.BytesIO(ask(f"images/individualImage?{image['query']}")))
        assert 300 < drawn.width <= 450


def test_histograms_and_distributions(ask):
    tags = ask("histograms/tags")["."]
    assert set(tags) == {f"watch_{kind}/{layer}" for kind in ("weights", "activations") for layer in LAYERS}
    assert len(ask("histograms/histograms", run=".", tag="watch_weights/c1")) == 2
    assert len(ask("distributions/distributions", run=".", tag="watch_activations/c3")) == 2


def test_the_graph(ask):
    assert ask("graphs/info")["."]["run_graph"]
    assert b"LeNet5" in ask("graphs/graph", run=".", conceptual="false")


def test_precision_and_recall_of_every_class(ask):
    assert set(ask("pr_curves/tags")["."]) == {f"view_precision_recall/{digit}" for digit in range(10)}
    [curve] = ask("pr_curves/pr_curves", run=".", tag="view_precision_recall/3")["."]
    assert curve["step"] == 111
    assert max(curve["precision"]) > 0.8


def test_the_projector_shows_the_validation_images(ask):
    assert ask("projector/runs") == ["."]
    [embedding] = ask("projector/info", run=".")["embeddings"]
    assert embedding["tensorName"] == "features of 500 validation images"
    classes = ask("projector/metadata", run=".", name=embedding["tensorName"], num_rows="1000")
    val = sources.load("mnist5k", sources.Request(val=500)).val
    assert classes.decode().split() == [str(label) for label in val.labels.tolist()]
    assert ask("projector/sprite_image", run=".", name=embedding["tensorName"]).startswith(b"\x89PNG")


def test_hyperparameters_with_the_errors(ask):
    experiment = ask("hparams/experiment", {"experimentName": ""})
    names = {parameter["name"] for parameter in experiment["hparamInfos"]}
    assert {"model.name", "optimizer.lr", "trainer.max_epochs", "seed"} <= names
    first = [parameter["name"] for parameter in experiment["hparamInfos"][:5]]
    assert first == ["data.name", "model.name", "optimizer.lr", "seed", "trainer.max_epochs"]
    metrics = {metric["name"]["tag"] for metric in experiment["metricInfos"]}
    assert metrics == {"whole_run/last_val_error", "whole_run/best_val_error", "whole_run/test_error"}


def test_a_runs_events_are_small(finished_run: Path):
    assert sum(file.stat().st_size for file in finished_run.glob("events.*")) < 1_000_000
