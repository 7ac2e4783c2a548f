"""``repronet export``: the network of a run for other programs, tested after it is written."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from repronet import weights
from repronet.cli.failures import writing
from repronet.cli.page import runtime_in, write_page
from repronet.cli.trained import CHECKPOINTS
from repronet.data.eval_transform import EvalTransform
from repronet.data.lists import images_in
from repronet.data.preprocessing import PixelMap
from repronet.data.reading import ImageError
from repronet.data.whitening import Preprocessing
from repronet.errors import UserError
from repronet.training.classifier import Classifier, built, of_run
from repronet.visualization.class_activation import with_evidence
from repronet.weights import OnPixels

log = logging.getLogger("repronet.export")

ENDINGS = {
    "onnx": ".onnx",
    "torch_export": ".pt2",
    "safetensors": ".safetensors",
    "torchvision": ".pth",
    "page": ".html",
}
AGREEMENT = 1e-4  # of logits, absolute and relative
AT_ONCE = 16  # images per batch
PROBABILITIES = {False: "the softmax of the logits", True: "the sigmoid of each logit, of several labels per image"}

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Subject:
    """The network of a run to export, alone or with its preprocessing in front."""

    classifier: Classifier
    network: nn.Module
    side: int  # of the images that it takes
    takes_pixels: bool  # whether it takes uint8 images and preprocesses them itself
    outputs: tuple[str, ...] = ("logits",)  # their names in the graph

    @classmethod
    def of(cls, classifier: Classifier, with_pixels: bool, for_page: bool) -> Subject:
        """Build the subject; for a page, with class activation maps if the network has them."""
        transform, network, outputs = classifier.transform, classifier.network, ("logits",)
        if not (with_pixels or for_page):
            return cls(classifier, network, transform.size, takes_pixels=False)
        if for_page:
            images = torch.randn(1, transform.channels, transform.size, transform.size)
            if (mapped := with_evidence(network, images)) is not None:
                network, outputs = mapped, ("logits", "evidence")
        enlarged = None if transform.native is None else transform.size
        on_pixels = OnPixels(network, transform.pixel_map, enlarged)
        return cls(classifier, on_pixels, transform.native or transform.size, True, outputs)

    @property
    def transform(self) -> EvalTransform:
        return self.classifier.transform

    def random(self, side: int) -> Tensor:
        """Four random inputs, (4, C, side, side)."""
        drawn, shape = torch.Generator().manual_seed(0), (4, self.transform.channels, side, side)
        if self.takes_pixels:
            return torch.randint(0, 256, shape, dtype=torch.uint8, generator=drawn)
        return torch.randn(shape, generator=drawn)

    def seen(self, image: Tensor) -> Tensor:
        """Transform an image, uint8 (C, H, W), to an input, (C, side, side)."""
        return self.transform.seen(image) if self.takes_pixels else self.transform(image)


def run(config: DictConfig, console: Console) -> Path:
    """Write the network and compare the file with it, on random images and those of ``images=``."""
    for_page = config.to == "page"
    paths = images_in(config.images) if config.images else []
    runtime = runtime_in(config.runtime) if for_page else None
    folder, ending = Path(config.run).expanduser(), ENDINGS[config.to]
    classifier = of_run(folder, CHECKPOINTS[config.checkpoint])
    name = classifier.config["model"]["name"].replace("/", "-")
    path = Path(config.out).expanduser() if config.out else folder / f"{name}{ending}"
    if path.suffix != ending:
        raise UserError(f"out={path}: to={config.to} is written as {ending}")
    subject = Subject.of(classifier, config.with_pixels, for_page)
    with writing("out", path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as draft:
        trial = Path(draft) / (f"{path.stem}.onnx" if for_page else path.name)
        _write(subject, config.to, trial, config.any_size)
        tried = _try(subject, _reader(classifier, trial), paths, config)
        if runtime is not None:
            trial = write_page(Path(draft) / path.name, classifier, trial.read_bytes(), subject.outputs, runtime)
        trial.replace(path)
    console.print(f"{path}: {path.stat().st_size:,} bytes", markup=False, soft_wrap=True)
    for line in (*tried, *_described(subject, config.any_size)):
        console.print(line, markup=False, soft_wrap=True)
    return path


def _try(subject: Subject, answer: Answer, paths: Sequence[Path], config: DictConfig) -> list[str]:
    """Compare the outputs of the written file and the network; returns lines to print."""
    difference, expected = 0.0, None
    for side in (subject.side, 2 * subject.side) if config.any_size else (subject.side,):
        images = subject.random(side)
        with torch.inference_mode():
            expected = subject.network(images)
        logits = expected[0] if isinstance(expected, tuple) else expected
        difference = max(difference, _difference(answer(images), logits))
    said = [f"tested on 4 random images: logits differ by at most {difference:.0e}"]
    same, tried = 0, 0
    for start in range(0, len(paths), AT_ONCE):
        readable = list(_readable(subject.transform, paths[start : start + AT_ONCE]))
        if not readable:
            continue
        tried += len(readable)
        found = answer(torch.stack([subject.seen(image) for image in readable]))
        with torch.inference_mode():  # as predict prepares them, outside the graph
            inputs = torch.cat([subject.transform.views(image, "center") for image in readable])
            expected = subject.classifier.network(inputs)
        difference = max(difference, _difference(found, expected))
        same += int((found.argmax(1) == expected.argmax(1)).sum())
    if difference > AGREEMENT:
        raise UserError(f"to={config.to}: the written file gives other outputs, by up to {difference:.1e}; deleted")
    if paths and not tried:
        raise UserError(f"images={config.images}: none of its {len(paths):,} files is an image")
    if paths:
        said.append(
            f"tested on {config.images}: same class for {same} of {tried}, logits differ by at most {difference:.0e}"
        )
    return said


def _readable(transform: EvalTransform, paths: Sequence[Path]) -> Iterator[Tensor]:
    """The images, uint8 (C, H, W); a file that is no image is left out with a warning."""
    for path in paths:
        try:
            yield transform.opened(path)
        except ImageError as error:
            log.warning(f"left out: {error}")


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference of logits, relative to the largest logit."""
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1.0))


def _described(subject: Subject, any_size: bool) -> list[str]:
    transform = subject.transform
    size = ", ".join([str(transform.channels), *(["H, W"] if any_size else [str(subject.side)] * 2)])
    numbers = "uint8 from 0 to 255" if subject.takes_pixels else f"pixels {_in_words(transform.pixel_map)}"
    name = "pixels" if subject.takes_pixels else "images"
    return [
        f"preprocessing: {_framed(transform)}",
        f"input: {name} (N, {size}), {numbers}",
        f"output: logits (N, {len(transform.classes)}) of {', '.join(transform.classes)}",
        f"probabilities are {PROBABILITIES[transform.multilabel]}",
    ]


def _framed(transform: EvalTransform) -> str:
    """How an image was framed for the network, so that another program can do the same."""
    side, shorter = transform.native or transform.size, transform.native or transform.short_side
    colour = "grey; " if transform.channels == 1 else ""
    small = f"padded with black if it fits into {side}×{side}, otherwise " if transform.pad else ""
    if transform.fit != "crop":
        around = ", padded with grey" if transform.fit == "letterbox" else ", stretched"
        return f"{colour}whole image resized to {side}×{side} pixels{around}"
    enlarged = f"; enlarged to {transform.size}×{transform.size}" if transform.native else ""
    return f"{colour}{small}shorter side resized to {shorter} pixels, center crop {side}×{side}{enlarged}"


def _in_words(pixel_map: Preprocessing) -> str:
    if not isinstance(pixel_map, PixelMap):
        return f"in [0, 255] through {type(pixel_map).__name__} of repronet.data.whitening"
    gain, offset = (", ".join(f"{value:.4g}" for value in values) for values in (pixel_map.gain, pixel_map.offset))
    return f"in [0, 1] times {gain} plus {offset}"


def _write(subject: Subject, to: str, path: Path, any_size: bool) -> None:
    size = (subject.transform.channels, subject.side, subject.side)
    if to in ("onnx", "page"):
        weights.export_onnx(subject.network, path, size, any_size, _said(subject), subject.outputs)
    elif to == "torch_export":
        weights.export_program(subject.network, path, size, any_size)
    else:
        weights.save(subject.network, path, subject.transform.to_json())


def _said(subject: Subject) -> dict[str, str]:
    """Metadata that a program needs with the graph: class names and preprocessing."""
    transform = subject.transform
    said = {"classes": json.dumps(transform.classes, ensure_ascii=False), "shown": _framed(transform)}
    said["probabilities"] = PROBABILITIES[transform.multilabel]
    if subject.takes_pixels:
        return {**said, "pixels": "uint8 from 0 to 255"}
    if not isinstance(transform.pixel_map, PixelMap):
        return {**said, "pixels": _in_words(transform.pixel_map)}
    found = transform.pixel_map.statistics
    return {**said, "mean": json.dumps(found.mean), "std": json.dumps(found.std)}


def _reader(classifier: Classifier, path: Path) -> Answer:
    """A function that computes logits with the written file, as another program would."""
    if path.suffix == ".onnx":
        return _onnx(path)
    network: nn.Module
    if path.suffix == ".pt2":
        network = torch.export.load(path).module()
    else:
        transform = classifier.transform
        network = built(classifier.config, len(transform.classes), transform.channels, "torch").eval()
        weights.load(network, path)

    def answer(images: Tensor) -> Tensor:
        with torch.no_grad():
            return network(images)

    return answer


def _onnx(path: Path) -> Answer:
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0])
    from onnx.reference import ReferenceEvaluator  # slow, but comes with onnx itself

    evaluator = ReferenceEvaluator(str(path))
    taken = str(evaluator.input_names[0])
    return lambda images: torch.from_numpy(next(iter(evaluator.run(None, {taken: images.numpy()}))))
