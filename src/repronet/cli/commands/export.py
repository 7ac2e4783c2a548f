"""``repronet export``: the network of a run for other programs, tried before it is said to be done."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from repronet import runs, weights
from repronet.cli.failures import writing
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap
from repronet.data.whitening import Preprocessing
from repronet.errors import UserError
from repronet.training.classifier import Classifier, built, of_run

ENDINGS = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors", "torchvision": ".pth"}
AGREEMENT = 1e-4  # of logits, absolute and relative


def run(config: DictConfig, console: Console) -> Path:
    """Write the network and hold what was written against it, on a batch of random pictures.

    Raises:
        UserError: when it cannot be written, or what was written answers otherwise.
    """
    folder = Path(config.run).expanduser()
    classifier = of_run(folder, {"best": runs.BEST, "last": runs.LAST}[config.checkpoint])
    ending = ENDINGS[config.to]
    path = Path(config.out).expanduser() if config.out else folder / f"{classifier.config['model']['name']}{ending}"
    if config.any_size and config.to not in ("onnx", "torch_export"):
        raise UserError(f"any_size=true: to={config.to} holds no graph; leave it out")
    if path.suffix != ending:
        raise UserError(f"out={path}: to={config.to} is written as {ending}")
    transform = classifier.transform
    with writing("out", path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as draft:
        trial = Path(draft) / path.name
        _write(classifier, config.to, trial, config.any_size)
        sides = (transform.size, 2 * transform.size) if config.any_size else (transform.size,)
        difference = max(_difference(classifier, trial, side) for side in sides)
        if difference > AGREEMENT:
            raise UserError(f"to={config.to}: what was written answers otherwise, by {difference:.1e}; nothing is kept")
        trial.replace(path)
    console.print(f"{path}: {path.stat().st_size:,} bytes", markup=False, soft_wrap=True)
    console.print(f"tried on 4 pictures: logits differ by {difference:.0e} at most")
    console.print(f"shown of a picture: {_framed(transform)}", soft_wrap=True)
    size = ", ".join([str(transform.channels), *(["H, W"] if config.any_size else [str(transform.size)] * 2)])
    console.print(f"takes images (N, {size}), pixels {_in_words(transform.pixel_map)}", soft_wrap=True)
    console.print(f"answers logits (N, {len(transform.classes)}) of {', '.join(transform.classes)}", markup=False)
    return path


def _framed(transform: EvalTransform) -> str:
    """What of a picture the network was shown, so that another program can cut it out likewise."""
    side, shorter = transform.native or transform.size, transform.native or transform.short_side
    colour = "grey; " if transform.channels == 1 else ""
    small = f"on black where it fits into {side}×{side}, else " if transform.pad else ""
    enlarged = f"; enlarged to {transform.size}×{transform.size}" if transform.native else ""
    return f"{colour}{small}shorter side to {shorter} pixels, of that the middle {side}×{side}{enlarged}"


def _in_words(pixel_map: Preprocessing) -> str:
    if not isinstance(pixel_map, PixelMap):
        return f"in [0, 255] through {type(pixel_map).__name__} of repronet.data.whitening"
    gain, offset = (", ".join(f"{value:.4g}" for value in values) for values in (pixel_map.gain, pixel_map.offset))
    return f"in [0, 1] times {gain} plus {offset}"


def _write(classifier: Classifier, to: str, path: Path, any_size: bool) -> None:
    size = (classifier.transform.channels, classifier.transform.size, classifier.transform.size)
    if to == "onnx":
        weights.export_onnx(classifier.network, path, size, any_size, _said(classifier.transform))
    elif to == "torch_export":
        weights.export_program(classifier.network, path, size, any_size)
    else:
        weights.save(classifier.network, path, classifier.transform.to_json())


def _said(transform: EvalTransform) -> dict[str, str]:
    """What a program needs beside the graph: class names, and how pixels in [0, 1] become the graph's numbers."""
    said = {"classes": json.dumps(transform.classes, ensure_ascii=False), "shown": _framed(transform)}
    if not isinstance(transform.pixel_map, PixelMap):
        return {**said, "pixels": _in_words(transform.pixel_map)}
    found = transform.pixel_map.statistics
    return {**said, "mean": json.dumps(found.mean), "std": json.dumps(found.std)}


def _difference(classifier: Classifier, path: Path, side: int) -> float:
    """The largest difference of logits, in relation to the largest of them, to pictures of ``side`` pixels."""
    transform, drawn = classifier.transform, torch.Generator().manual_seed(0)
    images = torch.randn(4, transform.channels, side, side, generator=drawn)
    with torch.inference_mode():
        expected = classifier.network(images)
    found = _reader(classifier, path)(images)
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1.0))


def _reader(classifier: Classifier, path: Path) -> Callable[[Tensor], Tensor]:
    """What computes logits out of the written file, as another program would."""
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


def _onnx(path: Path) -> Callable[[Tensor], Tensor]:
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    from onnx.reference import ReferenceEvaluator  # slow, and comes with onnx itself

    evaluator = ReferenceEvaluator(str(path))
    return lambda images: torch.from_numpy(next(iter(evaluator.run(None, {"images": images.numpy()}))))
