"""The pixel normalisation that a source's weights were trained with, if the source says so."""

from __future__ import annotations

from functools import cache
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from ssl import SSLError
from threading import Thread
from typing import Any
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from repronet import zoo
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap, PixelStatistics
from repronet.data.whitening import PerPixelMean
from repronet.errors import UserError
from repronet.models.foreign import is_foreign
from repronet.runs import BEST
from repronet.weights.files import metadata, plain_content
from repronet.weights.published import builder_of, entries_for, is_a_name, network_of

TIMM = "timm/"  # the prefix of timm's names
PATIENCE = 6  # seconds that a host has to answer

# For these, torchvision's builders convert pixels normalised as for the other networks; a state dict cannot.
_HALVES = PixelStatistics((0.5,) * 3, (0.5,) * 3)
_OF_HALVES = ("googlenet", "inception_v3")


def pixels_of(source: str, network: str) -> PixelStatistics | None:
    """The mean and standard deviation with which the weights expect pixels to be normalised; None if unknown.

    For a file that does not say it, for a network from timm or torchvision: those of the library's own weights.

    Args:
        source: a source for :func:`repronet.weights.load`, or a run folder.
        network: the name of the network that the weights are for.
    """
    path = Path(source).expanduser()
    if source.startswith(TIMM) and not path.exists():
        wanted = of_timm(source.removeprefix(TIMM)).pretrained_cfg
        return PixelStatistics(tuple(wanted["mean"]), tuple(wanted["std"]))
    if is_a_name(source) and not path.exists():
        return _of_torchvision(network, source)
    if zoo.is_named(source):
        return _stated(EvalTransform.of_json(metadata(zoo.path_of(source))["transform"]))
    if path.is_dir():
        return _of_run(path)
    builder = network_of(path) if path.is_file() else None
    return _of_torchvision(builder) if builder else _of_library(network)


@cache
def of_timm(name: str) -> Any:
    """timm's network of that name with its published weights, such as ``resnet50.a1_in1k``.

    Raises:
        UserError: if timm is not installed, has no such network, or the weights cannot be downloaded.
    """
    if find_spec("timm") is None:
        raise UserError(f"weights={TIMM}{name}: needs timm: pip install timm")
    import timm  # takes a second, so only when needed

    if not timm.is_model(name):
        raise UserError(f"weights={TIMM}{name}: timm has no network of that name")
    from huggingface_hub import constants  # timm downloads from the hub

    # Without a network the hub's client retries for minutes, even for files that are here already.
    offline = constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)
    try:
        with patch.object(constants, "HF_HUB_OFFLINE", offline):
            return timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub raises many kinds
        reason = f"{constants.ENDPOINT} does not answer" if offline else " ".join(str(error).split())[:200]
        raise UserError(f"weights={TIMM}{name}: cannot be downloaded ({reason})") from error


def _answers(url: str) -> bool:
    """Whether a host answers within ``PATIENCE`` seconds, even with a refusal."""
    found: list[bool] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=PATIENCE):
                found.append(True)
        except (HTTPError, HTTPException):
            found.append(True)
        except (OSError, ValueError) as error:  # such as URLError; the hub's own client may know other certificates
            found.append(isinstance(getattr(error, "reason", None), SSLError))

    asking = Thread(target=ask, daemon=True)  # a name lookup may take longer than the connection's timeout
    asking.start()
    asking.join(PATIENCE)
    return found == [True]


def _of_library(network: str) -> PixelStatistics | None:
    """The statistics of the default weights of the network's library; None for a network of our own."""
    if not is_foreign(network):
        return None
    if not network.startswith(TIMM):
        return _of_torchvision(network)
    import timm

    wanted = timm.get_pretrained_cfg(network.removeprefix(TIMM))
    return PixelStatistics(tuple(wanted.mean), tuple(wanted.std)) if wanted else None


def _of_torchvision(network: str, name: str = "DEFAULT") -> PixelStatistics | None:
    if builder_of(network) in _OF_HALVES:
        return _HALVES
    if name not in entries_for(network):
        return None
    wanted = entries_for(network)[name].transforms()
    return PixelStatistics(tuple(wanted.mean), tuple(wanted.std))


def _of_run(folder: Path) -> PixelStatistics | None:
    """The statistics in the best checkpoint of a run; None if they cannot be read."""
    try:
        return _stated(EvalTransform.of(plain_content(folder / BEST)["ImageDataModule"]["lens"]))
    except (UserError, KeyError):
        return None


def _stated(transform: EvalTransform) -> PixelStatistics | None:
    """The statistics of a run's transform; None if it does more than shift and scale each channel."""
    if isinstance(transform.pixel_map, PerPixelMean):  # for other images, only the mean of each channel is used
        means = transform.pixel_map.mean.mean(dim=(1, 2)).tolist()  # (C, H, W) → (C,)
        return PixelStatistics(tuple(means), (1.0,) * len(means))
    if not isinstance(transform.pixel_map, PixelMap):
        return None
    found = transform.pixel_map.statistics
    stated = all(0 <= value <= 1 for value in found.mean) and all(value > 0 for value in found.std)
    return found if stated else None
