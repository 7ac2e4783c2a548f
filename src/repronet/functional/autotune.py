"""Which of several computations of the same numbers is the fastest here, measured once and remembered.

An operator that can be computed in several ways gives `fastest` a name, a signature (everything that the time depends
on: shapes, strides, settings) and its candidates. The first call with a signature times the candidates on the tensors
of that call. Later calls find the winner in memory, later processes in a file of the user's cache. An entry holds for
one device, number of threads, type of processor and version of torch, since another algorithm may win elsewhere.

The algorithms agree to rounding, not to the last bit. To get the same bits on every machine, name an algorithm instead
of "auto": then nothing is measured. A run pins its choices in a file of its own, see `recorded_in`.
"""

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import torch

from repronet.functional.function import is_transformed

log = logging.getLogger(__name__)

Candidates = Mapping[str, Callable[[], object]]
Key = tuple[object, ...]


class Measured(TypedDict):
    """One entry of a file: the winner, and the least seconds that each candidate took."""

    fastest: str
    seconds: dict[str, float]


# Another candidate wins only if it takes at most this part of the first one's time. Otherwise noise would decide ties,
# and decide them differently every time.
_MARGIN = 0.9
_ROUNDS = 9
_LOADING_SECONDS = 0.1  # what loading a kernel may add to a candidate's first call
_ROUNDS_SECONDS = 0.5  # no further rounds after this time; a slow operator has less relative noise and needs fewer

_QUIET_SECONDS = 1.0  # a process that has measured for longer logs why

_winners: dict[Key, str] = {}
_files: dict[Path, dict[str, Measured]] = {}  # the entries of each file that has been read
_pinned: list[Path] = []  # files with pinned choices, which take precedence; see recorded_in
_measured_seconds = 0.0  # what this process has spent on measurements


def fastest(
    operation: str, signature: Key, device: torch.device, candidates: Candidates | Callable[[], Candidates]
) -> str:
    """The name of the fastest candidate for this signature, or of the first one where nothing can be measured.

    Args:
        operation: what is computed, for instance "conv2d forward".
        signature: plain values that the time depends on.
        device: where it is computed.
        candidates: functions that compute it, by name, or a function that makes these, called only to measure. The
            first candidate is kept unless another is clearly faster. An operation always has the same names.
    """
    if is_transformed():  # what runs then is not only what was called
        return next(iter(candidates() if callable(candidates) else candidates))
    key = (operation, signature, device, torch.get_num_threads())
    winner = _winners.get(key)
    if winner is None:
        made = candidates() if callable(candidates) else candidates
        winner = _winners[key] = _look_up(repr(key), device, made)
    return winner


def _look_up(entry: str, device: torch.device, candidates: Candidates) -> str:
    """The winner according to the pinned choices, else to the cache, else to a new measurement; written to both."""
    files = [*_pinned, cache_file(device)]
    known = (_entries(file).get(entry) for file in files)
    found = next((measured for measured in known if measured and measured["seconds"].keys() == candidates.keys()), None)
    if found is None:
        seconds = _measure_and_log(candidates, device) if len(candidates) > 1 else dict.fromkeys(candidates, 0.0)
        found = Measured(fastest=winner_of(seconds), seconds=seconds)
    for file in files:
        if entry not in _entries(file) or _entries(file)[entry]["seconds"].keys() != candidates.keys():
            _entries(file)[entry] = found
            _write(file, entry, found)
    return found["fastest"]


def _measure_and_log(candidates: Candidates, device: torch.device) -> dict[str, float]:
    """The measurement. Once it has taken this process a second in all, the log says why."""
    global _measured_seconds
    begun, before = time.perf_counter(), _measured_seconds
    seconds = measure(candidates, device)
    _measured_seconds += time.perf_counter() - begun
    if before < _QUIET_SECONDS <= _measured_seconds:
        log.info("measuring the fastest algorithm of each layer, once a machine (algorithm=auto)")
    return seconds


def _entries(file: Path) -> dict[str, Measured]:
    """What the file held when this process first read it, and what it has added since."""
    if file not in _files:
        _files[file] = _read(file)
    return _files[file]


@contextmanager
def recorded_in(file: Path) -> Iterator[None]:
    """Within this context, choices pinned in `file` precede all others, and every choice made is pinned there.

    A training that is resumed or tested again then computes as it did before, even if the user's cache has changed.
    """
    forget()
    _pinned.append(file)
    try:
        yield
    finally:
        _pinned.remove(file)
        forget()


def winner_of(seconds: Mapping[str, float]) -> str:
    """The fastest name, or the first one if none beats it by a clear margin."""
    first, best = next(iter(seconds)), min(seconds, key=lambda name: seconds[name])
    return best if seconds[best] < _MARGIN * seconds[first] else first


def measure(candidates: Candidates, device: torch.device) -> dict[str, float]:
    """The least seconds that each candidate took. They run in turn, so that a change of the machine's speed meets all.

    The least, not the median: other processes only ever make a call slower, and the median would measure them too.
    """
    with torch.no_grad():
        first = {name: _time(run, device) for name, run in candidates.items()}  # allocates, loads kernels
        # Candidates that are far behind drop out after one or two calls; the first may include loading a kernel.
        limit = max(10 * min(first.values()), _LOADING_SECONDS)
        second = {name: _time(run, device) for name, run in candidates.items() if first[name] <= limit}
        times = {name: [second[name]] for name in second if second[name] <= 3 * min(second.values())}
        begun = time.perf_counter()
        for _ in range(_ROUNDS):
            for name, found in times.items():
                found.append(_time(candidates[name], device))
            if time.perf_counter() - begun > _ROUNDS_SECONDS:
                break
    return {**first, **second, **{name: min(found) for name, found in times.items()}}


def _time(run: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    begun = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def forget() -> None:
    """Drop what this process has in memory. The files stay."""
    _winners.clear()
    _files.clear()


def cache_file(device: torch.device) -> Path:
    """The file of winners, in the folder that REPRONET_CACHE names, else in the user's cache."""
    from platformdirs import user_cache_path

    folder = os.environ.get("REPRONET_CACHE")
    on_cpu = device.type == "cpu"
    chip = torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name(device)
    words = f"{platform.machine()}-{os.cpu_count()}-{chip}-torch{torch.__version__}"
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in words)
    return (Path(folder) if folder else user_cache_path("repronet")) / f"algorithms-{name}.json"


def _read(file: Path) -> dict[str, Measured]:
    """The valid entries of the file; none if it is missing or damaged, since they can be measured again."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in entries.items() if _is_measured(value)} if isinstance(entries, dict) else {}


def _is_measured(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("seconds"), dict):
        return False
    return value.get("fastest") in value["seconds"]


def _write(file: Path, entry: str, found: Measured) -> None:
    """Add one entry to the file by replacing it as a whole. A file that cannot be written stays as it is."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        entries = {**_read(file), entry: found}
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
            json.dump(entries, new, indent=1)
        Path(new.name).replace(file)  # another process sees the old entries or the new ones, never half a file
    except OSError:
        return
