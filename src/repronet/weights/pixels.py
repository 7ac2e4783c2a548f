"""Which pixels a source's weights were trained on, where the source says so."""

from __future__ import annotations

import json
from pathlib import Path

from torchvision.models import get_model_weights

from repronet.data.preprocessing import PixelStatistics
from repronet.weights.published import BUILDERS, is_a_name, network_of

# torchvision's builders of these turn the pixels of the others into their own, which a state dict cannot.
_HALVES = PixelStatistics((0.5,) * 3, (0.5,) * 3)
_OF_HALVES = ("googlenet_bn", "inception_v3")


def pixels_of(source: str, network: str) -> PixelStatistics | None:
    """Mean and deviation that the weights want subtracted and divided by; None where nothing says so.

    Args:
        source: as :func:`repronet.weights.load` takes it, or a run folder.
        network: the name of the network that they are for.
    """
    path = Path(source).expanduser()
    if is_a_name(source) and not path.exists():
        return _of_torchvision(network, source)
    if path.is_dir():
        return _of_run(path)
    builder = network_of(path) if path.is_file() else None
    return _of_torchvision(builder) if builder else None


def _of_torchvision(network: str, name: str = "DEFAULT") -> PixelStatistics | None:
    if network in _OF_HALVES:
        return _HALVES
    if network not in BUILDERS or name not in get_model_weights(BUILDERS[network]).__members__:
        return None
    wanted = get_model_weights(BUILDERS[network])[name].transforms()
    return PixelStatistics(tuple(wanted.mean), tuple(wanted.std))


def _of_run(folder: Path) -> PixelStatistics | None:
    try:
        result = json.loads((folder / "result.json").read_text("utf-8"))
        return PixelStatistics(tuple(result["pixel_mean"]), tuple(result["pixel_std"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
