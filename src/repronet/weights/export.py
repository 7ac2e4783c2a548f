"""Export networks for other programs: state dicts, torch.export programs, ONNX. A file appears whole or not at all."""

from __future__ import annotations

import copy
import json
import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

import repronet
from repronet import models
from repronet.errors import UserError
from repronet.functional.adaptive_pool import side_by_side
from repronet.layers import convert
from repronet.weights import identity

InputSize = tuple[int, int, int]  # channels, height, width

_ONNX_NEEDS = ("onnx", "onnxscript")

_AVG_POOL = torch.ops.aten.avg_pool2d.default
_ADAPTIVE_MAX_POOL = torch.ops.aten.adaptive_max_pool2d.default


class OnPixels(nn.Module):
    """A network preceded by its preprocessing, for programs that have pixels: uint8 (N, C, H, W), 0 to 255 → outputs.

    Args:
        network: a network for float images.
        pixel_map: uint8 (N, C, H, W) → float32 of the same shape.
        enlarged_to: height and width that images are enlarged to after ``pixel_map``; None keeps their size.
    """

    def __init__(
        self, network: nn.Module, pixel_map: Callable[[Tensor], Tensor], enlarged_to: int | None = None
    ) -> None:
        super().__init__()
        self.network, self.pixel_map, self.enlarged_to = network, pixel_map, enlarged_to

    def forward(self, pixels: Tensor) -> Any:
        images = self.pixel_map(pixels)
        if self.enlarged_to is not None:
            images = F.interpolate(images, (self.enlarged_to, self.enlarged_to), mode="bilinear", align_corners=False)
        return self.network(images)


def save(network: nn.Module, path: str | Path, transform: str | None = None) -> None:
    """Write the network's tensors under its own keys, which are torchvision's if torchvision has the network.

    Args:
        network: any module.
        path: ``.safetensors`` also records the network's name, classes, input channels and this library's version, and
            :func:`repronet.weights.load` refuses it for another network; ``.pth`` holds only the state dict, like
            torchvision's files.
        transform: the transform from an image to the network's input, from ``EvalTransform.to_json``; with it,
            :func:`repronet.load` needs only the ``.safetensors`` file.

    Raises:
        UserError: for another file extension, or if the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth"):
        raise UserError(f"{path}: ends in neither .safetensors nor .pth")
    tensors = {key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()}
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}  # channels-last is for speed, not for files
    num_classes, in_channels = identity.counts(network)
    name = identity.name_of(network)
    known = {
        "network": name,
        "plugin": getattr(models.MODELS.get(str(name)), "plugin", None),
        "num_classes": num_classes,
        "in_channels": in_channels,
        "repronet": repronet.__version__,
        "blueprint": json.dumps(network.blueprint) if hasattr(network, "blueprint") else None,
        "transform": transform,
    }
    metadata = {"format": "pt"} | {key: str(value) for key, value in known.items() if value is not None}
    with _appearing(path) as draft:
        if path.suffix == ".pth":
            torch.save(tensors, draft)
        else:
            safetensors.torch.save_file(tensors, draft, metadata=metadata)


def export_program(network: nn.Module, path: str | Path, input_size: InputSize, any_size: bool = False) -> None:
    """Write the network in eval mode as a ``torch.export`` program (.pt2), for batches of any size.

    Args:
        network: a network with our layers or torch's; the program uses torch's, with the same parameters. Inside
            :class:`OnPixels`, the program takes uint8 pixels.
        input_size: (C, H, W) of the images, the only size that the program takes unless ``any_size``.
        any_size: accept any height and width, if the network does.

    Raises:
        UserError: for another file extension, an input that the network cannot take, or if the file cannot be written.
    """
    path = _ending_in(".pt2", path)
    program = _program(network, input_size, any_size)
    with _appearing(path) as draft:
        torch.export.save(program, draft)


def export_onnx(
    network: nn.Module,
    path: str | Path,
    input_size: InputSize,
    any_size: bool = False,
    metadata: Mapping[str, str] | None = None,
    outputs: Sequence[str] = ("logits",),
) -> None:
    """Write the network in eval mode as ONNX, for batches of any size: ``images`` (batch, C, H, W) → ``logits``.

    Args:
        network, input_size, any_size: as in :func:`export_program`; with ``any_size`` the axes are named ``height`` and
            ``width``. With :class:`OnPixels`, the input is named ``pixels``.
        metadata: entries for the file's ``metadata_props``.
        outputs: names of the network's outputs.

    Raises:
        UserError: as in :func:`export_program`; if onnx or onnxscript is missing, or ONNX has no such layer.
    """
    path = _ending_in(".onnx", path)
    missing = [name for name in _ONNX_NEEDS if find_spec(name) is None]
    if missing:
        raise UserError(f"ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    in_terms_of_onnx: dict[Any, Any] = {_AVG_POOL: _without_divisor, _ADAPTIVE_MAX_POOL: _in_windows_of_one_size}
    program = _program(network, input_size, any_size).run_decompositions(in_terms_of_onnx)
    axes = {0: "batch", 2: "height", 3: "width"} if any_size else {0: "batch"}
    with _appearing(path) as draft:
        try:
            written = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=["pixels" if isinstance(network, OnPixels) else "images"],
                output_names=list(outputs),
                dynamic_shapes=(axes,),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(f"{path}: cannot be written as ONNX ({_first_cause(error)})") from error
        assert written is not None
        written.model.metadata_props.update(metadata or {})
        written.save(draft, external_data=False)  # one file, whole or not at all


def _program(network: nn.Module, input_size: InputSize, any_size: bool) -> ExportedProgram:
    """Trace the network with torch's layers, whose operators other programs know; they do not need our gradients."""
    twin = convert(copy.deepcopy(network), to="torch").eval()
    like = next(twin.parameters(), torch.empty(0))
    dtype = torch.uint8 if isinstance(network, OnPixels) else like.dtype
    images = torch.zeros(2, *input_size, dtype=dtype, device=like.device)  # not 1, which would fix the batch
    name = type(network.network if isinstance(network, OnPixels) else network).__name__
    sides = "×".join(map(str, input_size[1:]))
    one_size = UserError(f"any_size=true: the layers of {name} take images of {sides} alone")
    if any_size:  # torch.export does not notice all layers that need one size, so try another
        try:
            with torch.no_grad():
                twin(F.interpolate(images, scale_factor=2))
        except RuntimeError as error:
            raise one_size from error
    try:
        sizes = {2: Dim.AUTO, 3: Dim.AUTO} if any_size else {}
        program = torch.export.export(twin, (images,), dynamic_shapes=({0: Dim("batch"), **sizes},))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"input_size={input_size}: {name} cannot take it ({reason})") from error
    taken = next(node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    if any_size and any(isinstance(side, int) for side in taken.shape[2:]):
        raise one_size
    return program


def _without_divisor(
    images: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling in operators of ONNX: Σ/divisor = mean · area/divisor. torch's exporter ignores the divisor."""
    if divisor_override is None:
        return NotImplemented
    if ceil_mode:  # windows that extend beyond the edge have a smaller area
        raise UserError("ONNX has no average pooling with divisor_override and ceil_mode; set one of them only")
    mean = _AVG_POOL(images, kernel_size, stride, padding)  # the padding counts in the mean, as it does in the sum
    return mean * (math.prod(kernel_size) / divisor_override)


def _in_windows_of_one_size(images: Tensor, output_size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Adaptive max pooling in operators of ONNX: the windows side by side, padded to one size, then max pooling."""
    if all(length % windows == 0 for length, windows in zip(images.shape[-2:], output_size, strict=True)):
        return NotImplemented
    (rows, kh), (columns, kw) = (
        side_by_side(length, windows, images.device)
        for length, windows in zip(images.shape[-2:], output_size, strict=True)
    )
    apart = images.index_select(-2, rows).index_select(-1, columns)  # (N, C, Ho·kh, Wo·kw)
    output, where = torch.ops.aten.max_pool2d_with_indices(apart, (kh, kw), (kh, kw))
    width = apart.shape[-1]
    return output, rows[where // width] * images.shape[-1] + columns[where % width]


def _first_cause(error: BaseException) -> str:
    """The first line of the innermost error, which names the operator; the outermost lists the exporter's steps."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]


def _ending_in(suffix: str, path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != suffix:
        raise UserError(f"{path}: does not end in {suffix}")
    return path


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to, which is renamed to ``path`` once everything is written."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: cannot be written, there is no folder {path.parent}")
    draft = path.with_name(f".{secrets.token_hex(3)}.{path.name}")  # same extension: writers depend on it
    try:
        yield draft
        draft.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch's and safetensors' own errors for a full disk
        raise UserError(f"{path}: cannot be written ({str(error).splitlines()[0]})") from error
    finally:
        draft.unlink(missing_ok=True)
